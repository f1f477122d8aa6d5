"""Ways to drive CarRacing for the benchmark, told from the simulator's state: nothing here looks at frames."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from gymnasium.envs.box2d.car_racing import FPS
from jaxtyping import Float32

from envs.car_racing import CarRacing
from worldmodels.seeds import VALIDATION

Action = Float32[np.ndarray, " 3"]
Driver = Callable[[CarRacing], Action]

AHEAD = 5
"""Tiles ahead at which a driver aims."""
TRACKS = VALIDATION[:20]
"""Seeds of the tracks that are driven."""


def follow_road(env: CarRacing) -> Action:
    """Aim at the road a few tiles ahead, at a moderate speed."""
    hull: Any = env.car.hull  # type: ignore[union-attr]  # there is a car after reset
    centres = np.array(env.track)[:, 2:]
    position = np.array(hull.position)
    nearest = int(np.square(centres - position).sum(axis=1).argmin())
    dx, dy = centres[(nearest + AHEAD) % len(centres)] - position
    cos, sin = math.cos(hull.angle), math.sin(hull.angle)
    bearing = math.atan2(dx * cos + dy * sin, dy * cos - dx * sin)  # positive to the right
    gas = 0.4 if math.hypot(*hull.linearVelocity) < 40 else 0.0
    return np.array([np.clip(bearing, -1, 1), gas, 0.0], dtype=np.float32)


def skid(env: CarRacing) -> Action:
    """Oversteer at full gas along the road, and brake hard now and then."""
    steering = np.clip(4 * follow_road(env)[0], -1, 1)
    braking = 0.9 if round(env.t * FPS) % 20 > 15 else 0.0
    return np.array([steering, 1.0, braking], dtype=np.float32)


def swerve(env: CarRacing) -> Action:
    """Follow the road in wide bows, so that the car goes on and off it."""
    steering = follow_road(env)[0] + 0.6 * math.sin(2 * env.t)
    return np.array([np.clip(steering, -1, 1), 0.5, 0.0], dtype=np.float32)


def cross_grass(env: CarRacing) -> Action:
    """Turn slowly, wherever the road goes."""
    return np.array([0.05, 0.6, 0.0], dtype=np.float32)


def leave_playfield(env: CarRacing) -> Action:
    """Straight on, so gently that the car does not spin, over the world's edge some 300 frames later."""
    return np.array([0.0, 0.3, 0.0], dtype=np.float32)


DRIVERS: dict[str, Driver] = {
    "driving": follow_road,
    "skidding": skid,
    "swerving": swerve,
    "grass": cross_grass,
    "off-road": leave_playfield,
}


class RecordedDrive(NamedTuple):
    """A recorded drive."""

    track: int
    actions: Float32[np.ndarray, "T 3"]


def record(track: int, frames: int) -> RecordedDrive:
    """Follow a track's road for so many frames, or less where the episode ends; nothing is drawn but the first."""
    env = CarRacing()
    env.draw = False
    env.reset(seed=track)
    actions = []
    for _ in range(frames):
        actions.append(follow_road(env))
        if env.step(actions[-1])[2]:
            break
    env.close()
    return RecordedDrive(track, np.stack(actions))


def wandering(frames: int, width: int, seed: int) -> Float32[np.ndarray, "frames width 3"]:
    """Return actions of a random walk that is drawn back to a slow drive straight on, for `width` cars."""
    rng = np.random.default_rng(seed)
    centre, spread = np.array([0.0, 0.3, 0.0]), np.array([0.1, 0.05, 0.0])
    actions = np.empty((frames, width, 3))
    now = np.tile(centre, (width, 1))
    for frame in range(frames):
        now = centre + 0.95 * (now - centre) + spread * rng.standard_normal((width, 3))
        actions[frame] = now
    return np.clip(actions, (-1.0, 0.0, 0.0), 1.0).astype(np.float32)
