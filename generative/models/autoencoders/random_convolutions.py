"""Fixed random convolutions: how far a vision comes that has learned nothing.

The fast layout's encoder with weights that stay as drawn (random features of images are a strong baseline:
Saxe et al. 2011; for reinforcement learning Gaier & Ha 2019 and Burda et al. 2018), each output shifted and scaled
to unit spread. There is no way back to an image, so it refuses to decode: a dream in its latents cannot be
looked at.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor

from generative.core.facts import Facts
from generative.core.options import ComponentError
from generative.models.autoencoders.health import active_units, check_different, effective_dimensions
from generative.models.autoencoders.image_autoencoder import ImageEncoder
from generative.models.autoencoders.latents import ESTIMATE_FRAMES, LatentScale, encode_many, take
from generative.models.checks import check_image_size, check_obs, check_sizes
from generative.networks.convolutions import draw_he, fast_encoder
from generative.objectives.variational import at_least_float32

NO_WAY_BACK = "random convolutions are never trained to give an image back, so their frames cannot be shown"


@dataclass(frozen=True)
class RandomConvolutionsConfig:
    """Sizes of the random features."""

    latent: int = 64
    """Features Z."""
    image_size: int = 64
    """Height and width of the frames in pixels; a multiple of 16."""
    channels: int = 3
    """Colour channels of the frames."""
    width: int = 32
    """Channels of the finest level; coarser levels have multiples of it."""

    def __post_init__(self) -> None:
        check_sizes(self, "latent", "image_size", "channels", "width")
        check_image_size(self)


class RandomConvolutions(ImageEncoder):
    """An encoder of square images in [0, 1] whose weights nobody trains."""

    type_name = "random-convolutions"
    seam = "vision"
    Config = RandomConvolutionsConfig
    refusals: ClassVar[Mapping[str, str]] = {
        name: NO_WAY_BACK for name in ("decode", "reconstruct", "interpolate", "sample")
    }

    def __init__(self, config: RandomConvolutionsConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = fast_encoder(config.channels, config.latent, config.image_size, config.width)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        draw_he(self.encoder)
        self.requires_grad_(False)
        self.scale = LatentScale(config.latent)

    def encode(self, obs: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Return the features, at unit spread once `estimate` was called, and a deviation of 0; obs in [0, 1].

        Raises:
            ValueError: the images do not have the configured channels and size.
        """
        check_obs(obs, self.config)
        z = self.scale(at_least_float32(self.encoder(obs)))
        return z, torch.zeros_like(z)

    def decode(self, z: Float[Tensor, "B Z"]) -> NoReturn:
        """Refuse with a ComponentError; it is here for callers that did not ask first."""
        raise ComponentError(f"{self.type_name} cannot `decode`: {NO_WAY_BACK}")

    def loss(
        self, obs: Float[Tensor, "B C H W"], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return how far features are from mean 0 and deviation 1, squared, on average over features.

        It has no gradient; `estimate` brings it down.
        """
        z, _ = self.encode(obs)
        off = (z.mean(0).square() + (z.std(0, correction=0) - 1).square()).mean()
        return off, {"off_scale": off}

    def estimate(self, batches: Iterator[Tensor], generator: torch.Generator) -> None:
        """Bring features to unit spread over some images, (B C H W) in [0, 1]."""
        obs = take(batches, ESTIMATE_FRAMES)
        self.scale.estimate(encode_many(lambda part: at_least_float32(self.encoder(part)), obs))

    @torch.no_grad()
    def diagnose(self, obs: Float[Tensor, "B C H W"], mean_frame: Float[Tensor, "C H W"] | None = None) -> Facts:
        """Tell whether features depend on the image; without a decoder there is no error to measure.

        Returns:
            `active_units` (features that vary over images), `effective_dimensions` (over how many independent
            directions they do), `verdict` "healthy" or "collapsed", `reason`.

        Raises:
            ValueError: all images are the same.
        """
        check_different(obs)
        z, _ = self.encode(obs)
        active, directions = active_units(z), effective_dimensions(z)
        said = f"{active} of {self.config.latent} random features vary, over about {directions:.1f} directions"
        if not active:
            said = f"none of the {self.config.latent} random features depends on the image; use another seed"
        return {
            "active_units": active,
            "effective_dimensions": directions,
            "verdict": "healthy" if active else "collapsed",
            "reason": said,
        }
