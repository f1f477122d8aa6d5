"""What a list of returns says: a mean with its interval, its spread, its worst tracks.

CarRacing's tracks differ so much that a mean over few of them says little: with a standard deviation of 60
the 95 % interval over 100 tracks is still +-12. So no mean leaves this module without an interval. The
interval is the percentile bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13),
which assumes no shape: returns are skewed, one crash costs hundreds. Two agents driven on the same tracks are
compared by the differences per track, which removes the tracks' own difficulty.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

SOLVED_RETURN = 900.0  # the environment counts as solved at this mean return over 100 tracks
RESAMPLES = 10_000
_RESAMPLES_AT_ONCE = 1_000  # bounds memory: 1,000 x 1,024 episodes are 16 MB of indices and values


@dataclass(frozen=True)
class Summary:
    """Returns of one agent over many tracks; `ci_low` and `ci_high` bound the mean with 95 % confidence.

    One episode has no spread to estimate from: then `std` is 0 and the interval is the return itself,
    so whoever prints it must look at `episodes`.
    """

    episodes: int
    mean: float
    std: float
    ci_low: float
    ci_high: float
    median: float
    worst_5_percent: float
    success_rate: float
    min: float
    max: float


@dataclass(frozen=True)
class PairedDifference:
    """Mean of `a - b` over the same tracks, its 95 % interval, the share of tracks where `a` was better."""

    episodes: int
    mean: float
    ci_low: float
    ci_high: float
    share_better: float


@dataclass(frozen=True)
class Estimate:
    """A figure over E episodes and its 95 % bootstrap interval; the interval is NaN where resamples cannot tell."""

    value: float
    ci_low: float
    ci_high: float
    episodes: int


def estimate_mean(values: Float[np.ndarray, " E"], seed: int) -> Estimate:
    """Return the mean of one value an episode with its interval; `seed` draws the resamples.

    Raises:
        ValueError: no values, or a NaN or infinity among them.
    """
    checked = _checked("values", values)
    return Estimate(float(checked.mean()), *_bootstrap_interval(checked, seed), len(checked))


def estimate(
    statistic: Callable[[Int[np.ndarray, " E"]], float], episodes: int, seed: int, resamples: int = 400
) -> Estimate:
    """Return a statistic of E episodes with the percentile interval over resampled episodes.

    For what is no mean, such as a correlation or the area under a curve. `scipy.stats.bootstrap` has no way to leave
    out resamples that cannot tell.

    Args:
        statistic: from the numbers of the episodes that count, repeated where drawn more than once; a NaN says that
            they cannot tell, and such a resample is left out.
        episodes: E.
        seed: draws the resamples.
        resamples: how many; with fewer than half of them known the interval is NaN.

    Raises:
        ValueError: no episodes.
    """
    if episodes < 1:
        raise ValueError(f"episodes={episodes}: need at least one episode")
    rng = np.random.default_rng(seed)
    drawn = np.array([statistic(rng.integers(episodes, size=episodes)) for _ in range(resamples)])
    known = drawn[np.isfinite(drawn)]
    low, high = (math.nan, math.nan)
    if 2 * len(known) >= resamples:
        low, high = (float(bound) for bound in np.quantile(known, (0.025, 0.975)))
    return Estimate(float(statistic(np.arange(episodes))), low, high, episodes)


def pearson(a: Float[np.ndarray, " E"], b: Float[np.ndarray, " E"]) -> float:
    """Return the linear correlation in [-1, 1] (Pearson 1896).

    Raises:
        ValueError: lengths differ, fewer than two values, a NaN or infinity, or all values of one side equal.
    """
    values_a = _checked("a", a)
    values_b = _checked("b", b, len(values_a))
    return _correlation(values_a, values_b)


def summarise(returns: Float[np.ndarray, " E"], seed: int) -> Summary:
    """Summarise the undiscounted returns of E episodes; `seed` draws the bootstrap's resamples.

    `std` has E - 1 in its denominator, `worst_5_percent` is the mean of the lowest 5 % (rounded down, at
    least one), `success_rate` the share of returns of at least 900.

    Raises:
        ValueError: no returns, or a NaN or infinity among them.
    """
    values = _checked("returns", returns)
    ci_low, ci_high = _bootstrap_interval(values, seed)
    lowest = np.sort(values)[: max(1, len(values) // 20)]
    return Summary(
        episodes=len(values),
        mean=float(values.mean()),
        std=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        ci_low=ci_low,
        ci_high=ci_high,
        median=float(np.median(values)),
        worst_5_percent=float(lowest.mean()),
        success_rate=float((values >= SOLVED_RETURN).mean()),
        min=float(values.min()),
        max=float(values.max()),
    )


def paired_difference(a: Float[np.ndarray, " E"], b: Float[np.ndarray, " E"], seed: int) -> PairedDifference:
    """Compare two agents' returns on the same E tracks in the same order; `seed` draws the resamples.

    Raises:
        ValueError: lengths differ, nothing to compare, or a NaN or infinity.
    """
    difference = _checked("a", a) - _checked("b", b, len(a))
    ci_low, ci_high = _bootstrap_interval(difference, seed)
    return PairedDifference(
        episodes=len(difference),
        mean=float(difference.mean()),
        ci_low=ci_low,
        ci_high=ci_high,
        share_better=float((difference > 0).mean()),
    )


def spearman(a: Float[np.ndarray, " E"], b: Float[np.ndarray, " E"]) -> float:
    """Return the rank correlation in [-1, 1], where ties share their average rank (Spearman 1904): Pearson's, of ranks.

    Raises:
        ValueError: lengths differ, fewer than two values, a NaN or infinity, or all values of one side equal.
    """
    from scipy.stats import rankdata  # takes a second, which most commands need not wait

    return _correlation(rankdata(_checked("a", a)), rankdata(_checked("b", b, len(a))))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's correlation.

    scipy's differs in the last digit. That can tip an evolution, which compares means of rank correlations with a
    round number, and logged evolutions are replayed exactly.
    """
    for name, values in (("a", a), ("b", b)):
        if values.min() == values.max():
            raise ValueError(f"{name} has one distinct value: its order says nothing; a correlation needs two")
    a, b = a - a.mean(), b - b.mean()
    correlation = a @ b / np.sqrt((a @ a) * (b @ b))
    return float(np.clip(correlation, -1.0, 1.0))  # rounding may leave the range by one ulp


def _checked(name: str, values: np.ndarray, length: int | None = None) -> np.ndarray:
    """One axis of finite float64 values, at least one, `length` of them where given."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"{name} has shape {values.shape}: need one value per episode and at least one episode")
    if length is not None and len(values) != length:
        raise ValueError(f"{name} has {len(values)} values, the other side {length}: give both on the same tracks")
    broken = np.flatnonzero(~np.isfinite(values))
    if len(broken):
        raise ValueError(
            f"{name}[{broken[0]}]={values[broken[0]]}: a return must be finite ({len(broken)} are not); "
            "find out which episode produced it instead of dropping it"
        )
    return values


def _bootstrap_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean from 10,000 resamples with replacement.

    `scipy.stats.bootstrap` draws the same resamples from the same seed, but refuses a single value, takes seven times
    as long, and its ends differ in the last digit from the published ones.
    """
    rng = np.random.default_rng(seed)
    size = (_RESAMPLES_AT_ONCE, len(values))
    means = [values[rng.integers(len(values), size=size)].mean(1) for _ in range(RESAMPLES // _RESAMPLES_AT_ONCE)]
    low, high = np.quantile(np.concatenate(means), (0.025, 0.975))
    return float(low), float(high)
