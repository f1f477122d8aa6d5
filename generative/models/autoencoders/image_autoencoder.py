"""What encoders and autoencoders of square images share, given how they encode and decode."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from generative.core.component import LatentSpec
from generative.core.facts import Facts
from generative.data.fields import Field
from generative.data.needs import square_image
from generative.models.autoencoders.latents import interpolate


class ImageEncoder(nn.Module):
    """Square images in [0, 1] to latents; its config has `latent`, `image_size` and `channels`."""

    config: Any

    @property
    def inputs(self) -> tuple[str, ...]:
        """Images alone."""
        return ("image",)

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return image size and channels; errors as of `FitsData`."""
        return square_image(cls, fields)

    @property
    def latent_spec(self) -> LatentSpec:
        """What `encode` returns."""
        return LatentSpec("continuous", self.config.latent)


class ImageAutoencoder(ImageEncoder):
    """The same, and back."""

    def encode(self, obs: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Return mean and deviation of the latents of images in [0, 1]."""
        raise NotImplementedError

    def decode(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B C H W"]:
        """Return the images in [0, 1] that latents stand for."""
        raise NotImplementedError

    def reconstruct(self, obs: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return what is left of images after the latent, or its mean."""
        return self.decode(self.encode(obs)[0])

    def interpolate(
        self, first: Float[Tensor, "B C H W"], second: Float[Tensor, "B C H W"], steps: int
    ) -> Float[Tensor, "B S C H W"]:
        """Return S images from one image to another, along the line between their latents, both ends included.

        Raises:
            ValueError: there are fewer than two steps.
        """
        return interpolate(lambda obs: self.encode(obs)[0], self.decode, first, second, steps)
