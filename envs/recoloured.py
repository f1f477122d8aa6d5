"""CarRacing in other colours: the tracks, physics and rewards of every seed are CarRacing's own.

Gymnasium's `domain_randomize` draws its colours from the generator that also makes the track, so that a seed gives
another track with it than without. Here a palette follows from the seed alone. Each frame then has a known twin in the
usual colours: same track, same drive.
"""

import numpy as np
from jaxtyping import Float64, UInt8

from envs.fast_car_racing import FastCarRacing
from envs.info import Info

BRIGHTEST = 210.0
"""Of a channel, as in gymnasium's `domain_randomize`."""
APART = 80.0
"""Least distance of the road's colour to the grass: a track in one colour could not be driven by sight."""
_PALETTES = 0xC0105


class RecolouredCarRacing(FastCarRacing):
    """Gymnasium's CarRacing-v3 with a palette of its own for each track."""

    @property
    def usual_colours(self) -> bool:
        """No: every track has colours of its own."""
        return False

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[UInt8[np.ndarray, "H W C"], Info]:
        """Make the track of the seed as CarRacing does, in the colours of the seed."""
        if seed is not None or not hasattr(self, "_colours"):
            self._colours = np.random.default_rng([_PALETTES, 0 if seed is None else seed])
        self.road_color, self.bg_color, self.grass_color = palette(self._colours)
        return super().reset(seed=seed, options=options)


def palette(colours: np.random.Generator) -> tuple[Float64[np.ndarray, "3"], ...]:
    """Return colours of road, playfield and patches of grass, chosen as gymnasium does but never alike."""
    while True:
        road, field = colours.uniform(0, BRIGHTEST, (2, 3))
        if np.linalg.norm(road - field) >= APART:
            break
    grass = field.copy()
    grass[colours.integers(3)] += 20
    return road, field, grass
