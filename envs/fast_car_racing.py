"""CarRacing whose observation is drawn with OpenCV, dozens of times faster than gymnasium's pygame drawing.

Gymnasium paints a 1000 x 800 window, polygon by polygon in Python, and shrinks it to 96 x 96; one frame takes over a
hundred times as long as simulating it. Here the scene is drawn on a small canvas instead (`envs.drawing`), and the
bar of indicators below is put together from pictures that pygame drew once. Physics, tracks, rewards and the other
render modes are gymnasium's; the scene differs from gymnasium's by 0.3 grey levels on average.
"""

import math
from functools import lru_cache

import cv2
import numpy as np
import pygame
from gymnasium.envs.box2d import car_dynamics
from gymnasium.envs.box2d.car_racing import STATE_H, STATE_W, WINDOW_H, WINDOW_W
from jaxtyping import UInt8

from envs.car_racing import CarRacing
from envs.drawing import BAR_H, SCENE_H, Camera, World, draw_car, draw_world

DARKENING = np.full((SCENE_H, STATE_W, 3), 2, dtype=np.uint8)  # pygame's smoothscale rounds down twice
CELL_W, CELL_H = WINDOW_W // 40, WINDOW_H // 40  # the grid on which gymnasium places its indicators, window pixels
TOLERANCE = 1e-4  # gymnasium does not show smaller values
WHITE, BLUE, PURPLE, GREEN, RED = (255, 255, 255), (0, 0, 255), (51, 0, 255), (0, 255, 0), (255, 0, 0)


class FastCarRacing(CarRacing):
    """Gymnasium's CarRacing-v3 with observations drawn by OpenCV."""

    _world: World | None = None

    def _create_track(self) -> bool:
        done = bool(super()._create_track())
        if done:
            self._world = World(self)
        return done

    def draw_state_pixels(self) -> UInt8[np.ndarray, "96 96 3"]:
        """Draw the observation of this moment, from the simulator's state alone."""
        assert self.car is not None and self._world is not None
        x, y = self.car.hull.position
        camera = Camera(x, y, self.car.hull.angle, self.t)
        canvas = draw_world(self._world, camera)
        draw_car(canvas, self.car, camera)
        frame = np.empty((STATE_H, STATE_W, 3), dtype=np.uint8)
        scene = frame[:SCENE_H]
        cv2.resize(canvas, (STATE_W, SCENE_H), scene, 0, 0, cv2.INTER_AREA)
        cv2.subtract(scene, DARKENING, scene)
        draw_bar(frame[SCENE_H:], self.car, self.reward)
        return frame


def draw_bar(bar: np.ndarray, car: car_dynamics.Car, reward: float) -> None:
    """Reward, speed, wheel speeds, steering and rotation into `bar` (12, 96, 3)."""
    bar[:] = bar_with_text(f"{reward:04.0f}")
    vx, vy = car.hull.linearVelocity
    speed = math.hypot(vx, vy)
    front_left, front_right, rear_left, rear_right = (wheel.omega for wheel in car.wheels)
    columns = (
        (5, speed, 0.02, WHITE),
        (7, front_left, 0.01, BLUE),
        (8, front_right, 0.01, BLUE),
        (9, rear_left, 0.01, PURPLE),
        (10, rear_right, 0.01, PURPLE),
    )
    for place, value, scale, color in columns:
        if abs(value) > TOLERANCE:
            cv2.add(bar, bar_with_column(place, int(WINDOW_H - CELL_H - CELL_H * scale * value), color), bar)
    rows = ((20, car.wheels[0].joint.angle, -10.0, GREEN), (30, car.hull.angularVelocity, -0.8, RED))
    for place, value, scale, color in rows:
        if abs(value) > TOLERANCE:
            cv2.add(bar, bar_with_row(place, int((place + scale * value) * CELL_W), color), bar)


@lru_cache(maxsize=4096)
def bar_with_column(place: int, top: int, color: tuple[int, int, int]) -> np.ndarray:
    """The bar (12, 96, 3) with nothing but an upright indicator in column `place`, up to `top` (window pixels)."""
    left, right, bottom = place * CELL_W, (place + 1) * CELL_W, WINDOW_H - CELL_H
    return bar_with_polygon([(left, top), (right, top), (right, bottom), (left, bottom)], color)


@lru_cache(maxsize=4096)
def bar_with_row(place: int, end: int, color: tuple[int, int, int]) -> np.ndarray:
    """The bar (12, 96, 3) with nothing but a lying indicator from column `place` to `end` (window pixels)."""
    start, top, bottom = place * CELL_W, WINDOW_H - 4 * CELL_H, WINDOW_H - 2 * CELL_H
    return bar_with_polygon([(start, top), (end, top), (end, bottom), (start, bottom)], color)


def bar_with_polygon(corners: list[tuple[int, int]], color: tuple[int, int, int]) -> np.ndarray:
    """The bar (12, 96, 3) with nothing but one polygon, given in window pixels."""
    surface = pygame.Surface((WINDOW_W, BAR_H))
    pygame.draw.polygon(surface, color, [(x, y - (WINDOW_H - BAR_H)) for x, y in corners])
    return shrink_bar(surface)


@lru_cache(maxsize=4096)
def bar_with_text(text: str) -> np.ndarray:
    """The bar (12, 96, 3) with nothing but the reward's digits."""
    pygame.font.init()
    font = pygame.font.Font(pygame.font.get_default_font(), 42)
    digits = font.render(text, True, (255, 255, 255), (0, 0, 0))
    surface = pygame.Surface((WINDOW_W, BAR_H))
    surface.blit(digits, digits.get_rect(center=(60, BAR_H // 2)))
    return shrink_bar(surface)


def shrink_bar(surface: pygame.Surface) -> np.ndarray:
    """The bar as the observation shows it."""
    shrunk = pygame.transform.smoothscale(surface, (STATE_W, STATE_H - SCENE_H))
    return np.ascontiguousarray(pygame.surfarray.array3d(shrunk).swapaxes(0, 1))
