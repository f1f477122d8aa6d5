"""Hair: a mass behind the head, one over the forehead, and strands that follow them under the light."""

import math

import numpy as np
from jaxtyping import Float

from generative.data.drawn.canvas import Canvas, Colour, arc, hue, lit
from generative.data.drawn.face import HEIGHT, PIVOT, Face

_TOP, _TOP_BACK = arc(math.pi, 2 * math.pi, 33), arc(2 * math.pi, math.pi, 33)
_CURLS = arc(0.93 * math.pi, 2.07 * math.pi, 13)
_RING = arc(0, 2 * math.pi, 9)
_DOWN = np.linspace(0, 1, 9)
_FALL = 0.24 + 0.70 * _DOWN


def draw_hair_behind(canvas: Canvas, face: Face) -> None:
    """Hair that the head and shoulders hide partly."""
    canvas.turned(face.tilt, PIVOT)
    x, y, hair = face.x, face.y, face.hair
    if face.hair_style == "long":
        w = face.half_width + 0.075
        shadow = lit(hair, 0.72)
        canvas.ellipse(x, y - 0.06, w, HEIGHT + 0.02, shadow)
        sides = [[x - w, y - 0.06], [x + w, y - 0.06], [x + w + 0.02, 0.93], [x - w - 0.02, 0.93]]
        canvas.polygon(np.array(sides), shadow)
        for side in (-1, 1):
            share = face.random(f"fall {side}").random((24, 3))
            out = 0.80 + 0.22 * share[:, :1]  # of the mass's half width
            fall = np.sqrt(np.maximum(0.0, 1 - ((y - 0.06 - _FALL) / (HEIGHT + 0.02)).clip(0) ** 2))
            wave = 0.009 * np.sin(7 * _DOWN + 6 * share[:, 1:2])
            across = x + side * (w * out * fall + 0.02 * _DOWN**2) + wave * _DOWN
            down = _FALL - 0.10 * share[:, 2:] * _DOWN
            _strands(canvas, face, np.stack([across, down], -1), 0.008)
    elif face.hair_style == "curly":
        w = face.half_width + 0.045
        at = _CURLS * (w, 0.27) + (x, y - 0.07)
        for right, down in at.tolist():
            canvas.ellipse(right, down, 0.083, 0.083, lit(hair, 0.80))
        _curls(canvas, face, at, 5, 0.05)
    elif face.hair_style == "bun":
        middle = (x - 0.01 * face.row.turn, y - HEIGHT - 0.045)
        canvas.ellipse(*middle, 0.10, 0.085, lit(hair, 0.82))
        turns = np.linspace(0.25, 0.95, 9)[:, None, None]
        rings = _RING * (0.095, 0.080) * turns + middle
        _strands(canvas, face, rings[face.random("bun").permutation(9)], 0.008)


def draw_hair_in_front(canvas: Canvas, face: Face) -> None:
    """Hair over the forehead: the top of a larger head down to a hairline."""
    style = face.hair_style
    if style == "bald":
        _crown(canvas, face)
        return
    x, y = face.x, face.y
    low, hairline = {"short": (0.02, 0.165), "long": (0.02, 0.185), "curly": (0.03, 0.15), "bun": (0.02, 0.20)}[style]
    lift = 0.02 * face.row.nod
    outer = _TOP * (face.half_width + 0.022, HEIGHT + 0.03) + (x, y - low)
    inner = _TOP * (face.half_width - 0.010, hairline + lift) + (x + 0.02 * face.row.turn, y - low - 0.015)
    inner[[0, -1], 0] = x - face.half_width + 0.01, x + face.half_width - 0.01
    if style in ("short", "long"):  # a side parting
        wave = 0.055 * np.sin(np.linspace(0, 2 * math.pi, len(_TOP)))
        inner[:, 1] += -wave if style == "short" else wave
    canvas.polygon(np.concatenate([outer, inner[::-1]]), lit(face.hair, 0.86))
    if style == "curly":
        middle = (outer + inner)[2:-2:3] / 2
        _curls(canvas, face, middle, 6, 0.055)
        return
    share = face.random("top").random((56, 2))
    along = share[:, 0] * (len(_TOP) - 1)
    lean = {"short": 5.0, "long": -5.0, "bun": 0.0}[style]
    root = _along(outer, along)
    tip = _along(inner, np.clip(along + lean * np.sin(np.pi * along / len(_TOP)), 0, len(_TOP) - 1))
    if style == "bun":  # combed up to the knot
        root = root * (0.75, 1) + (0.25 * x, 0)
    steps = np.array([0.04, 0.35, 0.7, 0.97])[:, None]
    bent = np.sin(np.pi * steps) * 0.02 * (share[:, None, 1:] - 0.5)
    strands = root[:, None] * (1 - steps) + tip[:, None] * steps + bent
    _strands(canvas, face, strands, 0.008)


def draw_headband(canvas: Canvas, face: Face) -> None:
    """A cloth band over the forehead, in the opposite colour of the shirt."""
    if face.row.headband < 0.5:
        return
    colour = hue((face.row.shirt + 0.5) % 1, 150, 80)
    u = np.linspace(-0.965, 0.965, 17)
    rise = 0.16 * (1 - u**2)
    upper = np.stack([u * 1.04, -0.62 - rise], 1) * (face.half_width, HEIGHT) + (face.x, face.y)
    lower = np.stack([u * 1.05, -0.43 - rise], 1) * (face.half_width, HEIGHT) + (face.x, face.y)
    canvas.polygon(np.concatenate([upper, lower[::-1]]), lit(colour, 0.84))
    canvas.line((2 * upper + lower) / 3, lit(colour, 1.12), 0.014)
    canvas.line(lower, lit(colour, 0.55), 0.008)


def _crown(canvas: Canvas, face: Face) -> None:
    """Light on a bald head."""
    at = (face.x + 0.07 * face.row.light, face.y - 0.235)
    for size, share in ((1.0, 1.05), (0.6, 1.10)):
        canvas.ellipse(*at, 0.075 * size, 0.034 * size, lit(face.skin, share))


def _along(line: Float[np.ndarray, "P 2"], where: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N 2"]:
    """Return points between those of a line."""
    first = np.minimum(where.astype(int), len(line) - 2)
    rest = (where - first)[:, None]
    return line[first] * (1 - rest) + line[first + 1] * rest


def _strands(canvas: Canvas, face: Face, strands: Float[np.ndarray, "N P 2"], width: float) -> None:
    """Draw strands in three tones; those on the light's side are brighter."""
    bright = 0.18 * face.row.light
    third = len(strands) // 3
    for number, tone in enumerate((1.28, 0.66, 1.0)):
        group = strands[number * third : (number + 1) * third]
        side = group[:, :, 0].mean(1) > face.x
        for right in (False, True):
            chosen = group[side == right]
            if len(chosen):
                canvas.lines(chosen, _tone(face.hair, tone * (1 + (bright if right else -bright))), width)


def _tone(hair: Colour, share: float) -> Colour:
    lift = 14 * max(0.0, share - 1)  # black hair shines too
    return lit((hair[0] + lift, hair[1] + lift, hair[2] + lift), share)


def _curls(canvas: Canvas, face: Face, centres: Float[np.ndarray, "C 2"], each: int, spread: float) -> None:
    """Draw small rings of hair around centres."""
    count = len(centres) * each
    random = face.random(f"curls {count}")
    share = random.random((count, 4))
    radius = 0.016 + 0.022 * share[:, None, 2:3]
    start = share[:, 3:] * 2 * math.pi
    angle = start + np.linspace(0, 1.5 * math.pi, 7)
    middle = np.repeat(centres, each, 0) + spread * (2 * share[:, :2] - 1)
    rings = middle[:, None] + radius * np.stack([np.cos(angle), np.sin(angle)], -1)
    _strands(canvas, face, rings[random.permutation(count)], 0.011)
