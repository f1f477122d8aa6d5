"""`generative style CONTENT STYLE`: a picture painted in the style of another one, over its pixels, without training.

Several weights of the content make a row: a dial from content to style.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import tyro
from jaxtyping import UInt8

from generative import to_uint8
from generative.core.facts import Facts
from generative.data.images.named import NAMES
from generative.models.painting.style_target import StyleTarget, StyleWeights, as_images, painted
from generative.report.images import captioned, row, write_png
from generative.runs.run_reference import RunReference
from scripts.generative.runs.folders import RUNS
from scripts.terminal.parsing import UsageError


@dataclass(frozen=True)
class StyleOptions:
    """Which pictures, what sees them, and how much each counts."""

    content: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CONTENT")] = ""
    """Picture that gives the content: a file, or strokes, mosaic, china, flower, or one of scikit-image's."""
    style: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="STYLE")] = ""
    """Picture that gives the style, as the content."""
    content_weight: tuple[float, ...] = (0.3,)
    """Weight of the content's term beside 1 of the style's; several make one picture each."""
    smooth: float = 0.02
    """Weight of the total variation."""
    size: int = 160
    """Shorter side of the picture in pixels."""
    style_size: int = 160
    """Shorter side of the style's picture in pixels: the larger, the larger its strokes."""
    steps: int = 200
    """Evaluations of the loss."""
    optimiser: Literal["l-bfgs", "adam"] = "l-bfgs"
    """What lowers it."""
    rate: float = 0.02
    """Learning rate of adam."""
    features: str = ""
    """What sees both: a run of a cnn-classifier, or a file with VGG19's weights; fixed random filters by default."""
    content_layer: str = ""
    """Layer that the content is read off; the network's usual one by default."""
    style_layers: tuple[str, ...] = ()
    """Layers that the style is read off; the network's usual ones by default."""
    device: str = "cpu"
    """Where it is computed."""
    out: str = ""
    """File for the picture; runs/generative/style/CONTENT-STYLE.png by default."""

    def __post_init__(self) -> None:
        for name, least in (("size", 16), ("style_size", 16), ("steps", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: give {least} or more")
        if not self.content_weight:
            raise ValueError("content_weight=(): give one or more")
        if not self.rate > 0:
            raise ValueError(f"rate={self.rate}: must be above 0")


def main(options: StyleOptions) -> Sequence[str]:
    """Paint, write content, style and paintings side by side, and return the terms before and after.

    Raises:
        UsageError: a picture is not named.
        ComponentError: there is no such picture, network or layer.
    """
    if not (options.content and options.style):
        raise UsageError(f"name two pictures: generative style CONTENT STYLE; files, or {', '.join(NAMES)}")
    content = as_images(options.content, options.size).to(options.device)
    shown = [captioned(_bytes(as_images(name, options.size)), name) for name in (options.content, options.style)]
    features = RunReference(options.features)
    lines = []
    for weight in options.content_weight:
        weights = StyleWeights(weight, 1.0, options.smooth)
        target = StyleTarget.of(
            options.style, options.style_size, 3, features, options.content_layer, options.style_layers, weights
        ).to(options.device)
        first, *_, (last, image) = painted(
            target, content, steps=options.steps, optimiser=options.optimiser, rate=options.rate
        )
        shown.append(captioned(_bytes(image), f"content {weight:g}"))
        lines.append(f"content weight {weight:g}: {_terms(first[0])} -> {_terms(last)}")
    names = f"{Path(options.content).stem}-{Path(options.style).stem}.png"
    path = Path(options.out) if options.out else Path(RUNS) / "style" / names
    write_png(path, row(shown))
    return [*lines, f"content, style and what was painted: {path}"]


def _bytes(image: torch.Tensor) -> UInt8[np.ndarray, "H W 3"]:
    return to_uint8(image.cpu())[0].numpy()


def _terms(facts: Facts) -> str:
    return ", ".join(f"{name} {facts[name]:.4f}" for name in ("style", "content", "smooth"))
