"""Cartoon faces with known, independent factors and attributes: photographs of faces without the photographs.

Every experiment that needs labelled faces (add a smile, exchange the hair, condition on glasses) runs on them offline.
Other than in a data set of people, every factor is drawn on its own, so that an attribute vector that also changes
something else shows a confusion of the model and not of the data.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8

from generative.data.drawn.backdrops import draw_backdrop
from generative.data.drawn.canvas import Canvas
from generative.data.drawn.face import BACKDROPS, EYE_COLOURS, HAIR_COLOURS, HAIR_STYLES, Face, FaceFactors
from generative.data.drawn.hair import draw_hair_behind, draw_hair_in_front, draw_headband
from generative.data.drawn.head import draw_body, draw_glasses, draw_head
from generative.data.drawn.keeping import Drawings
from generative.data.draws import uniform
from generative.data.fields import Data
from generative.data.images.source import ImageSource, image_data

FACTORS = FaceFactors._fields
"""What each means and its range: `generative.data.drawn.face.FaceFactors`."""
Rows = Float32[np.ndarray, "N F"]
SIGNED = ("smile", "turn", "tilt", "nod", "light")
"""Factors from -1 to 1; the others go from 0 to 1 or are numbers of something."""
NUMBERS = {
    "hair_style": HAIR_STYLES,
    "hair_colour": HAIR_COLOURS,
    "eye_colour": EYE_COLOURS,
    "backdrop": BACKDROPS,
}
"""Factors that are numbers, and of what."""
WORN = {"beard": 0.25, "earrings": 0.3, "headband": 0.25}
"""Share of faces with each."""
_LEAST = 128  # pixels of the canvas that a face is drawn on before it is averaged
ATTRIBUTES: dict[str, Callable[[Rows], np.ndarray]] = {
    "smiling": lambda row: row[:, 0] > 0,
    "glasses": lambda row: row[:, 1] > 0.5,
    "bald": lambda row: row[:, 2] == HAIR_STYLES.index("bald"),
    "long_hair": lambda row: row[:, 2] == HAIR_STYLES.index("long"),
    "blond": lambda row: (row[:, 3] == HAIR_COLOURS.index("blond")) & (row[:, 2] != HAIR_STYLES.index("bald")),
    "dark_skin": lambda row: row[:, 4] > 0.5,
    "big_eyes": lambda row: row[:, 6] > 0.5,
    "wide_face": lambda row: row[:, 7] > 0.5,
    "turned_right": lambda row: row[:, 8] > 0,
    "beard": lambda row: row[:, FACTORS.index("beard")] > 0.5,
    "earrings": lambda row: row[:, FACTORS.index("earrings")] > 0.5,
    "headband": lambda row: row[:, FACTORS.index("headband")] > 0.5,
}
"""Name and rule of each yes-or-no attribute; a bald head is not blond."""


@dataclass(frozen=True)
class FacesConfig:
    """Drawn faces in colour with strands of hair, light, pose, clothes and backgrounds; all factors known."""

    size: int = 64
    """Height and width of the images in pixels; from 32 on everything can be told."""
    glasses: float = 0.5
    """Share of faces that wear glasses."""
    hair_styles: tuple[str, ...] = HAIR_STYLES
    """Which hair styles to draw, each equally often; they are the classes."""
    count: int = 100_000
    """Number of faces, a tenth of them held out."""
    seed: int = 0
    """Determines every face."""

    def __post_init__(self) -> None:
        if self.size < 16:
            raise ValueError(f"size={self.size}: faces need at least 16 pixels, better 32")
        if not 0 <= self.glasses <= 1:
            raise ValueError(f"glasses={self.glasses}: a share of faces; give 0 to 1")
        unknown = [each for each in self.hair_styles if each not in HAIR_STYLES]
        if unknown or not self.hair_styles or len(set(self.hair_styles)) < len(self.hair_styles):
            raise ValueError(f"hair_styles={list(self.hair_styles)}: give some of {', '.join(HAIR_STYLES)}, each once")
        if self.count < 2:
            raise ValueError(f"count={self.count}: must be at least 2, as one face is held out")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must not be negative; give 0 or more")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a face."""
        return self.size, self.size, 3

    def draw(self, items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
        """Return faces by number."""
        details = uniform(self.seed, items, len(FACTORS) + 1)[:, -1] * 2**32
        return draw_faces(self._factors(items), self.size, details.astype(np.int64))

    def load(self) -> Data:
        """Return the faces."""
        source = ImageSource(
            shape=self.shape,
            count=self.count,
            images=Drawings(self),
            classes=self.hair_styles,
            labels=lambda items: self._style(uniform(self.seed, items, len(FACTORS))),
            factor_names=FACTORS,
            factors=self._factors,
            attribute_names=tuple(ATTRIBUTES),
            attributes=lambda items: face_attributes(self._factors(items)),
        )
        return image_data("faces", source)

    def _style(self, drawn: Float[np.ndarray, "N F"]) -> Int64[np.ndarray, " N"]:
        return (drawn[:, FACTORS.index("hair_style")] * len(self.hair_styles)).astype(np.int64)

    def _factors(self, items: Int64[np.ndarray, " N"]) -> Rows:
        rows = uniform(self.seed, items, len(FACTORS))
        styles = np.array([HAIR_STYLES.index(each) for each in self.hair_styles])[self._style(rows)]
        for name, known in NUMBERS.items():
            rows[:, FACTORS.index(name)] = np.floor(rows[:, FACTORS.index(name)] * len(known))
        for name, share in {"glasses": self.glasses, **WORN}.items():
            rows[:, FACTORS.index(name)] = rows[:, FACTORS.index(name)] < share
        for name in SIGNED:
            rows[:, FACTORS.index(name)] = 2 * rows[:, FACTORS.index(name)] - 1
        rows[:, FACTORS.index("hair_style")] = styles
        return rows.astype(np.float32)


def draw_faces(
    factors: Float[np.ndarray, "N F"], size: int, details: Int64[np.ndarray, " N"] | None = None
) -> UInt8[np.ndarray, "N H W 3"]:
    """Return one face per row of factors in the order of `FACTORS`; useful for traversals.

    Args:
        factors: one row per face.
        size: height and width in pixels.
        details: what is no factor (strands, curls, grain) follows from this number, 0 or more; 0 for all by default.

    Raises:
        ValueError: a row has another number of factors, or there is no hair style, say, of its number.
    """
    if factors.shape[1:] != (len(FACTORS),):
        raise ValueError(f"factors of shape {factors.shape}: give {len(FACTORS)} columns: {', '.join(FACTORS)}")
    for name, known in NUMBERS.items():
        numbers = factors[:, FACTORS.index(name)]
        if not ((0 <= numbers) & (numbers < len(known))).all():
            raise ValueError(f"{name} from {numbers.min()} to {numbers.max()}: give 0 to {len(known) - 1}")
    seeds = [0] * len(factors) if details is None else details.tolist()
    return np.stack(
        [_draw(Face(FaceFactors(*row), seed), size) for row, seed in zip(factors.tolist(), seeds, strict=True)]
    )


def _draw(face: Face, size: int) -> UInt8[np.ndarray, "H W 3"]:
    canvas = Canvas(size * max(2, -(-_LEAST // size)))
    draw_backdrop(canvas, face)
    draw_hair_behind(canvas, face)
    draw_body(canvas, face)
    draw_head(canvas, face)
    draw_hair_in_front(canvas, face)
    draw_headband(canvas, face)
    draw_glasses(canvas, face)
    return cv2.resize(canvas.pixels, (size, size), interpolation=cv2.INTER_AREA)


def face_attributes(factors: Rows) -> UInt8[np.ndarray, "N A"]:
    """Return the columns of `ATTRIBUTES` as 0 and 1."""
    return np.stack([rule(factors) for rule in ATTRIBUTES.values()], 1).astype(np.uint8)
