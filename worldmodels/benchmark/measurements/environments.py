"""How many frames of CarRacing a second: against gymnasium's own on one core, and against EnvPool on two."""

import itertools
import math
from contextlib import ExitStack, closing
from multiprocessing.connection import Connection
from typing import Any

import cv2
import gymnasium as gym
import numpy as np

import envs  # noqa: F401  registers our environments
from envs import VectorEnv
from worldmodels.benchmark.figure import BenchmarkFigure, Settings, Skip, paired, rate
from worldmodels.benchmark.machine import use_cores
from worldmodels.benchmark.measurements.driving import TRACKS, RecordedDrive, record, wandering
from worldmodels.benchmark.processes import Child

OURS, THEIRS = "WorldModels/FastCarRacing-v3", "CarRacing-v3"
EPISODE = 300
"""Frames played from each reset: the first second's zoom-in is a sixth of them."""

FRAMES = BenchmarkFigure(
    "frames", "CarRacing frames with pixels on one core, against gymnasium's", "x", ">= 25", "frames/s"
)
FRAMES_LEAST = 25.0

ENVPOOL = BenchmarkFigure(
    "envpool", "64 CarRacing environments on two cores, against EnvPool's", "x", ">= 1.5", "frames/s"
)
ENVPOOL_LEAST = 1.5
WIDTH, CORES = 64, 2


def frames(settings: Settings) -> BenchmarkFigure:
    """Play recorded drives, resets included, in our environment and in gymnasium's; a pair shares its track."""
    drives = [record(track, settings.scaled(EPISODE)) for track in TRACKS[: settings.scaled(len(TRACKS))]]
    coming = itertools.cycle(drives)
    drive = drives[0]
    with use_cores(1), ExitStack() as stack:
        ours, theirs = (stack.enter_context(closing(make(name))) for name in (OURS, THEIRS))

        def our_window(seconds: float) -> float:
            nonlocal drive
            drive = next(coming)
            return rate(lambda: play(ours, drive), seconds)

        def their_window(seconds: float) -> float:
            return rate(lambda: play(theirs, drive), seconds)

        first = RecordedDrive(drive.track, drive.actions[:10])
        play(ours, first), play(theirs, first)
        pairs = paired(our_window, their_window, settings)
    return FRAMES.timed(pairs, FRAMES_LEAST, frames_per_episode=len(drive.actions), action_repeat=1, size=[96, 96])


def make(name: str) -> gym.Env:
    """Make an environment the same way for both sides, without gymnasium's checker of API use."""
    return gym.make(name, disable_env_checker=True)


def play(env: gym.Env, drive: RecordedDrive) -> int:
    """Play a drive from its reset and return its frames."""
    env.reset(seed=drive.track)
    for action in drive.actions:
        env.step(action)
    return len(drive.actions)


def envpool(settings: Settings) -> BenchmarkFigure:
    """Play 64 episodes at a time: two processes of 32 slots each against EnvPool with two threads."""
    try:
        import envpool as pool
    except ImportError as error:
        raise Skip(f"EnvPool cannot be imported ({error}): pip install -e '.[bench]'") from error
    episode, width = settings.scaled(EPISODE), settings.scaled(WIDTH, CORES)
    actions = wandering(episode, width, seed=0)
    with use_cores(CORES), ExitStack() as stack:
        slots = width // CORES
        children = [stack.enter_context(Child(play_slots, slots, episode, child * slots)) for child in range(CORES)]
        theirs: Any = pool.make_gymnasium(THEIRS, num_envs=slots * CORES, num_threads=CORES, seed=0)
        stack.callback(theirs.close)
        for child in children:
            child.receive()  # ready

        def our_episodes() -> float:
            for child in children:
                child.send("play")
            return math.fsum(child.receive() for child in children)

        def their_episodes() -> float:
            theirs.reset()
            for action in actions:
                theirs.step(action)
            return float(actions.shape[0] * actions.shape[1])

        pairs = paired(
            lambda seconds: rate(our_episodes, seconds), lambda seconds: rate(their_episodes, seconds), settings
        )
    return ENVPOOL.timed(
        pairs,
        ENVPOOL_LEAST,
        frames_per_episode=episode,
        environments=slots * CORES,
        note="our frames stay in the two processes, where a worker's networks are; EnvPool's arrive in one array",
    )


def play_slots(connection: Connection, slots: int, episode: int, first: int) -> None:
    """Be one of our processes: play an episode in every slot for each message, and answer with the frames."""
    cv2.setNumThreads(1)
    env = VectorEnv([make(OURS) for _ in range(slots)])
    actions = wandering(episode, slots, seed=first)
    tracks = itertools.count(first)
    connection.send(0)
    while connection.recv() == "play":
        env.reset(seed=[next(tracks) for _ in range(slots)])
        connection.send(sum(int(env.step(action)[4]["frames"].sum()) for action in actions))


def bars_after_reset(name: str, tracks: int) -> np.ndarray:
    """Return the bar of indicators (rows 84 to 95) of frames right after resets, uint8 (tracks 12 96 3)."""
    with closing(make(name)) as env:
        return np.stack([env.reset(seed=track)[0][84:] for track in TRACKS[:tracks]])
