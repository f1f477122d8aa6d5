"""Energy-based model: a network gives data low energy and everything else more; noise walks down to data.

p(x) is proportional to exp(-E(x)), and its constant is never known. The gradient of the log-likelihood is that of the
energy of samples less that of data (Hinton 2002, contrastive divergence), so with real data x and samples y the network
goes down (Du & Mordatch 2019, arXiv 1903.08689, section 3.2)

    mean E(x) - mean E(y) + regularisation (mean E(x)^2 + mean E(y)^2)

Samples are walks of Langevin dynamics. They go on from those of earlier steps, which a replay keeps, a few of them anew
from noise (Tieleman 2008, persistent chains). Images are in [0, 1] outside and in [-1, 1] inside.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from generative.core.component import Objective, Part
from generative.core.views import Views
from generative.models.checks import check_not_negative, check_sizes
from generative.models.layouts import ImagesOrPoints
from generative.models.likelihood.views import OF_ENERGIES, OF_ENERGIES_IN_THE_PLANE, in_the_plane
from generative.networks.energies import image_energy, point_energy
from generative.objectives.variational import at_least_float32
from generative.sampling.langevin import Walk, langevin

REACH = 4.0
"""Points begin as noise from minus this to this in every direction."""


@dataclass(frozen=True)
class EnergyConfig:
    """Sizes of the network, and how samples walk while it is trained."""

    layout: Literal["convolutions", "points"] = "convolutions"
    """convolutions: square images in [0, 1]. points: vectors of `dimensions` numbers."""
    image_size: int = 32
    """Height and width of the images in pixels; a multiple of 16."""
    channels: int = 1
    """Colour channels of the images."""
    dimensions: int = 2
    """Numbers of a point."""
    width: int = 16
    """Channels of the finest maps, the coarsest have four times as many; for points, units of a hidden layer."""
    walk: int = 60
    """Langevin steps of a sample in a step of training."""
    step: float = 20.0
    """Factor of the energy's gradient in a Langevin step, twice; the book's 10 is that of the gradient itself."""
    noise: float = 0.005
    """Standard deviation of the noise in a Langevin step."""
    clip: float = 0.03
    """Largest magnitude of a number of the gradient; 0 turns it off."""
    replay: int = 8192
    """Samples of earlier steps to go on from."""
    fresh: float = 0.05
    """Share of samples that begin anew from noise."""
    regularisation: float = 0.1
    """Weight of the squared energies, which keeps them near 0."""
    data_noise: float = 0.005
    """Standard deviation of noise on real data, so that they are no sharper than samples can be."""
    momentum: float = 0.0
    """Adam's decay of the mean gradient."""

    def __post_init__(self) -> None:
        check_sizes(self, "image_size", "channels", "dimensions", "width", "walk", "replay")
        check_not_negative(self, "step", "noise", "clip", "regularisation", "data_noise")
        if not 0 <= self.fresh <= 1:
            raise ValueError(f"fresh={self.fresh}: a share; give 0 to 1")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum={self.momentum}: give 0 or more, but less than 1")
        if self.layout == "convolutions" and self.image_size % 16:
            raise ValueError(f"image_size={self.image_size}: is halved four times; give a multiple of 16")


@dataclass(frozen=True)
class LangevinSampling:
    """How noise walks down to data."""

    steps: int = 200
    """Langevin steps."""
    noise: float = 1.0
    """Times the noise in each, as it is in training: 0 walks straight down."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps={self.steps}: give 1 or more")
        if not 0 <= self.noise < math.inf:
            raise ValueError(f"noise={self.noise}: must be 0 or more, and finite")


class Energy(ImagesOrPoints):
    """The energy of images in [0, 1] or of points, and walks down it."""

    type_name = "energy"
    fixed_step = True
    seam = "model"
    Config = EnergyConfig
    Sampling: ClassVar[type] = LangevinSampling
    views: Views = OF_ENERGIES_IN_THE_PLANE
    batches_per_step: ClassVar[int] = 1
    refusals: ClassVar[Mapping[str, str]] = {
        **{
            name: "an energy has no latents: data themselves walk down it"
            for name in ("encode", "decode", "reconstruct", "interpolate")
        },
        "log_prob": "the energy is the log-density up to a constant that nobody knows; `energy` compares data",
    }
    replay: Tensor
    filled: Tensor

    def __init__(self, config: EnergyConfig) -> None:
        super().__init__()
        self.config = config
        self.views = OF_ENERGIES_IN_THE_PLANE if in_the_plane(config) else OF_ENERGIES
        if config.layout == "points":
            self.network = point_energy(config.dimensions, config.width)
        else:
            self.network = image_energy(config.channels, config.image_size, config.width)
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.register_buffer("replay", torch.zeros(config.replay, *self._shape), persistent=False)
        self.register_buffer("filled", torch.zeros(config.replay, dtype=torch.bool), persistent=False)

    @property
    def parts(self) -> Mapping[str, Part]:
        """The network."""
        return {"network": Part(betas=(self.config.momentum, 0.999))}

    def objectives(self, batches: Sequence[Any], step: int, generator: torch.Generator) -> Iterator[Objective]:
        """Yield the contrast of real data with samples, which the replay keeps."""
        x = self._inside(batches[0])
        places, start = self._starts(len(x), generator)
        with torch.autocast(x.device.type, enabled=False):  # steps of half precision are coarser than the noise
            y = self._walked(start, self.config.walk, 1.0, generator)
        self.replay[places] = y
        self.filled.index_fill_(0, places, True)
        blurred = x + self.config.data_noise * self._normal(x.shape, generator)
        real, made = self._energy(torch.cat([blurred, y])).chunk(2)
        spread = real.square().mean() + made.square().mean()
        metrics = {"real_energy": real.mean().detach(), "made_energy": made.mean().detach()}
        yield Objective("network", real.mean() - made.mean() + self.config.regularisation * spread, metrics, "contrast")

    def energy(self, obs: Float[Tensor, "B ..."]) -> Float[Tensor, " B"]:
        """Return the energy of data: minus their log-density in nats, up to a constant.

        Raises:
            ValueError: data of another shape.
        """
        return self._energy(self._inside(obs))

    @torch.no_grad()
    def sample(self, n: int, sampling: LangevinSampling, generator: torch.Generator) -> Float[Tensor, "n ..."]:
        """Return data that noise has walked down to; the replay stays as it is."""
        return self._outside(self._walked(self._fresh(n, generator), sampling.steps, sampling.noise, generator))

    def walk(self, n: int, sampling: LangevinSampling, generator: torch.Generator) -> Iterator[Float[Tensor, "n ..."]]:
        """Yield data after each step of the walks that `sample` takes, noise first."""
        x = self._fresh(n, generator)
        yield self._outside(x)
        for each in langevin(self._energy, x, sampling.steps, self._walk(sampling.noise), generator):
            yield self._outside(each)

    def _starts(self, n: int, generator: torch.Generator) -> tuple[Int[Tensor, " n"], Float[Tensor, "n ..."]]:
        """Return n places of the replay, no two the same, and where walks begin: what is there, or noise."""
        capacity = len(self.replay)
        if n > capacity:
            raise ValueError(f"replay={capacity}: a batch has {n} items; raise replay or lower batch")
        draws = torch.rand(capacity + n, generator=generator, device=generator.device).to(self.replay.device)
        places = draws[:capacity].argsort()[:n]
        kept: Bool[Tensor, " n"] = self.filled[places] & (draws[capacity:] >= self.config.fresh)
        return places, torch.where(_beside(kept, self.replay), self.replay[places], self._fresh(n, generator))

    def _walked(self, x: Tensor, steps: int, noise: float, generator: torch.Generator) -> Tensor:
        """Return where walks end; the weights are not asked for gradients of them."""
        for reached in langevin(self._energy, x, steps, self._walk(noise), generator):
            x = reached
        return x

    def _walk(self, noise: float) -> Walk:
        c = self.config
        return Walk(c.step, noise * c.noise, c.clip, REACH if c.layout == "points" else 1.0)

    def _fresh(self, n: int, generator: torch.Generator) -> Float[Tensor, "n ..."]:
        """Return even noise."""
        even = torch.rand(n, *self._shape, generator=generator, device=generator.device).to(self.replay)
        return (REACH if self.config.layout == "points" else 1.0) * (2 * even - 1)

    def _normal(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        return torch.randn(shape, generator=generator, device=generator.device).to(self.replay)

    def _energy(self, x: Tensor) -> Float[Tensor, " B"]:
        return at_least_float32(self.network(x))[:, 0]

    def _outside(self, x: Tensor) -> Tensor:
        return x if self.config.layout == "points" else (x + 1) / 2


def _beside(rows: Tensor, like: Tensor) -> Tensor:
    """Return a value for each item so that it spreads over its numbers."""
    return rows.view(-1, *[1] * (like.ndim - 1))
