"""Two domains with known pairs: shapes filled with a colour on light ground, and their outlines on dark ground.

The outline of item i is that of the filled shape of item i, so a translation has a right answer, though a model sees
no pairs. No map of colours is one: inside a shape and on its border the same colour becomes two.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Int64, UInt8

from generative.data.drawn.shapes import FACTORS, ShapesConfig, colours, mask
from generative.data.fields import Data, Field, Reader

LINE = 0.06
"""Width of a line as a share of the image."""
LIGHT, DARK = 235.0, 20.0
"""Grounds of the two domains."""


@dataclass(frozen=True)
class OutlinesConfig:
    """Filled shapes and outlines, two domains with known pairs."""

    size: int = 32
    """Height and width of the images in pixels."""
    count: int = 10_000
    """Number of pairs, a tenth of them held out."""
    seed: int = 0
    """Determines every image."""

    def __post_init__(self) -> None:
        ShapesConfig(size=self.size, count=self.count, seed=self.seed)

    def load(self) -> Data:
        """Return the shapes as the fields "image" (filled) and "outline"."""
        shapes = ShapesConfig(size=self.size, count=self.count, seed=self.seed).load()
        image = Field("image", (self.size, self.size, 3), "uint8")
        fields = {"image": image, "outline": image, "label": shapes.fields["label"]}

        def draw(line: float, ground: float, items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W 3"]:
            factors = shapes.readers["factors"](items)
            fronts = 255 * colours(factors[:, FACTORS.index("hue")])
            covered = np.stack([mask(row, self.size, line) for row in factors])[..., None]  # (N H W 1)
            return np.rint(covered * fronts[:, None, None] + (1 - covered) * ground).astype(np.uint8)

        readers: dict[str, Reader] = {"image": partial(draw, 0.0, LIGHT), "outline": partial(draw, LINE, DARK)}
        readers["label"] = shapes.readers["label"]
        return Data("outlines", fields, readers, shapes.items, shapes.others, twins=("image", "outline"))
