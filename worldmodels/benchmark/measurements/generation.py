"""What a generation costs in a dream, compared with as many steps in the fast real environment."""

import itertools
from dataclasses import replace

import numpy as np

from generative import native_bfloat16
from worldmodels.benchmark.figure import BenchmarkFigure, Settings, paired, rate
from worldmodels.benchmark.machine import use_cores
from worldmodels.benchmark.measurements.driving import TRACKS
from worldmodels.benchmark.measurements.evaluation import EPISODE, SPREAD, random_agent
from worldmodels.dream.config import DreamConfig
from worldmodels.dream.imagine import BLOCK
from worldmodels.dream.starts import Starts
from worldmodels.evolution.tasks import DreamTask, RealTask, TrialWorker
from worldmodels.evolution.trial_setup import TrialSetup

GENERATION = BenchmarkFigure(
    "generation",
    "a generation in dreams on one core, against the same steps in the fast environment",
    "x",
    ">= 20",
    "steps/s",
)
LEAST = 20.0
CANDIDATES, DREAMS, HORIZON = 64, 16, 100
WIDTH = 16
"""Environments that the real side steps together."""
STARTS = 100


def generation(settings: Settings) -> BenchmarkFigure:
    """Try 64 candidates in 16 dreams each, then as many of them as the time allows on real tracks: one worker, both."""
    with use_cores(1):
        frames, horizon = settings.scaled(EPISODE, 2), settings.scaled(HORIZON, 2)
        candidates, width = settings.scaled(CANDIDATES, 2), settings.scaled(WIDTH, 2)
        agent = random_agent(frames)
        dtype = "bfloat16" if native_bfloat16() else "float32"
        bundle = replace(agent.bundle, generator=agent.bundle.memory, dtype=dtype)
        # A dream that is over is stepped on, so ends do not matter; without warm-up, so that only its steps are timed.
        config = DreamConfig(horizon=horizon, warmup=0, initial_state_fraction=1.0)
        latent, action = agent.vision.latent_spec.size, bundle.spec.size
        rng = np.random.default_rng(0)
        initial = rng.standard_normal((STARTS, latent), dtype=np.float32)
        starts = Starts(initial, initial[:, None], np.zeros((STARTS, 0, action), dtype=np.float32))
        parameters = SPREAD * rng.standard_normal((candidates, agent.parameters.shape[1]), dtype=np.float32)
        worker = TrialWorker(TrialSetup(bundle, width, config, starts))
        tracks = itertools.cycle(TRACKS)

        def dreamt() -> int:
            for first in range(0, candidates, BLOCK):
                worker(DreamTask(parameters[first : first + BLOCK], list(range(DREAMS))))
            return candidates * DREAMS * horizon

        def played() -> int:
            pairs = [(row % candidates, next(tracks)) for row in range(width)]
            return sum(one.frames for one in worker(RealTask(parameters, pairs, training=False)).played)

        try:
            dreamt(), played()
            pairs = paired(lambda seconds: rate(dreamt, seconds), lambda seconds: rate(played, seconds), settings)
        finally:
            worker.close()
    return GENERATION.timed(
        pairs,
        LEAST,
        candidates=candidates,
        dreams=DREAMS,
        horizon=horizon,
        dtype=dtype,
        action_repeat=1,
    )
