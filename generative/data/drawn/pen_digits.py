"""Digits written with a pen, one or a grid of them, drawn at the size they are wanted in.

A digit is one or two strokes through a few points. Every writer has a hand (slant, width, roundness, pen) and every
point trembles a little, so that no two are the same; some digits are written in two ways, as people do.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8

from generative.data.drawn.keeping import Drawings
from generative.data.draws import normal, uniform
from generative.data.fields import Data
from generative.data.images.source import ImageSource, image_data

Stroke = tuple[tuple[float, float], ...]
WAYS: tuple[tuple[tuple[Stroke, ...], ...], ...] = (
    (
        (((0.1, -1), (-0.5, -0.6), (-0.6, 0.2), (-0.2, 0.95), (0.4, 0.75), (0.6, 0.0), (0.45, -0.75), (0.0, -1)),),
        (((0.4, -0.85), (-0.1, -1), (-0.55, -0.3), (-0.4, 0.8), (0.1, 1), (0.55, 0.3), (0.4, -0.7), (0.1, -0.98)),),
    ),
    (
        (((0.0, -1), (0.0, -0.3), (0.0, 0.4), (0.0, 1)),),
        (((-0.4, -0.5), (-0.1, -0.8), (0.1, -1), (0.1, -0.2), (0.1, 1)),),
    ),
    (
        (((-0.5, -0.6), (-0.1, -1), (0.45, -0.75), (0.3, -0.1), (-0.55, 0.95), (0.0, 0.9), (0.6, 0.9)),),
        (((-0.5, -0.7), (0.1, -1), (0.5, -0.5), (0.0, 0.4), (-0.5, 0.85), (-0.45, 0.55), (-0.1, 0.7), (0.6, 0.95)),),
    ),
    (
        (
            (
                *((-0.5, -0.8), (0.1, -1), (0.45, -0.6), (0.0, -0.1), (-0.1, -0.05)),
                *((0.45, 0.2), (0.5, 0.65), (0.0, 1), (-0.55, 0.75)),
            ),
        ),
        (((-0.5, -0.9), (0.0, -0.95), (0.45, -0.9), (0.0, -0.2), (0.5, 0.2), (0.4, 0.8), (-0.1, 1), (-0.5, 0.75)),),
    ),
    (
        (((-0.25, -1), (-0.4, -0.4), (-0.55, 0.2), (0.0, 0.2), (0.6, 0.2)), ((0.3, -0.5), (0.25, 0.3), (0.2, 1))),
        (((0.3, 1), (0.3, 0.0), (0.3, -1), (-0.2, -0.3), (-0.6, 0.35), (0.0, 0.35), (0.65, 0.35)),),
    ),
    (
        (
            ((-0.35, -0.95), (-0.4, -0.5), (-0.45, -0.1), (0.2, -0.25), (0.55, 0.3), (0.2, 0.95), (-0.5, 0.8)),
            ((-0.35, -0.95), (0.1, -0.95), (0.55, -0.98)),
        ),
        (
            (
                *((0.5, -0.95), (-0.1, -0.95), (-0.4, -0.85), (-0.45, -0.15)),
                *((0.25, -0.3), (0.55, 0.3), (0.1, 0.95), (-0.5, 0.75)),
            ),
        ),
    ),
    (
        (((0.4, -1), (-0.2, -0.5), (-0.5, 0.3), (-0.1, 0.98), (0.45, 0.6), (0.2, 0.05), (-0.4, 0.4)),),
        (((0.1, -1), (-0.35, -0.3), (-0.45, 0.5), (0.0, 1), (0.5, 0.65), (0.3, 0.15), (-0.2, 0.2), (-0.42, 0.5)),),
    ),
    (
        (((-0.55, -0.9), (0.0, -0.92), (0.55, -0.95), (0.2, -0.1), (-0.15, 1)),),
        (
            ((-0.55, -0.9), (0.0, -0.92), (0.55, -0.95), (0.2, -0.1), (-0.1, 1)),
            ((-0.25, 0.0), (0.1, -0.02), (0.45, -0.05)),
        ),
    ),
    (
        (
            (
                *((0.4, -0.75), (0.0, -1), (-0.4, -0.65), (0.0, -0.1), (0.45, 0.45)),
                *((0.1, 1), (-0.45, 0.6), (-0.1, 0.0), (0.35, -0.5), (0.35, -0.8)),
            ),
        ),
        (
            ((0.0, -0.1), (-0.4, -0.5), (0.0, -1), (0.4, -0.55), (0.0, -0.1)),
            ((0.0, -0.1), (-0.5, 0.45), (0.0, 1), (0.5, 0.45), (0.0, -0.1)),
        ),
    ),
    (
        (((0.4, -0.6), (0.0, -1), (-0.45, -0.6), (-0.1, -0.1), (0.4, -0.5), (0.4, 0.2), (0.15, 1)),),
        (((0.42, -0.7), (-0.1, -0.98), (-0.45, -0.5), (0.1, -0.1), (0.45, -0.7), (0.4, 0.5), (-0.1, 1), (-0.4, 0.8)),),
    ),
)
"""The ways in which each digit is written: strokes through points (x right, y down) from -1 to 1."""
HAND = {"slant": (-0.15, 0.40), "width": (0.75, 1.15), "size": (0.62, 0.88), "pen": (0.055, 0.115), "x": (-0.05, 0.05)}
HAND |= {"y": (-0.04, 0.04), "turn": (-8.0, 8.0), "ink": (0.75, 1.0)}
"""Least and greatest value: shift of the top by the height, width by the height, height and pen as shares of a cell,
place by the cell, degrees, brightness."""
_TREMBLE = 0.055  # standard deviation of a point
_POINTS = 10  # the most that a stroke has
_BITS = 4  # binary digits of OpenCV's coordinates behind the point


@dataclass(frozen=True)
class PenDigitsConfig:
    """Digits written with a pen in many hands, one or a grid of them; digit, hand and place known."""

    size: int = 32
    """Height and width of a digit's cell in pixels."""
    rows: int = 1
    """Rows of digits; with more than one digit there are no classes, as each has its own."""
    columns: int = 1
    """Digits in a row; other than `rows` they make images that are no squares."""
    count: int = 100_000
    """Number of images, a tenth of them held out."""
    seed: int = 0
    """Determines every image."""

    def __post_init__(self) -> None:
        if self.size < 12:
            raise ValueError(f"size={self.size}: digits need at least 12 pixels, better 24")
        for name in ("rows", "columns"):
            if not 1 <= getattr(self, name) <= 8:
                raise ValueError(f"{name}={getattr(self, name)}: give 1 to 8")
        if self.count < 2:
            raise ValueError(f"count={self.count}: must be at least 2, as one image is held out")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must not be negative; give 0 or more")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        return self.rows * self.size, self.columns * self.size, 1

    @property
    def cells(self) -> int:
        """How many digits an image has."""
        return self.rows * self.columns

    def draw(self, items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
        """Return images by number."""
        finer = max(2, -(-96 // self.size))
        side = self.size * finer
        digits, hands = self._digits(items), self._hands(items)
        ways = uniform(self.seed, items, 2 * self.cells + len(HAND))[:, self.cells : 2 * self.cells]
        tremble = normal(self.seed + 1, items, self.cells * _POINTS * 4).reshape(len(items), self.cells, 2, _POINTS, 2)
        images = np.empty((len(items), *self.shape), np.uint8)
        for number, image in enumerate(images):
            page = np.zeros((self.rows * side, self.columns * side), np.uint8)
            for cell in range(self.cells):
                choice = WAYS[digits[number, cell]]
                way = choice[int(ways[number, cell] * len(choice))]
                down, across = divmod(cell, self.columns)
                part = page[down * side : (down + 1) * side, across * side : (across + 1) * side]
                _write(part, way, hands[number], tremble[number, cell] * _TREMBLE)
            image[:, :, 0] = cv2.resize(page, self.shape[1::-1], interpolation=cv2.INTER_AREA)
        return images

    def load(self) -> Data:
        """Return the images."""
        alone = self.cells == 1
        names = (
            ["digit"]
            if alone
            else [f"digit_{row}_{place}" for row in range(self.rows) for place in range(self.columns)]
        )
        source = ImageSource(
            shape=self.shape,
            count=self.count,
            images=Drawings(self),
            classes=tuple("0123456789") if alone else (),
            labels=(lambda items: self._digits(items)[:, 0]) if alone else None,
            factor_names=(*names, *HAND),
            factors=lambda items: np.concatenate([self._digits(items), self._hands(items)], 1).astype(np.float32),
        )
        return image_data("pen-digits", source)

    def _digits(self, items: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, "N K"]:
        return (uniform(self.seed, items, self.cells) * 10).astype(np.int64)

    def _hands(self, items: Int64[np.ndarray, " N"]) -> Float32[np.ndarray, "N F"]:
        """Return the hand that writes each image."""
        drawn = uniform(self.seed, items, 2 * self.cells + len(HAND))[:, 2 * self.cells :]
        low, high = np.array(list(HAND.values())).T
        return (low + drawn * (high - low)).astype(np.float32)


def _write(
    cell: UInt8[np.ndarray, "S S"],
    way: tuple[Stroke, ...],
    hand: Float32[np.ndarray, " F"],
    tremble: Float[np.ndarray, "2 P 2"],
) -> None:
    """Write a digit into a part of a page."""
    slant, width, size, pen, x, y, turn, ink = hand.tolist()
    side = len(cell)
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    form = np.array([[width, 0.0], [-slant, 1.0]]) @ np.array([[cos, sin], [-sin, cos]]) * (size / 2)
    lines = []
    for stroke, shaken in zip(way, tremble, strict=False):
        points = (np.array(stroke) + shaken[: len(stroke)]) @ form + (0.5 + x, 0.5 + y)
        curve = _curve(len(stroke)) @ points
        lines.append(np.rint(curve * side * 2**_BITS).astype(np.int32))
    thickness = max(1, round(pen * side))
    cv2.polylines(cell, lines, False, round(255 * ink), thickness, cv2.LINE_AA, _BITS)


@cache
def _curve(count: int) -> Float[np.ndarray, "Q P"]:
    """Return what turns points into a smooth line through them (Catmull & Rom 1974), eight pieces from each to next."""
    share = np.linspace(0, 1, 8, endpoint=False)[:, None]
    weights = np.concatenate(
        [
            -0.5 * share + share**2 - 0.5 * share**3,
            1 - 2.5 * share**2 + 1.5 * share**3,
            0.5 * share + 2 * share**2 - 1.5 * share**3,
            -0.5 * share**2 + 0.5 * share**3,
        ],
        1,
    )
    matrix = np.zeros((8 * (count - 1) + 1, count))
    for first in range(count - 1):
        for at, weight in zip(range(first - 1, first + 3), weights.T, strict=True):
            matrix[8 * first : 8 * first + 8, min(max(at, 0), count - 1)] += weight
    matrix[-1, -1] = 1
    return matrix
