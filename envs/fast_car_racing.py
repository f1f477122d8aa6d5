"""CarRacing whose observation is drawn with OpenCV, dozens of times faster than gymnasium's pygame drawing.

Gymnasium paints a 1000 x 800 window, polygon by polygon in Python, and shrinks it to 96 x 96; a frame takes
over a hundred times as long as simulating it. Here the scene is drawn on a small canvas instead
(`envs.drawing`), and the bar of indicators below is put together from pictures that pygame drew once.
Physics, tracks, rewards and the other render modes are gymnasium's; the scene differs from gymnasium's by 0.3
grey levels on average.
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
from envs.drawing import BAR_H, SCENE_H, Camera, DrawnWorld, draw_car, draw_world

DARKENING = np.full((SCENE_H, STATE_W, 3), 2, dtype=np.uint8)  # pygame's smoothscale rounds down twice
CELL_W, CELL_H = WINDOW_W // 40, WINDOW_H // 40  # gymnasium's grid of indicators, window pixels
TOLERANCE = 1e-4  # gymnasium does not show smaller values
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
BLUE, PURPLE, GREEN, RED = (0, 0, 255), (51, 0, 255), (0, 255, 0), (255, 0, 0)


class FastCarRacing(CarRacing):
    """Gymnasium's CarRacing-v3 with observations drawn by OpenCV.

    `draw_bar`: while False, the bar of indicators, from row `bar_top` on, stays black, for models that do not see it.
    """

    draw_bar: bool = True
    bar_top: int = SCENE_H
    _world: DrawnWorld | None = None

    def _create_track(self) -> bool:
        done = bool(super()._create_track())
        if done:
            self._world = DrawnWorld(self)
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
        if self.draw_bar:
            draw_bar(frame[SCENE_H:], self.car, self.reward)
        else:
            frame[SCENE_H:] = 0
        return frame


def draw_bar(bar: np.ndarray, car: car_dynamics.Car, reward: float) -> None:
    """Reward, speed, wheel speeds, steering and rotation into `bar` (12, 96, 3)."""
    bar.fill(0)
    add(bar, digits(f"{reward:04.0f}"))
    vx, vy = car.hull.linearVelocity
    add(bar, columns(5, WHITE, top(math.hypot(vx, vy), 0.02)))
    front_left, front_right, rear_left, rear_right = [top(float(wheel.omega), 0.01) for wheel in car.wheels]
    add(bar, columns(7, BLUE, front_left, front_right))
    add(bar, columns(9, PURPLE, rear_left, rear_right))
    steering, rotation = car.wheels[0].joint.angle, car.hull.angularVelocity
    if abs(steering) > TOLERANCE:
        add(bar, row(20, int((20 - 10.0 * steering) * CELL_W), GREEN))
    if abs(rotation) > TOLERANCE:
        add(bar, row(30, int((30 - 0.8 * rotation) * CELL_W), RED))


Patch = tuple[slice, np.ndarray]  # some columns of the bar, and what to see there


def add(bar: np.ndarray, patch: Patch) -> None:
    """Put a patch on the black bar; neighbours may share a column, and each adds its part to the average."""
    columns, picture = patch
    area = bar[:, columns]
    cv2.add(area, picture, area)


def top(value: float, scale: float) -> int:
    """Upper end, in window pixels, of an indicator `scale` * `value` cells high; WINDOW_H if not shown."""
    return int(WINDOW_H - CELL_H - CELL_H * scale * value) if abs(value) > TOLERANCE else WINDOW_H


@lru_cache(maxsize=4096)
def columns(place: int, color: tuple[int, int, int], *tops: int) -> Patch:
    """Upright indicators side by side from column `place` of the grid on, up to `tops`, window pixels."""
    surface = pygame.Surface((WINDOW_W, BAR_H))
    for left, upper in enumerate(tops, start=place):
        if upper < WINDOW_H:
            box(surface, color, left * CELL_W, upper, (left + 1) * CELL_W, WINDOW_H - CELL_H)
    return shrink(surface)


@lru_cache(maxsize=4096)
def row(place: int, end: int, color: tuple[int, int, int]) -> Patch:
    """A lying indicator from column `place` of the grid to `end`, window pixels."""
    surface = pygame.Surface((WINDOW_W, BAR_H))
    box(surface, color, place * CELL_W, WINDOW_H - 4 * CELL_H, end, WINDOW_H - 2 * CELL_H)
    return shrink(surface)


def box(surface: pygame.Surface, color: tuple[int, int, int], *edges: int) -> None:
    """A box with the given left, top, right and bottom, window pixels."""
    left, top, right, bottom = edges
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    pygame.draw.polygon(surface, color, [(x, y - (WINDOW_H - BAR_H)) for x, y in corners])


@lru_cache(maxsize=4096)
def digits(text: str) -> Patch:
    """The reward in numbers."""
    try:
        picture = reward_font().render(text, True, WHITE, BLACK)
    except pygame.error:  # pygame.quit(), which closing any window calls, invalidates fonts
        reward_font.cache_clear()
        picture = reward_font().render(text, True, WHITE, BLACK)
    surface = pygame.Surface((WINDOW_W, BAR_H))
    surface.blit(picture, picture.get_rect(center=(60, BAR_H // 2)))
    return shrink(surface)


@lru_cache(maxsize=1)
def reward_font() -> pygame.font.Font:
    """Gymnasium's font; loading takes longer than drawing a frame."""
    pygame.font.init()
    return pygame.font.Font(pygame.font.get_default_font(), 42)


def shrink(surface: pygame.Surface) -> Patch:
    """The bar, given in window pixels, as the observation shows it, without black columns at its sides."""
    shrunk = pygame.transform.smoothscale(surface, (STATE_W, STATE_H - SCENE_H))
    picture = pygame.surfarray.array3d(shrunk).swapaxes(0, 1)
    seen = np.flatnonzero(picture.any(axis=(0, 2)))
    columns = slice(int(seen[0]), int(seen[-1]) + 1) if len(seen) else slice(0, 1)
    return columns, np.ascontiguousarray(picture[:, columns])
