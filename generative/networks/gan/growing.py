"""The networks of ProGAN: a generator and a critic that grow from 4 x 4 pixels, a level at a time.

Karras et al. 2018 (arXiv 1710.10196, figure 2 and table 2). A new level fades in: the generator's image is
`(1 - alpha) up(to_rgb(before)) + alpha to_rgb(after)`, and the critic's features are
`(1 - alpha) from_rgb(down(image)) + alpha block(from_rgb(image))`. Images have no bounds here.
"""

import itertools
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from generative.networks.gan.equalised import GAIN, CriticHead, EqualisedConv, EqualisedLinear, Leaky, PixelNorm

START = 4
"""Pixels of the coarsest level."""
WIDEST = 4
"""Channels of coarse levels in multiples of the finest, at most."""


def levels_of(image_size: int) -> int:
    """Return how often 4 pixels are doubled to a size; raise ValueError where it is no power of two from 8 on."""
    levels = round(math.log2(image_size / START)) if image_size >= 1 else 0
    if levels < 1 or START * 2**levels != image_size:
        raise ValueError(f"image_size={image_size}: is doubled from 4 pixels; use 8, 16, 32, 64, 128 or 256")
    return levels


def widths_of(width: int, levels: int) -> list[int]:
    """Return the channels of all levels from the coarsest to the finest."""
    return [width * min(2 ** (levels - level), WIDEST) for level in range(levels + 1)]


def blend(before: Tensor, after: Tensor, alpha: Tensor) -> Tensor:
    """Return `before` at alpha 0 and `after` at alpha 1, each exactly."""
    return (1 - alpha) * before + alpha * after


def doubled(images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H2 W2"]:
    """Return images of twice the size, each pixel four times."""
    return interpolate(images, scale_factor=2.0, mode="nearest")


def coarse(images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """Return images as they are at half the size, in the same size."""
    return doubled(avg_pool2d(images, 2))


class GrowingGenerator(nn.Module):
    """Latents, and what is told beside them, to images of any level."""

    def __init__(self, latent: int, told: int, channels: int, widths: list[int]) -> None:
        super().__init__()
        self.start = nn.Sequential(
            PixelNorm(),
            EqualisedLinear(latent + told, widths[0] * START**2, GAIN),
            nn.Unflatten(1, (widths[0], START, START)),
            *(Leaky(), PixelNorm(), EqualisedConv(widths[0], widths[0], 3), Leaky(), PixelNorm()),
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(EqualisedConv(before, after, 3), Leaky(), PixelNorm()),
                *(EqualisedConv(after, after, 3), Leaky(), PixelNorm()),
            )
            for before, after in itertools.pairwise(widths)
        )
        self.to_rgb = nn.ModuleList(EqualisedConv(width, channels, 1, gain=1.0) for width in widths)

    def forward(
        self, z: Float[Tensor, "B Z"], told: Float[Tensor, "B K"] | None, level: int, alpha: Tensor | None = None
    ) -> Float[Tensor, "B C H W"]:
        """Return images of 4 * 2^level pixels; with alpha that level is only fading in."""
        features = before = self.start(z if told is None else torch.cat([z, told], 1))
        for block in self.blocks[:level]:
            before = doubled(features)
            features = block(before)
        image = self.to_rgb[level](features)
        if alpha is None or level == 0:
            return image
        return blend(self.to_rgb[level - 1](before), image, alpha)


class GrowingCritic(nn.Module):
    """Images of any level to scores."""

    def __init__(self, told: int, channels: int, widths: list[int]) -> None:
        super().__init__()
        self.from_rgb = nn.ModuleList(nn.Sequential(EqualisedConv(channels, width, 1), Leaky()) for width in widths)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(EqualisedConv(after, after, 3), Leaky()),
                *(EqualisedConv(after, before, 3), Leaky(), nn.AvgPool2d(2)),
            )
            for before, after in itertools.pairwise(widths)
        )
        self.head = CriticHead(widths[0], told)

    def forward(
        self, images: Float[Tensor, "B C H W"], told: Float[Tensor, "B K"] | None, level: int,
        alpha: Tensor | None = None,
    ) -> Float[Tensor, " B"]:  # fmt: skip
        """Return scores of images of 4 * 2^level pixels; with alpha that level is only fading in."""
        features = self.from_rgb[level](images)
        for down in range(level, 0, -1):
            features = self.blocks[down - 1](features)
            if alpha is not None and down == level:
                features = blend(self.from_rgb[level - 1](avg_pool2d(images, 2)), features, alpha)
        return self.head(features, told)
