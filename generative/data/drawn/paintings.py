"""Two paintings drawn by rule, for what needs a style and has no painter: short strokes that whirl, and a mosaic.

Both are functions of a seed, so that they can be drawn in any size on any machine and belong to nobody.
"""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

NIGHT = ((16, 32, 92), (28, 64, 148), (56, 108, 190), (120, 168, 214), (238, 206, 92), (248, 232, 168))
"""From the dark of the sky to the light of stars."""
TILES = ((196, 60, 40), (226, 142, 44), (240, 206, 110), (40, 112, 120), (24, 60, 88), (232, 226, 210))
"""Glazed clay."""
GROUT = (44, 38, 36)
STROKE, TILE = 0.05, 0.045
"""Length of a stroke and width of a tile, in shares of the picture's side."""


def strokes(size: int = 256, seed: int = 0) -> UInt8[np.ndarray, "size size 3"]:
    """Return strokes of a brush along whirls: dark blue between, and yellow in the middle of each."""
    rng = np.random.default_rng(seed)
    middles = rng.uniform(0.1, 0.9, (6, 2))
    turns = rng.choice([-1.0, 1.0], 6)
    picture = np.full((size, size, 3), NIGHT[0], np.uint8)
    count = int(9 / STROKE**2)
    for place, jitter, shade in zip(rng.random((count, 2)), rng.normal(0, 0.25, count), rng.random(count), strict=True):
        away = place - middles
        distance = np.hypot(*away.T)
        pull = turns / (0.02 + distance**2)
        flow = (pull[:, None] * np.stack([-away[:, 1], away[:, 0]], 1)).sum(0) + np.array([0.8, 0.2])
        angle = np.arctan2(flow[1], flow[0]) + jitter
        light = np.exp(-((distance.min() / 0.085) ** 2))
        colour = NIGHT[min(int(3.2 * shade + 4 * light * shade + 2.2 * light), len(NIGHT) - 1)]
        half = STROKE / 2 * np.array([np.cos(angle), np.sin(angle)])
        ends = [tuple(round(float(each) * size * 16) for each in end) for end in (place - half, place + half)]
        cv2.line(picture, ends[0], ends[1], colour, max(1, round(size * 0.012)), cv2.LINE_AA, shift=4)
    return picture


def mosaic(size: int = 256, seed: int = 0) -> UInt8[np.ndarray, "size size 3"]:
    """Return tiles of clay with dark grout between, each tile in one colour and a little uneven."""
    rng = np.random.default_rng(seed)
    side = int(1 / TILE)
    lattice = np.stack(np.meshgrid(*[(np.arange(-1, side + 2) + 0.5) / side] * 2), -1).reshape(-1, 2)
    middles = lattice + rng.uniform(-0.38, 0.38, lattice.shape) / side
    colours = np.array(TILES)[rng.integers(len(TILES), size=len(middles))] + rng.normal(0, 9, (len(middles), 3))
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    nearest, second, which = _two_nearest(x, y, middles)
    picture = colours[which] + rng.normal(0, 5, (size, size, 1))
    joint = np.clip(((second - nearest) * side / 0.16), 0, 1)[..., None]
    return np.clip(picture * joint + np.array(GROUT) * (1 - joint), 0, 255).astype(np.uint8)


def _two_nearest(
    x: Float[np.ndarray, "H W"], y: Float[np.ndarray, "H W"], middles: Float[np.ndarray, "N 2"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distances to the nearest and the second nearest middle, and which is the nearest."""
    nearest = np.full(x.shape, np.inf)
    second, which = nearest.copy(), np.zeros(x.shape, np.int64)
    for number, (across, down) in enumerate(middles):
        distance = np.hypot(x - across, y - down)
        second = np.minimum(second, np.maximum(nearest, distance))
        which[distance < nearest] = number
        nearest = np.minimum(nearest, distance)
    return nearest, second, which


PAINTINGS: dict[str, Callable[[int, int], UInt8[np.ndarray, "size size 3"]]] = {"strokes": strokes, "mosaic": mosaic}
"""By name: what draws one of a size, out of a seed."""
