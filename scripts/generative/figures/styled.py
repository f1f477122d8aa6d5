"""Figures of a network that paints in a style: how near it comes to the style, and what of the content is left.

Random filters of another seed look at both, which no training used. A painter has to beat three pictures that cost
nothing: the image itself, which has no style; the image in the colours of the style, which has none of its texture; and
a piece of the style, which has nothing of the image. So what counts is both shares together.
"""

from collections.abc import Iterator
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from generative.features.layers import random_layers
from generative.metrics.figure import NOTHING, Figure
from generative.metrics.images.colour_maps import matched_colours
from generative.models.painting.style_target import StyleTarget, as_images
from generative.models.painting.style_transfer import StyleTransfer
from scripts.generative.figures.looks import Looks

SEED = 1
"""Of the filters; networks are trained under those of 0."""
MOST = 200
"""Images that are painted."""


@torch.no_grad()
def of_styles(looks: Looks) -> Iterator[Figure]:
    """Yield the shares of style and content that painted held-out images lack, together and each."""
    model = cast(StyleTransfer, looks.module)
    images = looks.held.values[:MOST]
    config = model.config
    picture = config.picture.path or config.style
    target = StyleTarget.of(picture, config.style_size, config.channels, layers=random_layers(config.channels, SEED))
    style = as_images(picture, config.style_size)
    style = style if config.channels == 3 else style.mean(1, keepdim=True).expand(-1, config.channels, -1, -1)
    painted = torch.cat([model.restyle(part) for part in images.split(64)]).clamp(0, 1)
    coloured = matched_colours(images, style)(images).clamp(0, 1)
    piece = _tiled(style, images)
    seen = {"": painted, "unpainted": images, "in the colours of the style": coloured, "the style alone": piece}
    terms = {name: target.loss(each, images)[1] for name, each in seen.items()}
    for name, counted in (
        ("style and content", ("style", "content")),
        ("style", ("style",)),
        ("content", ("content",)),
    ):
        nothing = {name: sum(float(found[term]) for term in counted) for name, found in terms.items()}
        made = nothing.pop("")
        yield Figure(f"{name} missed", made, NOTHING, NOTHING, NOTHING, nothing, "lower", None, len(images))


def _tiled(style: Float[Tensor, "1 C h w"], images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """Return the style's picture side by side, cut to the size of the images."""
    height, width = images.shape[-2:]
    tiled = style.repeat(1, 1, -(-height // style.shape[-2]), -(-width // style.shape[-1]))
    return tiled[..., :height, :width].expand(len(images), -1, -1, -1)
