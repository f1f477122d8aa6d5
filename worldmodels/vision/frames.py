"""Frames that stand for themselves: a vision that learns nothing, for memories that predict pixels.

A frame is averaged over squares down to `side` pixels, and its pixels are the latent, `GAIN (x - 0.5)`. Those of
CarRacing then have a spread of about 1 and change by about a third of that in a step of four frames. What is lost is
what the smaller picture lacks. A controller can hardly read thousands of numbers, so this vision is for a memory such
as `frame-diffusion`, and for asking what a learnt latent costs.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from generative.core.facts import Facts
from generative.models.autoencoders.health import active_units, errors, verdict
from generative.models.autoencoders.image_autoencoder import ImageAutoencoder
from generative.models.checks import check_obs, check_sizes
from generative.objectives.variational import squared_error

GAIN = 4.0
"""Numbers of a latent for the whole range of a pixel."""


@dataclass(frozen=True)
class FramesConfig:
    """Size of what is seen."""

    side: int = 32
    """Height and width of the latent in pixels; the frames' is a multiple of it."""
    image_size: int = 64
    """Height and width of the frames in pixels."""
    channels: int = 3
    """Colour channels of the frames."""

    def __post_init__(self) -> None:
        check_sizes(self, "side", "image_size", "channels")
        if self.image_size % self.side:
            raise ValueError(f"side={self.side}: frames of {self.image_size} pixels are not a multiple of it")

    @property
    def latent(self) -> int:
        """Z, how many numbers the small frame has."""
        return self.channels * self.side**2


class Frames(ImageAutoencoder):
    """Square images in [0, 1] to their smaller selves and back."""

    type_name: ClassVar[str] = "frames"
    seam: ClassVar[str] = "vision"
    Config = FramesConfig
    config: FramesConfig

    def __init__(self, config: FramesConfig) -> None:
        super().__init__()
        self.config = config

    def encode(self, obs: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Return the pixels of the smaller images, channel by channel and row by row, and a deviation of 0.

        Raises:
            ValueError: the images do not have the configured channels and size.
        """
        check_obs(obs, self.config)
        small = F.avg_pool2d(obs.float(), self.config.image_size // self.config.side)
        z = GAIN * (small.flatten(1) - 0.5)
        return z, torch.zeros_like(z)

    def decode(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B C H W"]:
        """Return the images at their size, bilinear, clipped to [0, 1]."""
        small = z.unflatten(1, (self.config.channels, self.config.side, self.config.side)) / GAIN + 0.5
        size = (self.config.image_size, self.config.image_size)
        return F.interpolate(small, size, mode="bilinear", align_corners=False).clamp(0, 1)

    def loss(
        self, obs: Float[Tensor, "B C H W"], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the squared error per image; nothing brings it down."""
        error = squared_error(obs, self.reconstruct(obs))
        return error, {"squared_error": error}

    @torch.no_grad()
    def diagnose(self, obs: Float[Tensor, "B C H W"], mean_frame: Float[Tensor, "C H W"] | None = None) -> Facts:
        """Tell how much of the images is left at their smaller size.

        Returns:
            `squared_error` and `baseline_squared_error` per image, `explained`, `active_units`, `verdict`, `reason`.

        Raises:
            ValueError: all images are the same.
        """
        found = errors(obs, self.reconstruct(obs), mean_frame)
        active = active_units(self.encode(obs)[0])
        said, reason = verdict(found["explained"], active, self.config.latent, "raise side")
        return {**found, "active_units": active, "verdict": said, "reason": reason}
