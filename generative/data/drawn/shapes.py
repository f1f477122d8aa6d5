"""Simple shapes whose every pixel follows from seven known, independent factors, in the manner of dSprites.

Drawn on demand from (seed, item) with soft edges, so that small changes of a factor are small changes of the image.
Factors can be told from the image: no shape looks the same at two orientations of the range, and hues do not close
the circle from red to red (in dSprites a turned square has several right answers).
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8

from generative.data.draws import uniform
from generative.data.fields import Data
from generative.data.images.source import ImageSource, image_data

SHAPES = ("rectangle", "ellipse", "triangle", "heart")
FACTORS = ("shape", "size", "x", "y", "orientation", "hue", "background")
RANGES = {
    "size": (0.14, 0.28),
    "x": (0.32, 0.68),
    "y": (0.32, 0.68),
    "orientation": (-60.0, 60.0),
    "hue": (0.0, 0.8),
    "background": (0.0, 0.35),
}
"""Least and greatest value: size (half of the longest side) and place as shares of the image, degrees, hue, grey."""
_FINER = 4  # a mask is drawn this many times larger and averaged
_FRACTION = 4  # binary digits of OpenCV's coordinates behind the point


@dataclass(frozen=True)
class ShapesConfig:
    """Procedural shapes with known factors."""

    size: int = 64
    """Height and width of the images in pixels."""
    channels: Literal[1, 3] = 3
    """3 for colours; 1 for grey, where hue becomes lightness."""
    shapes: tuple[str, ...] = SHAPES
    """Which shapes to draw, each equally often; they are the classes."""
    count: int = 100_000
    """Number of images, a tenth of them held out."""
    seed: int = 0
    """Determines every image."""

    def __post_init__(self) -> None:
        if self.size < 8:
            raise ValueError(f"size={self.size}: shapes need at least 8 pixels")
        unknown = [each for each in self.shapes if each not in SHAPES]
        if unknown or not self.shapes or len(set(self.shapes)) < len(self.shapes):
            raise ValueError(f"shapes={list(self.shapes)}: give some of {', '.join(SHAPES)}, each once")
        if self.count < 2:
            raise ValueError(f"count={self.count}: must be at least 2, as one image is held out")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must not be negative; give 0 or more")

    def load(self) -> Data:
        """Return the images."""
        kinds = np.array([SHAPES.index(each) for each in self.shapes])

        def factors(items: Int64[np.ndarray, " N"]) -> Float32[np.ndarray, "N F"]:
            drawn = uniform(self.seed, items, len(FACTORS))
            kind = kinds[(drawn[:, 0] * len(kinds)).astype(int)]
            low, high = np.array(list(RANGES.values())).T
            return np.concatenate([kind[:, None], low + drawn[:, 1:] * (high - low)], 1).astype(np.float32)

        def labels(items: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " N"]:
            return (uniform(self.seed, items, 1)[:, 0] * len(kinds)).astype(np.int64)

        def images(items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
            return draw_shapes(factors(items), self.size, self.channels)

        shape = (self.size, self.size, self.channels)
        source = ImageSource(shape, self.count, images, self.shapes, labels, FACTORS, factors)
        return image_data("shapes", source)


def draw_shapes(factors: Float[np.ndarray, "N 7"], size: int, channels: int = 3) -> UInt8[np.ndarray, "N H W C"]:
    """Return one image per row of factors in the order of `FACTORS`; useful for traversals.

    Args:
        factors: number of the shape in `SHAPES`, then values as in `RANGES`.
        size: height and width in pixels.
        channels: 3 or 1.

    Raises:
        ValueError: there is no shape of a row's number.
    """
    if not ((0 <= factors[:, 0]) & (factors[:, 0] < len(SHAPES))).all():
        raise ValueError(f"shape from {factors[:, 0].min()} to {factors[:, 0].max()}: give 0 to {len(SHAPES) - 1}")
    hue, background = factors[:, 5], factors[:, 6, None]
    front = colours(hue) if channels == 3 else (0.5 + 0.5 * hue[:, None] / RANGES["hue"][1])  # (N C)
    behind = np.broadcast_to(background, front.shape)
    difference = (255 * (front - behind)).astype(np.float32)
    base = (255 * behind + 0.5).astype(np.float32)
    images = np.empty((len(factors), size, size, channels), np.uint8)
    for image, row, step, start in zip(images, factors, difference, base, strict=True):
        image[:] = mask(row, size)[:, :, None] * step + start
    return images


def mask(row: Float[np.ndarray, " 7"], size: int, line: float = 0.0) -> Float32[np.ndarray, "H W"]:
    """Return the share of every pixel that the shape of a row of factors covers.

    Args:
        row: the factors.
        size: height and width in pixels.
        line: width of its outline as a share of the image, for that alone.
    """
    angle = np.deg2rad(row[4])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = (row[1] * _outline(SHAPES[int(row[0])]) @ turn + row[2:4]) * size * _FINER - 0.5
    canvas = np.zeros((size * _FINER, size * _FINER), np.uint8)
    border = [np.rint(corners * 2**_FRACTION).astype(np.int32)]
    if line:
        cv2.polylines(canvas, border, True, 255, max(1, round(line * size * _FINER)), cv2.LINE_8, _FRACTION)
    else:
        cv2.fillPoly(canvas, border, 255, shift=_FRACTION)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


@cache
def _outline(shape: str) -> Float[np.ndarray, "P 2"]:
    """Return corners (x right, y down) within the unit square around 0."""
    if shape == "rectangle":
        return np.array([[-1, -0.55], [1, -0.55], [1, 0.55], [-1, 0.55]])
    if shape == "triangle":
        return np.array([[0, -1], [0.75, 0.8], [-0.75, 0.8]])
    t = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    if shape == "ellipse":
        return np.stack([np.cos(t), 0.6 * np.sin(t)], 1)
    # The common heart curve, scaled to the unit square.
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, -y - 2.5], 1) / 16


def colours(hue: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N 3"]:
    """Return saturated RGB colours in [0, 1] of hues in [0, 1) (the HSV wheel)."""
    sixth = (hue[:, None] * 6 + np.array([0, 4, 2])) % 6
    return 0.15 + 0.85 * np.clip(np.abs(sixth - 3) - 1, 0, 1)
