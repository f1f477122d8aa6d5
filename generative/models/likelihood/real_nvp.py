"""RealNVP: data turned into Gaussian noise by an invertible network, and noise into data by the same one backwards.

Dinh, Sohl-Dickstein & Bengio 2017 (arXiv 1605.08803). With z = f(x) and z from N(0, I), the density is exact (eq. 2):

    log p(x) = log N(f(x); 0, I) + log |det df/dx|

`coupling` has the layers of f. Pixels are whole numbers k of a few levels, and a density of whole numbers could rise
without bound. So each becomes `y = (k + u) / levels`, u uniform in [0, 1) (Uria, Murray & Larochelle 2013, arXiv
1306.0186, section 4.1), whose log-density, minus `log levels` for each number, is a lower bound of the log-probability
of k in the mean (Theis et al. 2016, arXiv 1511.01844, section 3.1): bits compare with those of a PixelCNN on the same
levels. Then `logit(a + (1 - 2 a) y)` leaves the unit interval (section 4.1), and its slope counts in the density.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.core.component import LatentSpec
from generative.core.views import Views
from generative.models.autoencoders.latents import interpolate
from generative.models.checks import check_obs, check_points, check_sizes
from generative.models.layouts import ImagesOrPoints
from generative.models.likelihood.views import OF_FLOWS, OF_FLOWS_IN_THE_PLANE, in_the_plane
from generative.networks.coupling import image_flow, point_flow
from generative.objectives.variational import at_least_float32
from generative.sampling.dials import PriorSampling

NOISE_SEED = 0
"""Of the noise within a level in `log_prob`, so that the same images have the same figure."""


@dataclass(frozen=True)
class RealNVPConfig:
    """Sizes of the flow."""

    layout: Literal["convolutions", "points"] = "convolutions"
    """convolutions: square images in [0, 1]. points: vectors of `dimensions` numbers."""
    image_size: int = 16
    """Height and width of the images in pixels; can be halved `scales - 1` times."""
    channels: int = 1
    """Colour channels of the images."""
    levels: int = 256
    """Values that a pixel is rounded to, equally far apart from 0 to 1; stored images have 256."""
    dimensions: int = 2
    """Numbers of a point."""
    scales: int = 3
    """Sizes of an image, each half of the one before."""
    couplings: int = 4
    """Couplings of points; of images, those of each kind of mask at each scale."""
    width: int = 32
    """Units or channels of a hidden layer in a coupling's network."""
    hidden: int = 2
    """Hidden layers of a coupling's network; for images, residual blocks."""
    edge: float = 0.05
    """Share of the unit interval kept free at either end before the logit (a above)."""

    def __post_init__(self) -> None:
        check_sizes(self, "image_size", "channels", "dimensions", "scales", "couplings", "width", "hidden")
        if not 2 <= self.levels <= 256:
            raise ValueError(f"levels={self.levels}: give 2 to 256, the values that a stored pixel can have")
        if not 0 < self.edge < 0.5:
            raise ValueError(f"edge={self.edge}: give more than 0 and less than 0.5; 0.05 is the paper's")
        if self.layout == "points" and self.dimensions < 2:
            raise ValueError("dimensions=1: a coupling moves some numbers by the others; give points of 2 or more")
        halves = 2 ** (self.scales - 1)
        if self.layout == "convolutions" and (self.image_size % halves or self.image_size < 2 * halves):
            raise ValueError(
                f"image_size={self.image_size}: scales={self.scales} halve it {self.scales - 1} times, down to 2 or "
                "more; lower scales, or give a multiple"
            )

    @property
    def numbers(self) -> int:
        """How many numbers an item has, and its latent."""
        return self.dimensions if self.layout == "points" else self.channels * self.image_size**2


class RealNVP(ImagesOrPoints):
    """The density of points, or of square images in [0, 1] whose pixels have levels."""

    type_name = "real-nvp"
    fixed_step = True
    seam = "model"
    Config = RealNVPConfig
    Sampling: ClassVar[type] = PriorSampling
    views: Views = OF_FLOWS_IN_THE_PLANE

    def __init__(self, config: RealNVPConfig) -> None:
        super().__init__()
        self.config, c = config, config
        self.views = OF_FLOWS_IN_THE_PLANE if in_the_plane(config) else OF_FLOWS
        if c.layout == "points":
            self.flow: nn.Module = point_flow(c.dimensions, c.couplings, c.width, c.hidden)
        else:
            self.flow = image_flow(c.channels, c.image_size, c.scales, c.couplings, c.width, c.hidden)
            self.levels = c.levels  # of points there are none
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def latent_spec(self) -> LatentSpec:
        """What `encode` returns: as many numbers as an item has."""
        return LatentSpec("continuous", self.config.numbers)

    def log_prob(self, obs: Float[Tensor, "B ..."]) -> Float[Tensor, " B"]:
        """Return the log-density of points; of images a bound on the log-probability of their levels, in nats.

        Raises:
            ValueError: items of another shape.
        """
        return self._log_prob(obs, torch.Generator().manual_seed(NOISE_SEED))

    def loss(
        self, obs: Float[Tensor, "B ..."], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the negative log-probability of an item, and of images `bits_per_dim`."""
        loss = -self._log_prob(obs, generator).mean()
        if self.config.layout == "points":
            return loss, {}
        return loss, {"bits_per_dim": loss.detach() / (math.log(2) * self.config.numbers)}

    def encode(self, obs: Float[Tensor, "B ..."]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Return the latents of items, those of a pixel's level from its middle, and 0 as their deviation.

        Raises:
            ValueError: items of another shape.
        """
        inside, _ = self._dequantised(obs, None)
        z: Tensor = self.flow(inside)[0]
        return z, torch.zeros_like(z)

    def decode(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B ..."]:
        """Return the points that latents stand for, or the images in [0, 1], rounded to their levels."""
        x: Tensor = self.flow.inverse(z)  # type: ignore[operator]
        if self.config.layout == "points":
            return x
        levels, edge = self.config.levels, self.config.edge
        y = (x.sigmoid() - edge) / (1 - 2 * edge)
        return (y * levels).floor().clamp(0, levels - 1) / (levels - 1)

    def reconstruct(self, obs: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """Return items after the way there and back: themselves, but for the levels of their pixels."""
        return self.decode(self.encode(obs)[0])

    def interpolate(
        self, first: Float[Tensor, "B ..."], second: Float[Tensor, "B ..."], steps: int
    ) -> Float[Tensor, "B S ..."]:
        """Return S items on the way from one to another, along the line between their latents."""
        return interpolate(lambda obs: self.encode(obs)[0], self.decode, first, second, steps)

    def sample(self, n: int, sampling: PriorSampling, generator: torch.Generator) -> Float[Tensor, "n ..."]:
        """Return items of latents drawn from N(0, temperature)."""
        device = next(self.parameters()).device
        z = torch.randn(n, self.config.numbers, generator=generator, device=generator.device).to(device)
        return self.decode(sampling.temperature**0.5 * z)

    def _log_prob(self, obs: Tensor, generator: torch.Generator) -> Float[Tensor, " B"]:
        inside, log_slope = self._dequantised(obs, generator)
        z, log_det = self.flow(inside)
        return self._prior(z) + log_det + log_slope

    def _prior(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, " B"]:
        """Return log N(z; 0, I)."""
        return -0.5 * (z.square().sum(1) + z.shape[1] * math.log(2 * math.pi))

    def _dequantised(self, obs: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Float[Tensor, " B"]]:
        """Return checked items as the flow takes them and the log-slope of what was done; None is the middle."""
        config = self.config
        if config.layout == "points":
            check_points(obs, config.dimensions)
            return obs, obs.new_zeros(len(obs))
        check_obs(obs, config)
        level = (at_least_float32(obs) * (config.levels - 1)).round().clamp(0, config.levels - 1)
        within: Tensor | float = 0.5
        if generator is not None:
            within = torch.rand(obs.shape, generator=generator, device=generator.device).to(level)
        y = (level + within) / config.levels
        p = config.edge + (1 - 2 * config.edge) * y
        log_slope = math.log((1 - 2 * config.edge) / config.levels) - p.log() - (-p).log1p()
        return p.logit(), cast(Tensor, log_slope).flatten(1).sum(1)
