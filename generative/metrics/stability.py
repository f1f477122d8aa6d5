"""Whether training comes out the same: over seeds, and along one run.

Losses of adversarial training say little of quality; give curves of a sample metric (FD, KD, an error).
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from generative.options import ComponentError

Better = Literal["lower", "higher"]


class Interval(NamedTuple):
    """A mean and its bootstrap interval."""

    mean: float
    """Of the values."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""


def spread_over_seeds(finals: Sequence[float]) -> float:
    """Return the standard deviation (divisor n - 1) of one final figure per seed, in its units.

    Raises:
        ComponentError: fewer than three seeds, or a figure that is not finite (count those by `finished_share`).
    """
    if len(finals) < 3:
        raise ComponentError(f"{len(finals)} seeds: a spread needs at least 3; train more")
    return float(np.std(_finite(finals), ddof=1))


def bootstrap_interval(values: Sequence[float], *, seed: int, level: float = 0.95, draws: int = 10_000) -> Interval:
    """Return the mean with its percentile bootstrap interval (Efron 1979).

    Raises:
        ComponentError: no values, one that is not finite, or a level outside (0, 1).
    """
    if len(values) < 1 or not 0 < level < 1:
        raise ComponentError(f"{len(values)} values, level={level}: give at least one value and a level such as 0.95")
    given = _finite(values)
    means = np.random.default_rng(seed).choice(given, (draws, len(given))).mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(given.mean()), float(low), float(high))


def finished_share(curves: Sequence[Sequence[float]]) -> float:
    """Return the share of runs whose curve has no NaN or infinity; raise ComponentError without runs."""
    if not curves:
        raise ComponentError("curves: none given; give one per seed")
    return sum(all(map(math.isfinite, curve)) for curve in curves) / len(curves)


def degradation(curve: Sequence[float], *, better: Better = "lower") -> float:
    """Return by how much the last value is worse than the best, over the range of the curve.

    0 when training ended at its best, 1 when it ended at its worst; 0 of a constant curve.

    Raises:
        ComponentError: an empty curve or a value that is not finite.
    """
    values = _finite(curve)
    lowest, highest = values.min(), values.max()
    if lowest == highest:
        return 0.0
    lost = values[-1] - lowest if better == "lower" else highest - values[-1]
    return float(lost / (highest - lowest))


def spikes(curve: Sequence[float], *, factor: float = 10.0) -> int:
    """Return how many values exceed `factor` times the median of the magnitudes, as for gradient norms.

    Raises:
        ComponentError: an empty curve or a value that is not finite.
    """
    values = np.abs(_finite(curve))
    return int((values > factor * np.median(values)).sum())


def _finite(values: Sequence[float]) -> np.ndarray:
    given = np.asarray(values, dtype=np.float64)
    if given.size == 0 or not np.isfinite(given).all():
        raise ComponentError(f"values: {given.size} given, not all finite; leave diverged runs out and count them")
    return given
