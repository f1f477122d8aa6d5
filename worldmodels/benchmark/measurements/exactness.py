"""How exactly our CarRacing is gymnasium's: the frames nearly, everything else to the last bit."""

import statistics
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.envs.box2d.car_racing import FPS
from gymnasium.envs.box2d.car_racing import CarRacing as GymnasiumCarRacing
from gymnasium.wrappers import TimeLimit

from envs.car_racing import CarRacing
from envs.drawing import SCENE_H
from envs.fast_car_racing import FastCarRacing
from generative.core.facts import Facts
from worldmodels.benchmark.figure import BenchmarkFigure, Settings
from worldmodels.benchmark.measurements.driving import DRIVERS, TRACKS, Driver, follow_road, leave_playfield, skid
from worldmodels.benchmark.measurements.environments import OURS, THEIRS, bars_after_reset

FIDELITY = BenchmarkFigure(
    "fidelity",
    "mean difference to gymnasium's frame above the bar, of the same simulator state",
    "grey levels",
    "<= 0.6 (worst frame <= 2, bar <= 3)",
)
MOST_MEAN, MOST_WORST, MOST_BAR = 0.6, 2.0, 3.0
COMPARED = 250
"""Frames compared on each track: all of the zoom-in, then every second one."""

EQUALITY = BenchmarkFigure(
    "equality", "frames whose reward, end, info or simulator state is not gymnasium's", "frames", "0"
)
EQUAL_FRAMES = 400


class Difference(NamedTuple):
    """Mean absolute difference of a frame per channel, grey levels: above the bar, and of the bar."""

    scene: float
    bar: float


def fidelity(settings: Settings) -> BenchmarkFigure:
    """Compare frames of 20 tracks while following the road, skidding, swerving, on grass and off the world's edge."""
    found: dict[str, list[Difference]] = {name: [] for name in DRIVERS}
    tracks = TRACKS[: settings.scaled(len(TRACKS), len(DRIVERS))]
    with closing(FastCarRacing()) as env:
        for number, track in enumerate(tracks):
            name = list(DRIVERS)[number % len(DRIVERS)]
            found[name] += differences(env, track, DRIVERS[name], settings.scaled(COMPARED, 2))
    every = [difference for some in found.values() for difference in some]
    scene, bar = (np.array(values) for values in zip(*every, strict=True))
    mean, worst, mean_bar = float(scene.mean()), float(scene.max()), float(bar.mean())
    detail: Facts = {
        "frames": len(every),
        "tracks": len(tracks),
        "worst_frame": worst,
        "bar": mean_bar,
        "by_driver": {name: statistics.fmean(one.scene for one in some) for name, some in found.items()},
        **bars(settings.scaled(len(TRACKS))),
    }
    met = mean <= MOST_MEAN and worst <= MOST_WORST and mean_bar <= MOST_BAR
    return FIDELITY.found(mean, met, ours=mean, detail=detail)


def differences(env: FastCarRacing, track: int, driver: Driver, count: int) -> Iterator[Difference]:
    """Drive a track, and the next one where it ends, and yield the differences of `count` frames."""
    env.draw = False  # the two frames of a step are drawn below
    env.reset(seed=track)
    step = 0
    while count > 0:
        if env.t <= 1 or step % 2 == 0:
            yield difference(env)
            count -= 1
        step += 1
        if env.step(driver(env))[2]:
            track += len(TRACKS)
            env.reset(seed=track)


def difference(env: FastCarRacing) -> Difference:
    """Draw this moment of an environment in our way and in gymnasium's."""
    theirs = GymnasiumCarRacing._render(env, "state_pixels")
    apart = np.abs(env.draw_state_pixels().astype(np.int16) - theirs)
    return Difference(float(apart[:SCENE_H].mean()), float(apart[SCENE_H:].mean()))


def bars(tracks: int) -> Facts:
    """Compare the bars right after resets, the only part of EnvPool's frames that gymnasium draws alike."""
    theirs = bars_after_reset(THEIRS, tracks).astype(np.int16)
    found: Facts = {"bar_after_reset": float(np.abs(bars_after_reset(OURS, tracks) - theirs).mean())}
    try:
        import envpool
    except ImportError:
        return found | {"envpool_bar_after_reset": None, "note": "EnvPool is not installed, so it is not compared"}
    with closing(envpool.make_gymnasium(THEIRS, num_envs=tracks, num_threads=1, seed=0)) as pool:
        other = pool.reset()[0][:, SCENE_H:]
    return found | {
        "envpool_bar_after_reset": float(np.abs(other - theirs).mean()),
        "note": "EnvPool makes tracks of its own, so of its frames only the bar after a reset can be compared",
    }


class Undrawn(GymnasiumCarRacing):
    """Gymnasium's simulator, rewards and ends, whose observation is always black: drawing would take minutes."""

    def _render(self, mode: str) -> Any:
        return np.zeros((96, 96, 3), dtype=np.uint8) if mode == "state_pixels" else super()._render(mode)


def equality(settings: Settings) -> BenchmarkFigure:
    """Step our environment, which draws, and gymnasium's simulator with the same seeds and actions."""
    steps = settings.scaled(EQUAL_FRAMES, 2)
    drivers = (follow_road, skid, noise, follow_road, skid, leave_playfield)
    tracks = TRACKS[: len(drivers)]
    compared, differing, ends, first = 0, 0, 0, ""
    with closing(FastCarRacing()) as base, closing(Undrawn()) as other:
        ours, theirs = TimeLimit(base, steps), TimeLimit(other, steps)
        for track, driver in zip(tracks, drivers, strict=True):
            for step, (unequal, terminated) in enumerate(outcomes(ours, theirs, track, driver)):
                compared += 1
                ends += terminated
                if unequal:
                    differing += 1
                    first = first or f"track {track}, frame {step}: {unequal}"
    detail = {"frames": compared, "tracks": len(tracks), "terminated": ends, "first_difference": first}
    return EQUALITY.found(float(differing), differing == 0, detail=detail)


def outcomes(ours: gym.Env, theirs: gym.Env, track: int, driver: Driver) -> Iterator[tuple[str, bool]]:
    """Play an episode in both, and yield for the reset and every step what differs and whether ours terminated."""
    base: Any = ours.unwrapped
    other: Any = theirs.unwrapped
    ours.reset(seed=track)
    theirs.reset(seed=track)
    yield "" if state(base) == state(other) else "state after reset", False
    ended = False
    while not ended:
        action = driver(base)
        _, reward, terminated, truncated, info = ours.step(action)
        _, their_reward, their_terminated, their_truncated, their_info = theirs.step(action)
        common = info.keys() & their_info.keys()
        equal = {
            "reward": reward == their_reward,
            "terminated": terminated == their_terminated,
            "truncated": truncated == their_truncated,
            "info": all(info[key] == their_info[key] for key in common) and common == their_info.keys(),
            "state": state(base) == state(other),
        }
        ended = terminated or truncated or their_terminated or their_truncated
        yield ", ".join(name for name, same in equal.items() if not same), terminated


def state(env: GymnasiumCarRacing) -> list[Any]:
    """Return all that moves in a simulator: bodies, wheels, and what is counted."""
    car: Any = env.car
    found: list[Any] = [env.t, env.reward, env.prev_reward, env.tile_visited_count, env.new_lap, car.fuel_spent]
    for body in (car.hull, *car.wheels):
        found += [tuple(body.position), body.angle, tuple(body.linearVelocity), body.angularVelocity]
    for wheel in car.wheels:
        found += [wheel.gas, wheel.brake, wheel.steer, wheel.phase, wheel.omega, wheel.joint.angle, len(wheel.tiles)]
    return found


def noise(env: CarRacing) -> np.ndarray:
    """Drive at random, as a function of the time alone."""
    rng = np.random.default_rng(round(env.t * FPS))
    return rng.uniform((-1, 0, 0), 1).astype(np.float32)
