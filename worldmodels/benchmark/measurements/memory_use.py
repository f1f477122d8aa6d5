"""Whether a worker's memory stays flat as it plays one episode after another."""

from multiprocessing.connection import Connection

import gymnasium as gym
import psutil
import torch

from worldmodels.benchmark.figure import BenchmarkFigure, Settings
from worldmodels.benchmark.measurements.environments import THEIRS, make
from worldmodels.benchmark.measurements.evaluation import random_agent
from worldmodels.benchmark.processes import Child
from worldmodels.evolution.tasks import RealTask, TrialWorker
from worldmodels.evolution.trial_setup import TrialSetup
from worldmodels.seeds import TRAINING

MEMORY = BenchmarkFigure(
    "memory", "growth of a worker's resident memory from its 50th reset to its 500th", "MiB", "<= 10", "MiB"
)
MOST = 10.0
FIRST, LAST = 50, 500
STEPS = 3
"""Frames played after a reset."""


def memory(settings: Settings) -> BenchmarkFigure:
    """Let a worker in a process of its own play short episodes, and beside it gymnasium's environment."""
    marks = (settings.scaled(FIRST), settings.scaled(LAST, 2))
    with Child(our_worker, *marks) as ours, Child(their_loop, *marks) as theirs:
        our_sizes = ours.receive(), ours.receive()
        their_sizes = theirs.receive(), theirs.receive()
    growth, their_growth = (last - first for first, last in (our_sizes, their_sizes))
    return MEMORY.found(
        growth,
        growth <= MOST,
        ours=growth,
        theirs=their_growth,
        detail={
            "resets": list(marks),
            "ours_mib": list(our_sizes),
            "theirs_mib": list(their_sizes),
            "note": "theirs is gymnasium's environment alone, without networks",
        },
    )


def our_worker(connection: Connection, first: int, last: int) -> None:
    """Play tracks with one environment, a frame drawn at each step, and tell the size at both marks."""
    torch.set_num_threads(1)
    agent = random_agent(STEPS)
    worker = TrialWorker(TrialSetup(agent.bundle, 1))
    for begin, end in ((0, first), (first, last)):
        worker(RealTask(agent.parameters, [(0, track) for track in TRAINING[begin:end]], training=False))
        connection.send(resident())


def their_loop(connection: Connection, first: int, last: int) -> None:
    """Do the same with gymnasium's environment."""
    env: gym.Env = make(THEIRS)
    env.action_space.seed(0)
    for begin, end in ((0, first), (first, last)):
        for track in TRAINING[begin:end]:
            env.reset(seed=track)
            for _ in range(STEPS):
                env.step(env.action_space.sample())
        connection.send(resident())


def resident() -> float:
    """Return this process's resident memory, MiB."""
    return round(psutil.Process().memory_info().rss / 2**20, 1)
