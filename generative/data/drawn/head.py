"""The head without its hair: skin under a light, ears, eyes, nose, mouth, beard, and what is worn.

Each factor touches only what it names: a smile changes the mouth and nothing else.
"""

import math

import numpy as np
from jaxtyping import Float32

from generative.data.drawn.canvas import CIRCLE, Canvas, Colour, arc, lit, mixed
from generative.data.drawn.face import CENTRE, HEIGHT, PIVOT, Face, FaceFactors, outline

_INK: Colour = (44, 34, 38)
_WHITE: Colour = (248, 247, 245)
_LIP: Colour = (186, 76, 78)
_FRAME: Colour = (34, 36, 58)
_GOLD: Colour = (238, 200, 88)
_EYE_V, _EYE_U = -0.10, 0.40
_MOUTH_V = 0.56
_T = np.linspace(-1, 1, 15)
_LID = np.stack([_T, np.zeros(15)], 1)
_BULGE = np.stack([np.zeros(15), 1 - _T**2], 1)
_GRID = np.linspace(-1.25, 1.25, 40, dtype=np.float32)
_DEPTH = 0.70 + 0.33 * np.sqrt(np.maximum(0, 1.05 - np.minimum(1.05, _GRID[None] ** 2 + 0.72 * _GRID[:, None] ** 2)))


def draw_body(canvas: Canvas, face: Face) -> None:
    """Shoulders with a collar and folds, and a neck in the shadow of the chin."""
    canvas.turned(0.0, PIVOT)
    x, shirt, skin = CENTRE[0], face.shirt, face.skin
    side = face.row.light
    canvas.ellipse(x, 1.09, 0.40, 0.235, lit(shirt, 0.80))
    canvas.ellipse(x + 0.03 * side, 1.095, 0.36, 0.215, shirt)
    for fold in (-0.27, -0.19, 0.19, 0.27):
        shadow = lit(shirt, 0.74 if fold * side <= 0 else 1.16)
        canvas.line(np.array([[x + fold, 0.99], [x + 0.86 * fold, 0.93], [x + 0.70 * fold, 0.90]]), shadow, 0.010)
    neck = np.array([[-0.085, 0.66], [0.085, 0.66], [0.095, 0.90], [0.0, 0.965], [-0.095, 0.90]]) + np.array([x, 0])
    canvas.polygon(neck, lit(skin, 0.80))
    canvas.polygon(neck * (0.45, 1) + (0.55 * x + 0.035 * side, 0), lit(skin, 0.88))
    canvas.line(
        np.array([[-0.11, 0.875], [-0.06, 0.935], [0, 0.975], [0.06, 0.935], [0.11, 0.875]]) + np.array([x, 0]),
        lit(shirt, 1.22),
        0.024,
    )


def draw_head(canvas: Canvas, face: Face) -> None:
    """Ears and skin, rounded by the light; then all that is on it but hair, headband and glasses."""
    canvas.turned(face.tilt, PIVOT)
    skin = outline(face.half_width) + np.array([face.x, face.y])
    ears = [(x - 0.01 * side, face.y + 0.02) for side, x in _sides(face)]
    for (side, _), (x, y) in zip(_sides(face), ears, strict=True):
        canvas.ellipse(x, y, 0.036, 0.06, lit(face.skin, 0.88))
        canvas.ellipse(x - 0.006 * side, y, 0.018, 0.036, lit(face.skin, 0.68))
    canvas.polygon(skin, face.skin)
    canvas.shade_within([skin, *(CIRCLE * (0.036, 0.06) + ear for ear in ears)], _rounding(face), _grid_place(face))
    if face.row.earrings >= 0.5:
        _earrings(canvas, face)
    if face.row.beard >= 0.5:
        _beard(canvas, face)
    _nose(canvas, face)
    _eyes(canvas, face)
    _mouth(canvas, face)


def mouth_region(row: FaceFactors) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of where the mouth of a face is, in shares of the image."""
    face, canvas = Face(row, 0), Canvas(1)
    canvas.turned(face.tilt, PIVOT)
    corners = np.array([[-0.48, -0.26], [0.48, -0.26], [0.48, 0.70], [-0.48, 0.70]])
    placed = canvas.where(face.spot(corners, 0.0, _MOUTH_V))
    left, top = placed.min(0).tolist()
    right, bottom = placed.max(0).tolist()
    return left, top, right, bottom


def _sides(face: Face) -> list[tuple[int, float]]:
    """Return side (-1 left) and place of both ears; the one that looks away goes behind the head."""
    turn = face.row.turn
    return [(side, face.x + side * (face.half_width + 0.008) - 0.02 * turn * (1 + side * turn)) for side in (-1, 1)]


def _grid_place(face: Face) -> tuple[float, float, float, float]:
    """Return left, top, width and height of the head's square from -1.25 to 1.25."""
    wide, high = 1.25 * face.half_width, 1.25 * HEIGHT
    return face.x - wide, face.y - high, 2 * wide, 2 * high


def _rounding(face: Face) -> Float32[np.ndarray, "G G 3"]:
    """Return how much of its colour each point of the head shows: light from a side and above, sockets and cheeks."""
    u, v = _GRID[None, :], _GRID[:, None]
    shade = _DEPTH + 0.22 * face.row.light * u - 0.10 * v
    u, v = u - 0.32 * face.row.turn, v + 0.10 * face.row.nod
    shade += 0.07 * _spots(u, v, 0.0, 0.05, 0.09, 0.26) - 0.13 * _spots(u, v, 0.40, -0.13, 0.24, 0.13)
    shade -= 0.09 * _spots(u, v, 0.0, 0.80, 0.26, 0.06)
    blush = 0.10 * _spots(u, v, 0.52, 0.28, 0.20, 0.15)
    return np.stack([shade + 0.2 * blush, shade - blush, shade - 0.8 * blush], -1)


def _spots(
    u: Float32[np.ndarray, "1 G"], v: Float32[np.ndarray, "G 1"], at: float, down: float, wide: float, high: float
) -> Float32[np.ndarray, "G G"]:
    """Return a soft spot on both sides of the nose, or on it at 0."""
    across = np.exp(-(((u - at) / wide) ** 2))
    if at:
        across = across + np.exp(-(((u + at) / wide) ** 2))
    return across * np.exp(-(((v - down) / high) ** 2))


def _eyes(canvas: Canvas, face: Face) -> None:
    """Almond eyes with iris, pupil and a glint, lids and lashes; brows in the colour of the hair."""
    grown = face.row.eye_size
    wide, high = 0.155 + 0.06 * grown, 0.075 + 0.075 * grown
    lower, upper = _LID * (wide, 1) + _BULGE * 0.75 * high, _LID * (wide, 1) - _BULGE * high
    radius = 0.062 + 0.038 * grown
    for side in (-1, 1):
        u = side * _EYE_U
        canvas.polygon(face.spot(np.concatenate([upper, lower[::-1]]), u, _EYE_V), _WHITE)
        for size, colour in ((radius, lit(face.iris, 0.62)), (0.78 * radius, face.iris), (0.42 * radius, _INK)):
            ring = CIRCLE * size + (0.10 * wide * face.row.turn, 0)
            room = 1 - np.minimum(1.0, (ring[:, 0] / wide) ** 2)
            ring[:, 1] = np.clip(ring[:, 1], -high * room, 0.75 * high * room)
            canvas.polygon(face.spot(ring, u, _EYE_V), colour)
        glint = CIRCLE * 0.26 * radius + (0.10 * wide * face.row.turn + 0.35 * radius, -0.42 * radius)
        canvas.polygon(face.spot(glint, u, _EYE_V), (255, 255, 255))
        canvas.line(face.spot(upper, u, _EYE_V), _INK, 0.014)
        canvas.line(face.spot(lower * (0.9, 1.02), u, _EYE_V), lit(face.skin, 0.66), 0.008)
        canvas.line(face.spot(upper * (1.02, 1.5) - (0, 0.03), u, _EYE_V), lit(face.skin, 0.70), 0.008)
        brow = np.array([[-0.21, 0.03], [-0.06, -0.045], [0.10, -0.045], [0.23, 0.035], [0.09, 0.005], [-0.07, 0.01]])
        canvas.polygon(face.spot(brow * (side, 1), u, _EYE_V - 0.245), face.brows)


def _nose(canvas: Canvas, face: Face) -> None:
    """A shaded side away from the light, a tip with two nostrils and a spot of light."""
    away = -1.0 if face.row.light > 0 else 1.0
    tip = 0.20
    side = np.array([[0.02, -0.36], [0.06, -0.1], [0.13, 0.02], [0.06, 0.05], [0.03, -0.08]]) * (away, 1)
    canvas.polygon(face.spot(side, 0.0, tip), lit(face.skin, 0.90 - 0.08 * abs(face.row.light)))
    under = arc(0.08 * math.pi, 0.92 * math.pi, 13) * (0.145, 0.07)
    canvas.line(face.spot(under, 0.0, tip), lit(face.skin, 0.66), 0.011)
    for nostril in (-0.065, 0.065):
        canvas.polygon(face.spot(CIRCLE * (0.032, 0.018) + (nostril, 0.058), 0.0, tip), lit(face.skin, 0.45))
    canvas.polygon(face.spot(CIRCLE * (0.042, 0.05) - (0.03 * away, 0.03), 0.0, tip), lit(face.skin, 1.10))


def _mouth(canvas: Canvas, face: Face) -> None:
    """Lips whose corners rise with the smile; a smile opens them and shows teeth, however faint it is."""
    smile = face.row.smile
    lips = mixed(_LIP, lit(face.skin, 0.60), 0.25)
    line = _LID * (0.30 + 0.10 * abs(smile), 1) + np.array([0, 0.5]) * _BULGE * 0.44 * smile - (0, 0.10 * smile)
    opened = 0.20 + 0.26 * smile if smile > 0 else 0.0
    lower = line + _BULGE * opened
    if opened > 0:
        canvas.polygon(face.spot(np.concatenate([line, lower[::-1]]), 0.0, _MOUTH_V), lit(_INK, 1.5))
        teeth = line + _BULGE * 0.70 * opened
        canvas.polygon(face.spot(np.concatenate([line, teeth[::-1]]), 0.0, _MOUTH_V), _WHITE)
    full = lower + _BULGE * 0.10
    canvas.polygon(face.spot(np.concatenate([lower, full[::-1]]), 0.0, _MOUTH_V), lips)
    bow = line - np.stack([np.zeros(15), 0.075 * (1 - _T**2) * (0.8 + 0.5 * np.abs(_T))], 1)
    canvas.polygon(face.spot(np.concatenate([line, bow[::-1]]), 0.0, _MOUTH_V), lit(lips, 0.84))
    canvas.line(face.spot(lower, 0.0, _MOUTH_V), lit(lips, 0.62), 0.009)
    canvas.line(face.spot(line, 0.0, _MOUTH_V), lit(lips, 0.55), 0.010)


def _beard(canvas: Canvas, face: Face) -> None:
    """A full beard along the jaw with a moustache, in short strokes of the hair's colour."""
    angle = np.linspace(0.02, math.pi - 0.02, 21)
    rim = np.stack([np.cos(angle) * 0.97, 0.12 + 0.92 * np.sin(angle)], 1)
    inner = np.stack([np.cos(angle[::-1]) * 0.80, 0.16 + 0.24 * np.sin(angle[::-1])], 1)
    colour = mixed(lit(face.hair, 0.86), face.skin, 0.12)
    rim_at = rim * (face.half_width, HEIGHT) + (face.x, face.y)
    canvas.polygon(np.concatenate([rim_at, face.place(inner)]), colour)
    share = face.random("beard").random((110, 3))
    along = np.clip(share[:, 0] * 20, 0, 19.999)
    first = along.astype(int)
    start = face.place(inner[::-1])[first] * (1 - share[:, 1:2]) + rim_at[first] * share[:, 1:2]
    stroke = np.stack([start, start + np.stack([0.02 * (share[:, 2] - 0.5), 0.012 + 0.018 * share[:, 2]], 1)], 1)
    canvas.lines(stroke[:55], lit(face.hair, 0.62), 0.006)
    canvas.lines(stroke[55:], lit(face.hair, 1.18), 0.006)
    canvas.polygon(face.spot(CIRCLE * (0.42, 0.17) + (0.0, 0.02), 0.0, _MOUTH_V), lit(face.skin, 0.84))


def _earrings(canvas: Canvas, face: Face) -> None:
    for _, x in _sides(face):
        canvas.line(CIRCLE * (0.022, 0.030) + (x, face.y + 0.112), _GOLD, 0.014, closed=True)
        canvas.ellipse(x, face.y + 0.078, 0.013, 0.013, lit(_GOLD, 1.1))


def draw_glasses(canvas: Canvas, face: Face) -> None:
    """Round frames with a glint on each glass, and temples to the ears."""
    if face.row.glasses < 0.5:
        return
    rim = CIRCLE * (0.315, 0.28)
    for side in (-1, 1):
        u = side * _EYE_U
        canvas.line(face.spot(rim, u, _EYE_V + 0.02), _FRAME, 0.017, closed=True)
        glint = np.array([[-0.19, 0.10], [-0.02, -0.19]])
        canvas.line(face.spot(glint, u, _EYE_V + 0.02), mixed(face.skin, (255, 255, 255), 0.75), 0.008)
        hinge = face.spot(np.array([[side * 0.31, -0.06]]), u, _EYE_V)[0]
        ear = [face.x + side * (face.half_width + 0.004), face.y - 0.02]
        canvas.line(np.array([hinge, ear]), _FRAME, 0.017)
    bridge = face.spot(np.array([[-0.10, 0.0], [0.0, -0.05], [0.10, 0.0]]), 0.0, _EYE_V)
    canvas.line(bridge, _FRAME, 0.017)
