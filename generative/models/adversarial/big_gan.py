"""BigGAN: a SAGAN at scale, and what makes it stable there and steerable afterwards.

Brock, Donahue & Simonyan 2019, "Large scale GAN training for high fidelity natural image synthesis" (arXiv 1809.11096).
One embedding of the label for all layers of batch norm, a chunk of the latent for every block (section 3), a penalty on
weights that are not orthogonal, without its diagonal (eq. 3), truncated latents (section 3.1), statistics of batch norm
computed anew over many samples before it draws (appendix B: standing statistics), and gradients of several batches for
one update. Layers are in `residual`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from generative.core.views import Picture, Source, Views
from generative.models.adversarial.image_gan import ImageGAN
from generative.models.adversarial.sagan import AttentionMaps, SAGANConfig
from generative.models.checks import check_not_negative, check_sizes
from generative.networks.gan.growing import levels_of, widths_of
from generative.networks.gan.residual import ResidualCritic, ResidualGenerator
from generative.objectives.adversarial import orthogonal_penalty
from generative.sampling.truncation import TruncatedSampling, truncated_normal


@dataclass(frozen=True)
class BigGANConfig(SAGANConfig):
    """Sizes and levers of a BigGAN."""

    shared: int = 32
    """Numbers of the label's embedding, which all blocks share."""
    orthogonal: float = 1e-4
    """Weight of the orthogonal penalty; 0 leaves it out."""
    critic_steps: int = 2
    """Updates of the critic for one of the generator, each on a new batch."""
    standing: int = 32
    """Batches over which batch norm's statistics are computed anew after the training; 0 keeps the running ones."""
    second_moment: float = 0.999
    """Adam's decay of the mean squared gradient."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "shared")
        check_not_negative(self, "orthogonal", "standing")
        if self.latent < (blocks := levels_of(self.image_size) + 1):
            raise ValueError(f"latent={self.latent}: is cut into {blocks} chunks; give {blocks} or more")


@dataclass(frozen=True)
class TruncationDial:
    """The truncation dial: from the middle of the latents, one image a class, to latents as they are."""

    makes: ClassVar = Picture
    rows: int = 6
    """Latents, each with a row of its own."""
    steps: int = 7
    """Positions of the dial."""
    most: float = 3.0
    """Its last position; the first one is 0."""

    def __post_init__(self) -> None:
        for name in ("rows", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 1 or more")

    @torch.no_grad()
    def show(self, model: "BigGAN", source: Source, seed: int) -> Picture:
        """Return the same draws at every position."""
        dial = torch.linspace(0, self.most, self.steps).tolist()
        made = [model.sample(self.rows, TruncatedSampling(each), torch.Generator().manual_seed(seed)) for each in dial]
        return Picture(torch.stack(made, 1), columns=[f"{each:.2f}" for each in dial])


class BigGAN(ImageGAN):
    """A conditional residual GAN with a latent for every block."""

    type_name = "biggan"
    fixed_step = True
    Config: ClassVar[Any] = BigGANConfig
    Sampling: ClassVar[type] = TruncatedSampling
    config: BigGANConfig
    views: ClassVar[Views] = {"attention": AttentionMaps, "truncation": TruncationDial}

    def _networks(self, beside: int) -> tuple[nn.Module, nn.Module]:
        config, widths = self.config, widths_of(self.config.width, levels_of(self.config.image_size))
        return (
            ResidualGenerator(config.latent, config.told, config.channels, widths, config.attention, config.shared),
            ResidualCritic(config.told, config.channels, widths, config.attention),
        )

    def generator_loss(
        self, n: int, labels: Tensor | None, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the generator's loss with the orthogonal penalty; arguments as of `DCGAN`."""
        loss, metrics = super().generator_loss(n, labels, generator)
        if not self.config.orthogonal:
            return loss, metrics
        network: Any = self.generator
        apart = set() if network.embedding is None else set(network.embedding.parameters())
        with torch.autocast(loss.device.type, enabled=False):
            penalty = orthogonal_penalty(each for each in network.parameters() if each not in apart)
        return loss + self.config.orthogonal * penalty, {**metrics, "orthogonal": penalty.detach()}

    @torch.no_grad()
    def estimate(self, batches: Iterator[Any], generator: torch.Generator) -> None:
        """Compute the statistics of batch norm anew for the averaged weights: means over many batches of samples.

        Running statistics are of weights that have moved on, and of fewer samples. Without `standing` they stay.
        """
        if not self.config.standing:
            return
        norms = [each for each in self.average.network.modules() if isinstance(each, nn.BatchNorm2d)]
        momentum = [each.momentum for each in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all batches
            norm.train()
        count = 64
        for number in range(self.config.standing):
            z = self._latents(count, generator)
            labels = None
            if self.config.conditional:
                labels = (number * count + torch.arange(count, device=z.device)) % self.config.classes
            self.average(z, self._condition(labels, z))
        for norm, before in zip(norms, momentum, strict=True):
            norm.momentum = before
            norm.eval()

    def sample(  # type: ignore[override]  # it has a dial of its own
        self, n: int, sampling: TruncatedSampling, generator: torch.Generator, labels: Int[Tensor, " n"] | None = None
    ) -> Float[Tensor, "n C H W"]:
        """Return images of truncated latents; of labels, by default of all classes in turn."""
        z = truncated_normal((n, self.config.latent), sampling.truncation, generator)
        z = z.to(next(self.parameters()).device)
        return self.decode(z, self._in_turn(n, labels, z.device))
