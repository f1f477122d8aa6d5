"""Which tracks are for what: three disjoint, published ranges of environment seeds.

Nothing is selected on the test range: models, hyper-parameters and the shipped controller are chosen on validation
tracks.
"""

import numpy as np

TEST = range(0, 1_000)
"""`evaluate` uses the first `evaluate.tracks` of these, 0 to 99 by default."""
VALIDATION = range(10_000, 11_000)
"""The shipped controller is chosen on the first `evolve.validation.tracks` of these."""
TRAINING = range(1_000_000, 2**31 - 1)
"""Rollouts and evolution draw theirs from here."""

COLLECT, EVOLVE, DREAM, POLICY, FILM, LOOP, RECORDED = range(7)
"""Purposes that keep the random streams of one run seed apart."""


def stream(run_seed: int, purpose: int, *keys: int) -> np.random.Generator:
    """Return the random stream of one purpose of a run, a pure function of its arguments."""
    return np.random.default_rng([run_seed, purpose, *keys])


def training_tracks(run_seed: int, purpose: int, key: int, count: int) -> list[int]:
    """Return `count` distinct training seeds for the episode or generation `key` of a run."""
    rng = stream(run_seed, purpose, key)
    drawn: dict[int, None] = {}
    while len(drawn) < count:
        drawn[int(rng.integers(TRAINING.start, TRAINING.stop))] = None
    return list(drawn)
