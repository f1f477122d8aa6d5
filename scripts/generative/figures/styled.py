"""Figures of a network that paints in a style: how near it comes to the style, and what of the content is left.

Random filters of another seed look at both, which no training used. What a painter has to beat is the image itself,
and the image in the colours of the style: of the texture that has nothing.
"""

from collections.abc import Iterator
from typing import cast

import torch

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
    """Yield the shares of style and content that painted held-out images lack."""
    model = cast(StyleTransfer, looks.module)
    images = looks.held.values[:MOST]
    config = model.config
    picture = config.picture.path or config.style
    target = StyleTarget.of(picture, config.style_size, config.channels, layers=random_layers(config.channels, SEED))
    style = as_images(picture, config.style_size)
    style = style if config.channels == 3 else style.mean(1, keepdim=True).expand(-1, config.channels, -1, -1)
    painted = torch.cat([model.restyle(part) for part in images.split(64)]).clamp(0, 1)
    coloured = matched_colours(images, style)(images).clamp(0, 1)
    seen = {"painted": painted, "unpainted": images, "in the colours of the style": coloured}
    terms = {name: target.loss(each, images)[1] for name, each in seen.items()}
    for term in ("style", "content"):
        values = {name: float(found[term]) for name, found in terms.items()}
        made = values.pop("painted")
        nothing = values if term == "style" else {}
        yield Figure(f"{term} missed", made, NOTHING, NOTHING, NOTHING, nothing, "lower", None, len(images))
