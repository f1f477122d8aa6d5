"""SAGAN: a GAN that sees how far parts of an image fit together, by self-attention in both networks.

Zhang, Goodfellow, Metaxas & Odena 2019, "Self-attention generative adversarial networks" (arXiv 1805.08318). Spectral
norm on every weight of both networks (Miyato et al. 2018, arXiv 1802.05957) beside batch norm in the generator, whose
gains and biases follow the label; two learning rates (Heusel et al. 2017, arXiv 1706.08500); the hinge loss; a critic
that knows the label by projection. Layers are in `residual` and `self_attention`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from generative.core.views import Picture, Source, Views
from generative.models.adversarial.image_gan import ImageGAN, ImageGANConfig
from generative.models.checks import check_sizes
from generative.networks.gan.growing import levels_of, widths_of
from generative.networks.gan.residual import ResidualCritic, ResidualGenerator
from generative.objectives.adversarial import GanLoss, Lipschitz
from generative.sampling.dials import PriorSampling


@dataclass(frozen=True)
class SAGANConfig(ImageGANConfig):
    """Sizes and levers of a SAGAN."""

    gan_loss: ClassVar[GanLoss] = "hinge"
    lipschitz: ClassVar[Lipschitz] = "spectral-norm"
    drift: ClassVar[float] = 0.0
    conditional: bool = True
    """Whether both networks are told the label."""
    attention: int = 16
    """Pixels of the maps with self-attention: 8, 16, ... up to half the image; 0 leaves it out."""
    critic_steps: int = 1
    """Updates of the critic for one of the generator, each on a new batch."""
    accumulation: int = 1
    """Batches whose gradients are averaged for one update."""
    critic_rate: float = 4.0
    """The critic's learning rate in multiples of the generator's (two time scales)."""
    second_moment: float = 0.9
    """Adam's decay of the mean squared gradient."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "critic_steps", "accumulation")
        sizes = [4 * 2**level for level in range(1, levels_of(self.image_size))]
        if self.attention and self.attention not in sizes:
            raise ValueError(f"attention={self.attention}: give one of {', '.join(map(str, sizes)) or 'none'}, or 0")


@dataclass(frozen=True)
class AttentionMaps:
    """Samples with marked places, and where in the image each of these looks."""

    makes: ClassVar = Picture
    rows: int = 6
    """Samples, each with a row of its own."""
    places: int = 4
    """Marked places, on a diagonal from the top left."""

    def __post_init__(self) -> None:
        for name in ("rows", "places"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 1 or more")

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return each sample, then for each place the sample, darker where it does not look, with the place in red."""
        network: Any = model.average.network
        if network.attention is None:
            raise ValueError("attention=0: this model has no attention to show; train one with --model.attention 16")
        z = model._latents(self.rows, torch.Generator().manual_seed(seed))
        told = model._condition(model._in_turn(self.rows, None, z.device), z)
        held: list[Tensor] = []
        hook = network.attention.register_forward_pre_hook(lambda module, given: held.append(given[0]))
        try:
            images = model._outside(network(z, told))
        finally:
            hook.remove()
        side, size = held[0].shape[2], images.shape[2]
        weights = network.attention.weights(held[0])  # (B P K)
        images = images[:, :1].expand(-1, 3, -1, -1) if images.shape[1] < 3 else images[:, :3]
        marks = [round((place + 0.5) * side / self.places - 0.5) for place in range(self.places)]
        seen = [images]
        for mark in marks:
            looks = weights[:, mark * side + mark].unflatten(1, (side // 2, side // 2))
            looks = looks / looks.amax((1, 2), keepdim=True)
            light = interpolate(looks[:, None], (size, size), mode="nearest")
            picture = images * (0.15 + 0.85 * light)
            square = slice(mark * size // side, (mark + 1) * size // side)
            picture[:, :, square, square] = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
            seen.append(picture)
        return Picture(torch.stack(seen, 1), columns=["sample", *(f"from {mark}, {mark}" for mark in marks)])


class SAGAN(ImageGAN):
    """Residual networks with self-attention and spectral norm."""

    type_name = "sagan"
    fixed_step = True
    Config: ClassVar[Any] = SAGANConfig
    Sampling: ClassVar[type] = PriorSampling
    config: SAGANConfig
    views: ClassVar[Views] = {"attention": AttentionMaps}

    def _networks(self, beside: int) -> tuple[nn.Module, nn.Module]:
        config, widths = self.config, widths_of(self.config.width, levels_of(self.config.image_size))
        return (
            ResidualGenerator(config.latent, config.told, config.channels, widths, config.attention),
            ResidualCritic(config.told, config.channels, widths, config.attention),
        )
