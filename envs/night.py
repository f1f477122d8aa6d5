"""CarRacing by night, in snow: the tracks, physics and rewards of every seed are CarRacing's own.

Only what the headlights reach is bright. Road and snow are of one hue, so that snow in the dark has the colour of road
in the light: no function of a pixel's colour alone says which it is, one has to look at where it is and what is around
it. Each frame has a known twin by day: same track, same drive.
"""

import cv2
import numpy as np
from gymnasium.envs.box2d.car_racing import STATE_W
from jaxtyping import Float32, UInt8

from envs.drawing import SCENE_H
from envs.fast_car_racing import FastCarRacing
from envs.info import Info

ROAD, FIELD, PATCHES = (107.0, 112.0, 125.0), (178.0, 186.0, 208.0), (198.0, 207.0, 231.0)
"""Colours in full light."""
DARK = 0.25
"""Of the light, where no headlight reaches."""
LAMPS = (70.0, 48.0)
"""Row and column of the frame that the light comes from."""


def headlights() -> Float32[np.ndarray, "84 96 3"]:
    """Return the share of light at each pixel of the scene: a cone ahead that fades, and a glow around the car."""
    rows, columns = np.mgrid[:SCENE_H, :STATE_W]
    ahead, aside = LAMPS[0] - rows, columns + 0.5 - LAMPS[1]
    away = np.hypot(ahead, aside)
    cone = np.exp(-(np.arctan2(aside, ahead) ** 2) - (away / 60) ** 2)
    glow = np.exp(-((away / 12) ** 2))
    light = DARK + (1 - DARK) * np.maximum(cone, glow)
    return light[:, :, None].repeat(3, 2).astype(np.float32)


LIGHT = headlights()


class NightCarRacing(FastCarRacing):
    """Gymnasium's CarRacing-v3 in snow and headlights."""

    @property
    def usual_colours(self) -> bool:
        """No: neither road nor grass has its usual colour."""
        return False

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[UInt8[np.ndarray, "H W C"], Info]:
        """Make the track of the seed as CarRacing does, in snow."""
        self.road_color, self.bg_color, self.grass_color = (np.array(each) for each in (ROAD, FIELD, PATCHES))
        return super().reset(seed=seed, options=options)

    def draw_state_pixels(self) -> UInt8[np.ndarray, "96 96 3"]:
        """Draw the observation of this moment in this light; the bar of indicators has its own."""
        frame = super().draw_state_pixels()
        scene = frame[:SCENE_H]
        cv2.multiply(scene, LIGHT, scene, dtype=cv2.CV_8U)
        return frame
