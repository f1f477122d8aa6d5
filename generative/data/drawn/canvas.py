"""A canvas in shares of the image, x to the right and y down, on which a group of strokes can be turned together.

OpenCV draws with soft edges at fractions of a pixel, so that what moves continuously looks continuous.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Int32, UInt8

Colour = tuple[float, float, float]
Points = Float[np.ndarray, "P 2"]
_ONE = 128  # a share of one in bytes
_BITS = 4  # binary digits of OpenCV's coordinates behind the point


def arc(start: float, end: float, count: int = 25) -> Points:
    """Return points of the unit circle between two angles in radians, clockwise on the canvas."""
    angle = np.linspace(start, end, count)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


CIRCLE = arc(0, 2 * math.pi, 25)[:-1]


class Canvas:
    """An image that takes coordinates in shares of its size."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.pixels: UInt8[np.ndarray, "H W 3"] = np.empty((size, size, 3), np.uint8)
        self.turned(0.0, (0.0, 0.0))

    def turned(self, angle: float, pivot: tuple[float, float]) -> None:
        """From now on turn all that is drawn by an angle in radians (clockwise) around a point."""
        cos, sin = math.cos(angle), math.sin(angle)
        self.turn = np.array([[cos, sin], [-sin, cos]])
        self.shift = np.array(pivot) - np.array(pivot) @ self.turn
        unit = self.size * 2**_BITS
        # OpenCV counts from the middle of the first pixel; whole numbers are cut off, so a half is added.
        self._turn, self._shift = self.turn * unit, self.shift * unit - 2 ** (_BITS - 1) + 0.5

    def where(self, points: Float[np.ndarray, "... 2"]) -> Float[np.ndarray, "... 2"]:
        """Return where points lie on the canvas after the turn."""
        return points @ self.turn + self.shift

    def polygon(self, points: Points, colour: Colour) -> None:
        """Fill a polygon."""
        cv2.fillPoly(self.pixels, [self._fixed(points)], colour, cv2.LINE_AA, _BITS)

    def ellipse(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """Fill an ellipse; width and height are half of its own."""
        self.polygon(CIRCLE * (width, height) + (x, y), colour)

    def line(self, points: Points, colour: Colour, width: float, closed: bool = False) -> None:
        """Draw a line through points."""
        self.lines(points[None], colour, width, closed)

    def lines(self, points: Float[np.ndarray, "N P 2"], colour: Colour, width: float, closed: bool = False) -> None:
        """Draw many lines of the same colour and width at once."""
        thickness = max(1, round(width * self.size))
        cv2.polylines(self.pixels, list(self._fixed(points)), closed, colour, thickness, cv2.LINE_AA, _BITS)

    def shade(self, shares: Float[np.ndarray, "h w 3"] | Float[np.ndarray, "h w"]) -> None:
        """Multiply the whole image by shares from 0 to 1.99, given on a coarser grid."""
        small = np.clip(shares * _ONE, 0, 255).astype(np.uint8)
        fine = cv2.resize(small, (self.size, self.size), interpolation=cv2.INTER_LINEAR)
        self.pixels = multiplied(self.pixels, fine if fine.ndim == 3 else cv2.merge([fine, fine, fine]))

    def shade_within(
        self,
        polygons: Sequence[Float[np.ndarray, "_ 2"]],
        shares: Float[np.ndarray, "h w 3"],
        place: tuple[float, float, float, float],
    ) -> None:
        """Multiply what lies in polygons by shares, given on a coarser grid.

        Args:
            polygons: where.
            shares: from 0 to 1.99.
            place: left, top, width and height of the grid, before the turn.
        """
        mask = np.zeros((self.size, self.size), np.uint8)
        for each in polygons:
            cv2.fillPoly(mask, [self._fixed(each)], 255, cv2.LINE_8, _BITS)
        left, top, width, height = place
        steps = np.diag([width / (shares.shape[1] - 1), height / (shares.shape[0] - 1)]) @ self.turn * self.size
        start = (np.array([left, top]) @ self.turn + self.shift) * self.size - 0.5
        matrix = np.concatenate([steps.T, start[:, None]], 1)
        small = np.clip(shares * _ONE, 0, 255).astype(np.uint8)
        fine = cv2.warpAffine(small, matrix, (self.size, self.size), borderMode=cv2.BORDER_REPLICATE)
        cv2.copyTo(multiplied(self.pixels, fine), mask, self.pixels)

    def _fixed(self, points: Float[np.ndarray, "... 2"]) -> Int32[np.ndarray, "... 2"]:
        return (points @ self._turn + self._shift).astype(np.int32)


def multiplied(pixels: UInt8[np.ndarray, "H W 3"], shares: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """Return colours times shares, of which 128 is one."""
    return cv2.multiply(pixels, shares, scale=1 / _ONE)


def between(stops: Sequence[Colour], share: float) -> Colour:
    """Return the colour at a share of the way through equally distant stops."""
    place = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    first = min(int(place), len(stops) - 2)
    return mixed(stops[first], stops[first + 1], place - first)


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """Return a colour and a share of another."""
    return (
        one[0] + share * (other[0] - one[0]),
        one[1] + share * (other[1] - one[1]),
        one[2] + share * (other[2] - one[2]),
    )


def lit(colour: Colour, share: float) -> Colour:
    """Return a colour under more light (a share above 1) or less."""
    return min(255.0, colour[0] * share), min(255.0, colour[1] * share), min(255.0, colour[2] * share)


def hue(share: float, middle: float, strength: float) -> Colour:
    """Return a colour of a hue from 0 (rose) to 1 (violet) that does not close the circle."""
    a, b, c = (math.cos(2 * math.pi * (0.8 * share - third)) for third in (0.0, 1 / 3, 2 / 3))
    return middle + strength * a, middle + strength * b, middle + strength * c
