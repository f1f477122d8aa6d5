"""What is behind a face: a wall, lights out of focus, striped paper, hills or bricks, all in one hue."""

import math

import numpy as np

from generative.data.drawn.canvas import Canvas, hue, lit, mixed
from generative.data.drawn.face import BACKDROPS, Face

_GROUND = {"lights": 0.62, "bricks": 1.16}  # how bright the ground is
_X = np.linspace(-1, 1, 33)


def draw_backdrop(canvas: Canvas, face: Face) -> None:
    """Fill the canvas, brighter where the light comes from."""
    kind = BACKDROPS[int(face.row.backdrop)]
    canvas.turned(0.0, (0.0, 0.0))
    canvas.pixels[:] = lit(hue(face.row.background, 165, 62), _GROUND.get(kind, 1.0))
    {"wall": _wall, "lights": _lights, "stripes": _stripes, "hills": _hills, "bricks": _bricks}[kind](canvas, face)
    across = 1 + 0.16 * face.row.light * _X[None, :] - 0.10 * _X[:, None] - 0.08 * (_X[None, :] ** 2 + _X[:, None] ** 2)
    canvas.shade(across)


def _wall(canvas: Canvas, face: Face) -> None:
    """Plaster: soft spots that are a little darker and lighter."""
    canvas.shade(face.random("backdrop").normal(1, 0.05, (9, 9)))


def _lights(canvas: Canvas, face: Face) -> None:
    colour = hue(face.row.background, 165, 62)
    for x, y, size, bright in face.random("backdrop").random((16, 4)).tolist():
        glow = mixed(lit(colour, 0.75), lit(colour, 1.35), bright)
        canvas.ellipse(x, y, 0.03 + 0.06 * size, 0.03 + 0.06 * size, glow)
        canvas.ellipse(x, y, 0.022 + 0.05 * size, 0.022 + 0.05 * size, lit(glow, 0.92))


def _stripes(canvas: Canvas, face: Face) -> None:
    colour = hue(face.row.background, 165, 62)
    start = face.random("backdrop").random() * 0.16
    for at in np.arange(start - 0.16, 1.1, 0.16).tolist():
        box = np.array([[at, -0.01], [at + 0.08, -0.01], [at + 0.08, 1.01], [at, 1.01]])
        canvas.polygon(box, lit(colour, 0.80))
        canvas.line(np.array([[at + 0.12, -0.01], [at + 0.12, 1.01]]), lit(colour, 1.16), 0.010)


def _hills(canvas: Canvas, face: Face) -> None:
    """A pale sky over two ranges of hills."""
    colour = hue(face.row.background, 165, 62)
    canvas.shade(np.linspace(1.28, 0.98, 8)[:, None])
    across = np.linspace(-0.05, 1.05, 25)
    random = face.random("backdrop")
    for level, share in ((0.50, 0.86), (0.66, 0.66)):
        phase, second = (2 * math.pi * random.random(2)).tolist()
        height = level + 0.05 * np.sin(7 * across + phase) + 0.03 * np.sin(13 * across + second)
        rim = np.stack([across, height], 1)
        canvas.polygon(np.concatenate([rim, [[1.05, 1.05], [-0.05, 1.05]]]), lit(colour, share))
        canvas.line(rim, lit(colour, share * 1.18), 0.012)


def _bricks(canvas: Canvas, face: Face) -> None:
    colour = hue(face.row.background, 165, 62)
    tones = face.random("backdrop").uniform(0.74, 1.0, (9, 6)).tolist()
    high, wide, joint = 0.125, 0.25, 0.014
    for line in range(9):
        left = -0.125 * (line % 2)
        for column in range(6):
            x, y = left + column * wide, line * high - 0.05
            box = np.array([[x, y], [x + wide - joint, y], [x + wide - joint, y + high - joint], [x, y + high - joint]])
            canvas.polygon(box, lit(colour, tones[line][column]))
