"""One face as numbers: its factors by name, its colours, and where a point of the head lies in the image."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from generative.data.drawn.canvas import Colour, Points, between, hue, lit

HAIR_STYLES = ("bald", "short", "long", "curly", "bun")
HAIR_COLOURS = ("black", "brown", "red", "blond", "grey")
EYE_COLOURS = ("brown", "green", "blue")
BACKDROPS = ("wall", "lights", "stripes", "hills", "bricks")
_HAIR: tuple[Colour, ...] = ((46, 40, 44), (112, 70, 40), (188, 84, 38), (232, 196, 106), (176, 178, 186))
_EYES: tuple[Colour, ...] = ((104, 62, 34), (78, 128, 70), (66, 120, 176))
_SKIN: tuple[Colour, ...] = ((252, 220, 196), (214, 156, 114), (108, 70, 48))
CENTRE = (0.5, 0.52)
HEIGHT = 0.31  # of the head, half
PIVOT = (0.5, 0.88)  # the neck, around which a head tilts


class FaceFactors(NamedTuple):
    """The factors of a face."""

    smile: float = 0.0
    """-1 (sad) to 1 (broad)."""
    glasses: float = 0.0
    """0 or 1, as all that are worn or not."""
    hair_style: float = 1.0
    """Number in `HAIR_STYLES`."""
    hair_colour: float = 1.0
    """Number in `HAIR_COLOURS`."""
    skin: float = 0.3
    """0 (light) to 1 (dark)."""
    background: float = 0.5
    """Hue from 0 (rose) to 1 (violet)."""
    eye_size: float = 0.5
    """0 to 1."""
    face_width: float = 0.5
    """0 to 1."""
    turn: float = 0.0
    """-1 (to the left of the image) to 1 (to its right)."""
    tilt: float = 0.0
    """-1 (the head leans to the left of the image) to 1."""
    nod: float = 0.0
    """-1 (looks down) to 1 (looks up)."""
    light: float = 0.0
    """-1 (from the left of the image) to 1 (from its right)."""
    eye_colour: float = 0.0
    """Number in `EYE_COLOURS`."""
    backdrop: float = 0.0
    """Number in `BACKDROPS`."""
    shirt: float = 0.8
    """Hue, as of the background."""
    beard: float = 0.0
    """0 or 1."""
    earrings: float = 0.0
    """0 or 1."""
    headband: float = 0.0
    """0 or 1."""


class Face:
    """The geometry and colours of a face.

    Points of the head are (u, v): u from -1 (left) to 1 (right) and v from -1 (crown) to 1 (chin) as seen from the
    front. `place` turns the head like a ball: what looks away is drawn closer together.
    """

    def __init__(self, row: FaceFactors, detail: int) -> None:
        self.row, self.detail = row, detail
        self.half_width = 0.212 + 0.06 * row.face_width
        self.hair_style = HAIR_STYLES[int(row.hair_style)]
        self.hair = _HAIR[int(row.hair_colour)]
        self.skin = between(_SKIN, row.skin)
        self.shirt = hue(row.shirt, 120, 70)
        self.iris = _EYES[int(row.eye_colour)]
        self.brows = lit(self.hair, 0.72)
        yaw = 0.32 * row.turn
        self._along, self._ahead = math.cos(yaw), math.sin(yaw)
        self._up = 0.10 * row.nod
        self.tilt = 0.15 * row.tilt
        self.x = CENTRE[0] + 0.008 * row.turn
        self.y = CENTRE[1]

    def random(self, of: str) -> np.random.Generator:
        """Return numbers for fine detail that is no factor: a stream for strands, one for the beard, and so on."""
        return np.random.Generator(np.random.SFC64([self.detail, *of.encode()]))

    def place(self, points: Float[np.ndarray, "... 2"]) -> Float[np.ndarray, "... 2"]:
        """Return where points (u, v) of the head's front are, in shares of the image, before the tilt."""
        u, v = points[..., 0], points[..., 1]
        depth = np.sqrt(np.maximum(0.0, 1 - u * u - 0.35 * v * v))
        placed = np.empty(points.shape)
        placed[..., 0] = self.x + self.half_width * (u * self._along + depth * self._ahead)
        placed[..., 1] = self.y + HEIGHT * (v - self._up * depth)
        return placed

    def spot(self, points: Points, u: float, v: float) -> Points:
        """Return points around a point of the head's front, narrower where it looks away.

        Args:
            points: in shares of the half width.
            u: of their middle.
            v: of their middle.
        """
        depth = math.sqrt(max(0.04, 1 - u * u - 0.35 * v * v))
        x = self.x + self.half_width * (u * self._along + depth * self._ahead)
        y = self.y + HEIGHT * (v - self._up * depth)
        across = self.half_width * (self._along - u / depth * self._ahead)
        return points * np.array([across, self.half_width]) + np.array([x, y])


def outline(half_width: float) -> Points:
    """Return the head's outline around (0, 0): round above, with a jaw below."""
    return _OUTLINE * (half_width, HEIGHT)


def _outline(count: int = 48) -> Points:
    angle = np.linspace(-math.pi, math.pi, count, endpoint=False)
    v, u = -np.cos(angle), np.sin(angle)
    jaw = np.clip(v, 0, 1)
    wide = np.abs(u) ** (1 - 0.12 * jaw) * (1 - 0.13 * jaw**2 * (1 - 0.5 * jaw))
    return np.stack([np.sign(u) * wide, v], 1)


_OUTLINE = _outline()
