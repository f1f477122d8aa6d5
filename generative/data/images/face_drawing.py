"""Draws one cartoon face from its factors: which strokes there are and in which order.

Coordinates are shares of the image, x to the right and y down. A face is drawn twice as large with soft edges at
fractions of a pixel and then averaged, so that every continuous factor moves the picture continuously. Each factor
touches only what it names: a smile changes the mouth and nothing else.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Int32, UInt8

Colour = tuple[int | float, int | float, int | float]


def _arc(start: float, end: float) -> Float[np.ndarray, "P 2"]:
    """Return points of the unit circle between two angles."""
    angle = np.linspace(start, end, 25)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


HAIR_STYLES = ("bald", "short", "long", "curly", "bun")
HAIR_COLOURS = ("black", "brown", "red", "blond", "grey")
_HAIR: tuple[Colour, ...] = ((40, 34, 38), (112, 70, 40), (190, 82, 36), (236, 200, 104), (176, 178, 186))
_SKIN: tuple[Colour, Colour, Colour] = ((252, 222, 196), (214, 156, 112), (104, 66, 44))
_INK: Colour = (52, 40, 44)
_WHITE: Colour = (250, 250, 250)
_LIP: Colour = (176, 62, 66)
_SHIRT: Colour = (70, 96, 142)
_FRAME: Colour = (36, 40, 72)
FINER = 2
"""A face is drawn this many times larger than asked for."""
_BITS = 4  # binary digits of OpenCV's coordinates behind the point
_CENTRE = (0.5, 0.52)
_HEIGHT = 0.31  # of the head, half
_CURLS = _arc(0.97 * math.pi, 2.03 * math.pi)[::3].tolist()
_TOP, _TOP_BACK = _arc(math.pi, 2 * math.pi), _arc(2 * math.pi, math.pi)
_WAVE = 0.055 * np.sin(np.linspace(0, 2 * math.pi, len(_TOP)))
_NOSE = _arc(0.15 * math.pi, 0.95 * math.pi) * (0.03, 0.022)
_BROW = np.array([[-0.048, 0.008], [-0.015, -0.008], [0.02, -0.008], [0.05, 0.006]])
_LIPS = np.stack([np.linspace(-1, 1, 17), np.zeros(17)], 1)
_LIPS_BEND = np.stack([np.zeros(17), 0.5 - np.linspace(-1, 1, 17) ** 2], 1)


class Canvas:
    """An image that takes coordinates in shares of its size."""

    def __init__(self, size: int, background: Colour) -> None:
        self.pixels = np.empty((size, size, 3), np.uint8)
        cv2.rectangle(self.pixels, (0, 0), (size, size), background, cv2.FILLED)
        self.size = size
        self.unit = size * 2**_BITS
        self.corner = 2 ** (_BITS - 1)  # OpenCV counts from the middle of the first pixel

    def ellipse(self, x: float, y: float, width: float, height: float, colour: Colour, line: float = 0.0) -> None:
        """Fill an ellipse, or draws its outline `line` wide; width and height are half of its own."""
        centre = round(x * self.unit - self.corner), round(y * self.unit - self.corner)
        axes = round(width * self.unit), round(height * self.unit)
        thickness = self._thickness(line) if line else cv2.FILLED
        cv2.ellipse(self.pixels, centre, axes, 0, 0, 360, colour, thickness, cv2.LINE_AA, _BITS)

    def polygon(self, points: Float[np.ndarray, "P 2"], colour: Colour) -> None:
        """Fill a polygon."""
        cv2.fillPoly(self.pixels, [self._fixed(points)], colour, cv2.LINE_AA, _BITS)

    def line(self, points: Float[np.ndarray, "P 2"], colour: Colour, width: float) -> None:
        """Draw an open line through points."""
        cv2.polylines(self.pixels, [self._fixed(points)], False, colour, self._thickness(width), cv2.LINE_AA, _BITS)

    def _fixed(self, points: Float[np.ndarray, "P 2"]) -> Int32[np.ndarray, "P 2"]:
        return (points * self.unit - (self.corner - 0.5)).astype(np.int32)

    def _thickness(self, width: float) -> int:
        return max(1, round(width * self.size))


def draw_face(row: Sequence[float], size: int) -> UInt8[np.ndarray, "H W 3"]:
    """Return the face of one row of factors, in the order of `faces.FACTORS`."""
    smile, glasses, style, hair, skin, background, eye_size, width, turn = row
    canvas = Canvas(size * FINER, _pastel(background))
    hair_style, hair_colour = HAIR_STYLES[int(style)], _HAIR[int(hair)]
    skin_colour = _between(_SKIN, skin)
    half_width = 0.215 + 0.065 * width
    _behind(canvas, hair_style, hair_colour, half_width)
    _body(canvas, skin_colour)
    _head(canvas, skin_colour, half_width)
    _in_front(canvas, hair_style, hair_colour, half_width)
    shift = _CENTRE[0] + 0.045 * turn
    _eyes(canvas, shift, eye_size, _darker(hair_colour, 0.75))
    _nose(canvas, shift + 0.012 * turn, skin_colour)
    _mouth(canvas, shift, smile)
    if glasses >= 0.5:
        _glasses(canvas, shift, half_width)
    return cv2.resize(canvas.pixels, (size, size), interpolation=cv2.INTER_AREA)


def mouth_region(turn: float) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of where the mouth is, in shares of the image."""
    x = _CENTRE[0] + 0.045 * turn
    return x - 0.135, 0.61, x + 0.135, 0.80


def _behind(canvas: Canvas, style: str, colour: Colour, half_width: float) -> None:
    """Hair that the head and shoulders hide partly."""
    x, y = _CENTRE
    if style == "long":
        w = half_width + 0.075
        canvas.ellipse(x, y - 0.06, w, _HEIGHT + 0.02, colour)
        sides = [[x - w, y - 0.06], [x + w, y - 0.06], [x + w + 0.015, 0.90], [x - w - 0.015, 0.90]]
        canvas.polygon(np.array(sides), colour)
    elif style == "curly":
        w = half_width + 0.045
        for right, down in _CURLS:
            canvas.ellipse(x + w * right, y - 0.07 + 0.25 * down, 0.085, 0.085, colour)
    elif style == "bun":
        canvas.ellipse(x, y - _HEIGHT - 0.045, 0.095, 0.085, colour)


def _body(canvas: Canvas, skin: Colour) -> None:
    x, y = _CENTRE
    canvas.ellipse(x, 1.06, 0.34, 0.20, _SHIRT)
    neck = [[x - 0.075, y + 0.18], [x + 0.075, y + 0.18], [x + 0.085, 0.90], [x - 0.085, 0.90]]
    canvas.polygon(np.array(neck), _darker(skin, 0.86))
    canvas.ellipse(x, 0.895, 0.085, 0.04, _darker(skin, 0.86))


def _head(canvas: Canvas, skin: Colour, half_width: float) -> None:
    x, y = _CENTRE
    for side in (-1, 1):
        canvas.ellipse(x + side * half_width, y + 0.015, 0.04, 0.058, _darker(skin, 0.92))
    canvas.ellipse(x, y, half_width, _HEIGHT, skin)


def _in_front(canvas: Canvas, style: str, colour: Colour, half_width: float) -> None:
    """Hair over the forehead: the top of a larger head down to a hairline."""
    if style == "bald":
        return
    x, y = _CENTRE
    w, h = half_width + 0.022, _HEIGHT + 0.028
    low, parting = {"short": (0.02, 0.17), "long": (0.02, 0.19), "curly": (0.03, 0.15), "bun": (0.02, 0.20)}[style]
    outer = _TOP * (w, h) + (x, y - low)
    inner = _TOP_BACK * (half_width - 0.012, parting) + (x, y - low - 0.015)
    if style in ("short", "long"):  # a side parting
        inner[:, 1] += _WAVE if style == "short" else -_WAVE
    canvas.polygon(np.concatenate([outer, inner]), colour)


def _eyes(canvas: Canvas, x: float, eye_size: float, brows: Colour) -> None:
    """Eyes, and brows in the colour of the hair, so that a bald head has one too."""
    y = _CENTRE[1] - 0.035
    w, h = 0.036 + 0.018 * eye_size, 0.026 + 0.026 * eye_size
    for side in (-1, 1):
        eye = x + side * 0.092
        canvas.ellipse(eye, y, w, h, _WHITE)
        canvas.ellipse(eye, y, 0.52 * h + 0.006, 0.62 * h + 0.006, _INK)
        canvas.line(_BROW * (side, 1) + (eye, y - 0.082), brows, 0.016)


def _nose(canvas: Canvas, x: float, skin: Colour) -> None:
    y = _CENTRE[1] + 0.045
    canvas.line(np.add(_NOSE, (x, y)), _darker(skin, 0.72), 0.016)


def _mouth(canvas: Canvas, x: float, smile: float) -> None:
    """A line whose corners rise with the smile; a broad smile opens it and shows teeth."""
    upper = _LIPS * (0.085 + 0.02 * abs(smile)) + _LIPS_BEND * (0.055 * smile) + (x, _CENTRE[1] + 0.165)
    opened = 0.085 * max(0.0, smile - 0.25)
    if opened > 0:
        lower = upper + np.add(_LIPS_BEND, (0.0, 0.5)) * (1.0, opened)
        canvas.polygon(np.concatenate([upper, lower[::-1]]), _WHITE)
        canvas.line(lower, _LIP, 0.018)
    canvas.line(upper, _LIP, 0.022)


def _glasses(canvas: Canvas, x: float, half_width: float) -> None:
    y = _CENTRE[1] - 0.035
    for side in (-1, 1):
        canvas.ellipse(x + side * 0.092, y, 0.074, 0.066, _FRAME, 0.018)
        ear = _CENTRE[0] + side * (half_width + 0.005)
        canvas.line(np.array([[x + side * 0.166, y - 0.01], [ear, y - 0.02]]), _FRAME, 0.018)
    canvas.line(np.array([[x - 0.02, y - 0.012], [x + 0.02, y - 0.012]]), _FRAME, 0.018)


def _between(stops: Sequence[Colour], share: float) -> Colour:
    """Return the colour at a share of the way through equally distant stops."""
    place = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    first = min(int(place), len(stops) - 2)
    rest = place - first
    a, b = stops[first], stops[first + 1]
    return a[0] + rest * (b[0] - a[0]), a[1] + rest * (b[1] - a[1]), a[2] + rest * (b[2] - a[2])


def _darker(colour: Colour, share: float) -> Colour:
    return colour[0] * share, colour[1] * share, colour[2] * share


def _pastel(hue: float) -> Colour:
    """Return a soft colour of a hue from 0 (rose) to 1 (violet) that does not close the circle."""
    a, b, c = (127.5 * (1 + math.cos(2 * math.pi * (0.8 * hue - third))) for third in (0.0, 1 / 3, 2 / 3))
    return 120 + 0.45 * a, 120 + 0.45 * b, 120 + 0.45 * c
