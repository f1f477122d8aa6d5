"""StyleGAN: an image is painted by styles, one for each layer, which a mapping network makes of a latent.

Karras, Laine & Aila 2019 (StyleGAN, arXiv 1812.04948): mapping network, noise inputs, style mixing, truncation of w.
Karras et al. 2020 (StyleGAN2, arXiv 1912.04958): weight demodulation, no growing, R1 (Mescheder et al. 2018, arXiv
1801.04406, eq. 9) and path-length regularisation, both lazy: only every so many steps, with a weight that makes up for
it (appendix B). `injection=adain` is the first paper's way with styles, on the networks of the second. Layers are in
`styled`.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from generative.core.component import Objective, Part
from generative.core.views import Views
from generative.models.adversarial.image_gan import ImageGAN, ImageGANConfig
from generative.models.adversarial.style_views import NoiseStrip, StyleMixing, Truncation
from generative.models.checks import check_latents, check_not_negative, check_sizes
from generative.networks.gan.growing import levels_of, widths_of
from generative.networks.gan.styled import Injection, StyleCritic, StyleGenerator
from generative.objectives import adversarial
from generative.training.fit_config import FitConfig


@dataclass(frozen=True)
class StyleGANConfig(ImageGANConfig):
    """Sizes and levers of a StyleGAN."""

    drift: ClassVar[float] = 0.0
    critic_steps: ClassVar[int] = 1
    accumulation: ClassVar[int] = 1
    injection: Injection = "demodulation"
    """How a style reaches a layer: demodulation (StyleGAN2) or adain (StyleGAN)."""
    styles: int = 64
    """Numbers of a style w."""
    mapping: int = 4
    """Layers of the mapping network."""
    mapping_rate: float = 0.01
    """How fast these learn, in multiples of all other layers."""
    noise_rate: float = 1.0
    """How fast the strength of noise is learned, in multiples of all other layers. At first noise is the nearest way to
    details, and a short training ends in speckle."""
    mixing: float = 0.9
    """Probability that an image gets the styles of two latents, of one up to a random layer and then of the other."""
    mean_decay: float = 0.995
    """Decay of the mean style, around which samples are truncated."""
    r1: float = 1.0
    """Weight of R1, half the squared slope of the critic at real images; 0 leaves it out."""
    r1_every: int = 16
    """Steps from one R1 to the next."""
    path: float = 2.0
    """Weight of the path-length penalty; 0 leaves it out."""
    path_every: int = 4
    """Steps from one path-length penalty to the next."""
    path_decay: float = 0.01
    """How fast the mean path length follows."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "styles", "mapping", "r1_every", "path_every")
        check_not_negative(self, "r1", "path")
        for name in ("mapping_rate", "noise_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)}: must be above 0")
        for name in ("mixing", "mean_decay", "path_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 0 to 1")


@dataclass(frozen=True)
class StyleSampling:
    """How a StyleGAN draws."""

    truncation: float = 1.0
    """How far styles lie from the mean style, in multiples of what was drawn: 0 is the mean image."""
    noise: Literal["random", "none"] = "random"
    """What moves the finest details: noise drawn for each image, or none."""

    def __post_init__(self) -> None:
        if not 0 <= self.truncation <= 10:
            raise ValueError(f"truncation={self.truncation}: give 0 to 10; 1 leaves styles as they are")


class StyleGAN(ImageGAN):
    """A generator by styles and a residual critic."""

    type_name = "stylegan"
    fixed_step = True
    Config: ClassVar[Any] = StyleGANConfig
    Sampling: ClassVar[type] = StyleSampling
    config: StyleGANConfig
    views: ClassVar[Views] = {"style-mixing": StyleMixing, "truncation": Truncation, "noise": NoiseStrip}
    path_mean: Tensor

    def __init__(self, config: StyleGANConfig) -> None:
        super().__init__(config)
        self.register_buffer("path_mean", torch.zeros(()), persistent=False)

    def _networks(self, beside: int) -> tuple[nn.Module, nn.Module]:
        config, widths = self.config, widths_of(self.config.width, levels_of(self.config.image_size))
        generator = StyleGenerator(
            config.latent, config.told, config.styles, config.mapping, config.mapping_rate, config.channels, widths,
            config.injection, config.noise_rate,
        )  # fmt: skip
        return generator, StyleCritic(config.told, config.channels, widths)

    @property
    def parts(self) -> Mapping[str, Part]:
        """Critic and generator; a lazy penalty is an update more, so each of them is a little smaller (appendix B)."""
        config = self.config

        def part(rate: float, weight: float, every: int) -> Part:
            share = every / (every + 1) if weight else 1.0
            return Part(rate * share, (config.momentum**share, config.second_moment**share))

        return {
            "critic": part(config.critic_rate, config.r1, config.r1_every),
            "generator": part(1.0, config.path, config.path_every),
        }

    def variant(self, step: int, fit: FitConfig) -> Hashable:
        """Return which penalties a step has."""
        return self._pays("r1", step), self._pays("path", step)

    def _updates(self, batches: Sequence[object], step: int, generator: torch.Generator) -> Iterator[Objective]:
        """Yield the two losses of a step and, where it is their turn, R1 and the path-length penalty."""
        yield from super()._updates(batches, step, generator)
        config, (obs, labels) = self.config, self._split(batches[-1])
        if self._pays("r1", step):
            with torch.autocast(obs.device.type, enabled=False):
                slope = adversarial.r1_penalty(lambda images: self._score(images, labels), self._inside(obs).float())
            yield Objective("critic", config.r1 * config.r1_every * slope, {"r1": slope.detach()}, "r1")
        if self._pays("path", step):
            with torch.autocast(obs.device.type, enabled=False):
                penalty = self.path_penalty(max(1, len(obs) // 2), labels, generator)
            metrics = {"path": penalty.detach(), "path_length": self.path_mean.clone()}
            yield Objective("generator", config.path * config.path_every * penalty, metrics, "path")

    def path_penalty(self, n: int, labels: Tensor | None, generator: torch.Generator) -> Float[Tensor, ""]:
        """Return `E (|J^T y| - a)^2` over n images, and move `a`, the mean of `|J^T y|`, towards them (2020, eq. 4).

        J is the slope of an image in its styles and y an image of noise; a is state of the training.
        """
        ws = self._styles(n, None if labels is None else labels[:n], generator)
        images = self.generator(ws, self._noise(n, generator))
        y = torch.randn(images.shape, generator=generator, device=generator.device).to(images)
        y = y / images[0, 0].numel() ** 0.5
        (slope,) = torch.autograd.grad((images * y).sum(), ws, create_graph=True)
        lengths = slope.square().sum(2).mean(1).sqrt()
        with torch.no_grad():
            self.path_mean.lerp_(lengths.mean(), self.config.path_decay)
        return (lengths - self.path_mean.clone()).square().mean()

    def decode(self, z: Float[Tensor, "B Z"], labels: Int[Tensor, " B"] | None = None) -> Float[Tensor, "B C H W"]:
        """Return the images in [0, 1] of latents, without noise; errors as of `ImageGAN`."""
        return self.paint(self.styles(z, labels))

    def sample(  # type: ignore[override]  # it has dials of its own
        self, n: int, sampling: StyleSampling, generator: torch.Generator, labels: Int[Tensor, " n"] | None = None
    ) -> Float[Tensor, "n C H W"]:
        """Return images of n latents; of labels, by default of all classes in turn."""
        z = self._latents(n, generator)
        w = self.styles(z, self._in_turn(n, labels, z.device), sampling.truncation)
        return self.paint(w, self._noise(n, generator) if sampling.noise == "random" else None)

    def styles(
        self, z: Float[Tensor, "B Z"], labels: Int[Tensor, " B"] | None = None, truncation: float = 1.0
    ) -> Float[Tensor, "B L S"]:
        """Return the style of every layer, by the averaged weights; errors as of `ImageGAN.decode`."""
        check_latents(z, self.config.latent)
        network: Any = self.average.network
        return network.styles(z, self._condition(labels, z), truncation)[:, None].repeat(1, network.layers, 1)

    def paint(self, ws: Float[Tensor, "B L S"], noise: Sequence[Tensor] | None = None) -> Float[Tensor, "B C H W"]:
        """Return the images in [0, 1] of a style for each layer, by the averaged weights."""
        return self._outside(self.average(ws, noise))

    def _pays(self, name: str, step: int) -> bool:
        return bool(getattr(self.config, name)) and step % getattr(self.config, f"{name}_every") == 0

    def _styles(self, n: int, labels: Tensor | None, generator: torch.Generator) -> Float[Tensor, "n L S"]:
        """Return the styles of n new latents, some of them mixed, and let the mean style follow."""
        network: Any = self.generator
        z, other = self._latents(n, generator), self._latents(n, generator)
        told = self._condition(labels, z)
        w, mixed = network.styles(z, told), network.styles(other, told)
        if self.training:
            network.mean.lerp_(w.detach().float().mean(0), 1 - self.config.mean_decay)
        layers = torch.arange(network.layers, device=w.device)
        chance, place = torch.rand(2, n, generator=generator, device=generator.device).to(w.device)
        cut = 1 + (place * (network.layers - 1)).floor()  # at least one layer of each
        cut = torch.where(chance < self.config.mixing, cut, network.layers)
        return torch.where((layers < cut[:, None])[:, :, None], w[:, None], mixed[:, None])

    def _noise(self, n: int, generator: torch.Generator) -> list[Tensor]:
        """Return noise for every layer of n images."""
        network: Any = self.generator
        device = next(self.parameters()).device
        return [
            torch.randn(n, 1, side, side, generator=generator, device=generator.device).to(device)
            for side in network.synthesis.sides
        ]

    def _drawn(self, n: int, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        return self.generator(self._styles(n, labels, generator), self._noise(n, generator))

    def _make(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        network: Any = self.generator
        return network(network.styles(z, self._condition(labels, z))[:, None].repeat(1, network.layers, 1))
