"""Style transfer by a network: one pass paints any image in the one style that it was trained on.

Johnson, Alahi & Fei-Fei 2016 (arXiv 1603.08155) train a residual network f by the losses that Gatys et al. 2016 lower
for every picture anew (see `generative.objectives.style`): for an image x and a style s

    content * L_content(f(x), x) + style * L_style(f(x), s) + smooth * TV(f(x))

Every map is normalised by itself (instance norm, Ulyanov et al. 2016, arXiv 1607.08022). Where an image is plain, a
convolution has nothing to begin a stroke at; so the network sees a fixed grain beside the image, as texture networks
see noise (Ulyanov et al. 2016, arXiv 1603.03417). Images are in [0, 1] outside and in [-1, 1] inside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.core.facts import Facts
from generative.data.fields import Field
from generative.data.images.named import NAMES
from generative.data.needs import square_image
from generative.models.checks import check_colours, check_not_negative, check_obs, check_sizes
from generative.models.painting.style_target import StyleTarget, StyleWeights
from generative.networks.residual import residual_generator
from generative.objectives.variational import at_least_float32
from generative.runs.run_reference import RunReference

LEAST = 16
"""Pixels of an image and of a style at least: the filters that judge halve them three times."""
NONE = RunReference()


@dataclass(frozen=True)
class StyleTransferConfig:
    """The style, what sees it, and the size of the network that paints in it."""

    image_size: int = 64
    """Height and width of the images that it learns from, in pixels; it paints larger ones too."""
    channels: int = 3
    """Colour channels of the images."""
    style: str = "strokes"
    """Name of a picture that needs no file: strokes, mosaic, china, flower, or one of scikit-image's."""
    picture: RunReference = NONE
    """File of a picture of yours, in place of `style`."""
    style_size: int = 128
    """Pixels of the style's shorter side: the smaller, the finer are its strokes in an image."""
    features: RunReference = NONE
    """What sees content and style: a run of a cnn-classifier, or a file with VGG19's weights; by default fixed random
    filters."""
    content_layer: str = ""
    """Layer that the content is read off; conv3 by default, of VGG19 conv4_2."""
    style_layers: tuple[str, ...] = ()
    """Layers that the style is read off; all of them by default, of VGG19 the first of each block."""
    content: float = 0.3
    """Weight of the content."""
    strength: float = 1.0
    """Weight of the style."""
    smooth: float = 0.02
    """Weight of the total variation."""
    width: int = 16
    """Channels of the network's finest level."""
    blocks: int = 3
    """Residual blocks; the paper has 5."""
    grain: int = 1
    """Channels of fixed noise that the network sees beside the image."""

    def __post_init__(self) -> None:
        check_sizes(self, "image_size", "channels", "style_size", "width", "blocks")
        check_not_negative(self, "content", "strength", "smooth", "grain")
        if self.image_size % 4 or self.image_size < LEAST:
            raise ValueError(
                f"image_size={self.image_size}: it is halved twice; give a multiple of 4, at least {LEAST}"
            )
        if self.style_size < LEAST:
            raise ValueError(
                f"style_size={self.style_size}: too small for the filters that judge; give {LEAST} or more"
            )
        if not self.picture and self.style not in NAMES:
            raise ValueError(f"style={self.style}: give one of {', '.join(NAMES)}, or a file (picture)")

    @property
    def weights(self) -> StyleWeights:
        """The weights of the terms."""
        return StyleWeights(self.content, self.strength, self.smooth)


class StyleTransfer(nn.Module):
    """A residual network that paints images in one style."""

    type_name = "style-transfer"
    fixed_step = True
    seam = "model"
    Config = StyleTransferConfig
    grain: Tensor
    refusals: ClassVar[Mapping[str, str]] = {
        **{name: "it has no latents; `restyle` paints images" for name in ("encode", "decode", "reconstruct")},
        "sample": "it draws nothing: it paints images that there are",
        "translate": "it knows one way only, into its style: `restyle`",
    }

    def __init__(self, config: StyleTransferConfig) -> None:
        super().__init__()
        self.config = config
        self.painter = residual_generator(config.channels, config.width, config.blocks, more=config.grain)
        self.register_buffer("grain", torch.randn(config.grain, config.image_size, config.image_size))
        self._target: list[StyleTarget] = []  # a list, so that what only judges is no part of the component

    @property
    def inputs(self) -> tuple[str, ...]:
        """Images."""
        return ("image",)

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return the images' size and channels; errors as of `FitsData`."""
        return square_image(cls, fields)

    def loss(
        self, batch: Float[Tensor, "B C H W"], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the weighted terms and each by itself; draw nothing.

        Raises:
            ValueError: images of another size or range.
            ComponentError: the style's picture, or what sees it, is missing or has changed.
        """
        check_obs(batch, self.config)
        check_colours(batch)
        return self.target(batch.device).loss(self._painted(batch), batch)

    def restyle(self, obs: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return images in [0, 1], of any size in multiples of 4, in the style.

        Raises:
            ValueError: images of other colours, or of a size that is no such multiple.
        """
        if obs.shape[1] != self.config.channels or obs.shape[2] % 4 or obs.shape[3] % 4 or min(obs.shape[2:]) < 8:
            raise ValueError(
                f"images of shape {tuple(obs.shape)}: expected (B, {self.config.channels}, H, W), height and width in "
                "multiples of 4, at least 8"
            )
        check_colours(obs)
        return self._painted(obs)

    def target(self, device: torch.device | str) -> StyleTarget:
        """Return what judges a painted image; it is read when it is first needed, which is in training alone."""
        if not self._target:
            config = self.config
            picture = config.picture.checked_file() if config.picture else config.style
            self._target.append(
                StyleTarget.of(
                    picture, config.style_size, config.channels, config.features,
                    config.content_layer, config.style_layers, config.weights,
                )
            )  # fmt: skip
        return self._target[0].to(device)

    def _painted(self, images: Tensor) -> Tensor:
        side = self.config.image_size
        times = [-(-length // side) for length in images.shape[2:]]
        grain = self.grain.repeat(1, *times)[:, : images.shape[2], : images.shape[3]]
        seen = torch.cat([2 * images - 1, grain.expand(len(images), -1, -1, -1)], dim=1)
        return (at_least_float32(self.painter(seen)) + 1) / 2
