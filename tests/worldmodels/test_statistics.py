from collections.abc import Callable

import numpy as np
import pytest

from worldmodels.evolution.evaluate import paired_rows
from worldmodels.statistics import estimate, estimate_mean, paired_difference, pearson, spearman, summarise


def test_summary_of_known_returns() -> None:
    returns = np.array([900.0, 100.0, 950.0, 300.0, 899.9] + [500.0] * 35)  # 40 episodes: the lowest 5 % are two
    summary = summarise(returns, seed=0)
    assert summary.episodes == 40
    assert summary.mean == pytest.approx((900 + 100 + 950 + 300 + 899.9 + 35 * 500) / 40)
    squares = sum((value - summary.mean) ** 2 for value in returns)
    assert summary.std == pytest.approx((squares / 39) ** 0.5)
    assert summary.median == 500.0
    assert summary.worst_5_percent == 200.0
    assert summary.success_rate == 2 / 40  # 900 counts, 899.9 does not
    assert (summary.min, summary.max) == (100.0, 950.0)


def test_interval_of_a_normal_sample_is_the_normal_interval() -> None:
    returns = np.random.default_rng(1).normal(800, 60, 400)
    summary = summarise(returns, seed=0)
    half = 1.96 * summary.std / 20
    assert summary.ci_low == pytest.approx(summary.mean - half, abs=0.05 * half)
    assert summary.ci_high == pytest.approx(summary.mean + half, abs=0.05 * half)


def test_interval_of_two_values_is_exact() -> None:
    # Means of resamples of (0, 1) are 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4: so the interval is 0 to 1.
    summary = summarise(np.array([0.0, 1.0]), seed=3)
    assert (summary.ci_low, summary.ci_high) == (0.0, 1.0)


def test_interval_covers_the_true_mean_of_a_skewed_distribution() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for seed in range(100):
        returns = 900 - rng.exponential(100, size=60)
        summary = summarise(returns, seed)
        covered += summary.ci_low <= 800 <= summary.ci_high
    assert 87 <= covered <= 99  # 95 % nominal, a little less for skewed samples


def test_seed_decides_the_resamples_and_nothing_else() -> None:
    returns = np.random.default_rng(0).normal(size=30)
    assert summarise(returns, seed=5) == summarise(returns, seed=5)
    assert summarise(returns, seed=5).ci_low != summarise(returns, seed=6).ci_low
    assert summarise(returns, seed=5).mean == summarise(returns, seed=6).mean


def test_one_episode_has_no_spread() -> None:
    summary = summarise(np.array([42.0]), seed=0)
    assert (summary.episodes, summary.mean, summary.std, summary.ci_low, summary.ci_high) == (
        1,
        42.0,
        0.0,
        42.0,
        42.0,
    )


@pytest.mark.parametrize("broken", [np.array([]), np.array([1.0, np.nan]), np.array([np.inf, 1.0])])
@pytest.mark.parametrize(
    "function",
    [lambda x: summarise(x, 0), lambda x: paired_difference(x, x, 0), lambda x: spearman(x, x)],
    ids=["summarise", "paired_difference", "spearman"],
)
def test_empty_and_not_finite_are_refused(function: Callable[[np.ndarray], object], broken: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"at least one episode|must be finite"):
        function(broken)


def test_pairing_removes_the_difficulty_of_the_tracks() -> None:
    rng = np.random.default_rng(0)
    difficulty = rng.normal(0, 200, 50)
    b = 700 + difficulty
    a = b + rng.normal(20, 5, 50)
    difference = paired_difference(a, b, seed=0)
    assert difference.mean == pytest.approx(np.mean(a) - np.mean(b))
    assert 17 < difference.ci_low < difference.mean < difference.ci_high < 23
    assert difference.share_better == 1.0
    assert paired_difference(b, a, seed=0).share_better == 0.0
    unpaired = summarise(a, 0)
    assert unpaired.ci_high - unpaired.ci_low > 10 * (difference.ci_high - difference.ci_low)


def test_pairs_must_match() -> None:
    with pytest.raises((ValueError, TypeError), match=r"same tracks|'E'|shape"):  # the hook may speak first
        paired_difference(np.zeros(3), np.zeros(4), seed=0)


def _brute_force_ranks(values: np.ndarray) -> np.ndarray:
    return np.array([sum(w < v for w in values) + (sum(w == v for w in values) + 1) / 2 for v in values])


def test_spearman_against_brute_force_ranks() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 6, 15).astype(float), rng.integers(0, 6, 15).astype(float)  # many ties
        expected = np.corrcoef(_brute_force_ranks(a), _brute_force_ranks(b))[0, 1]
        assert spearman(a, b) == pytest.approx(expected, abs=1e-12)


def test_spearman_without_ties_is_the_closed_form() -> None:
    a, b = np.array([10.0, 20, 30, 40, 50]), np.array([1.0, 3, 2, 5, 4])
    assert spearman(a, b) == pytest.approx(1 - 6 * 4 / (5 * 24))  # 1 - 6 sum(d^2) / (n (n^2 - 1))
    assert spearman(a, np.exp(a)) == pytest.approx(1.0)  # order only, not distance
    assert spearman(a, -(a**3)) == pytest.approx(-1.0)


def test_spearman_of_a_constant_is_refused() -> None:
    with pytest.raises(ValueError, match="one distinct value"):
        spearman(np.ones(4), np.arange(4.0))


def test_rows_are_paired_by_track_whatever_their_order() -> None:
    ours = [{"track": 3, "return": 10.0}, {"track": 1, "return": 4.0}, {"track": 7, "return": 100.0}]
    others = [{"track": 1, "return": 1.0}, {"track": 3, "return": 5.0}]
    found = paired_rows(ours, others)
    assert (found["episodes"], found["mean"], found["share_better"]) == (2, 4.0, 1.0)


def test_an_estimate_of_a_mean_is_the_mean_with_its_interval() -> None:
    found = estimate_mean(np.arange(101.0), 0)
    assert found.value == 50 and found.episodes == 101
    assert found.ci_low == pytest.approx(50 - 1.96 * 29.15 / 101**0.5, abs=0.5)
    assert found.ci_high == pytest.approx(50 + 1.96 * 29.15 / 101**0.5, abs=0.5)


def test_an_estimate_resamples_whole_episodes() -> None:
    values = np.random.default_rng(0).normal(size=200)
    found = estimate(lambda index: float(values[index].std()), 200, 0)
    assert found.value == pytest.approx(values.std())
    assert found.ci_high - found.ci_low == pytest.approx(2 * 1.96 / (2 * 200) ** 0.5, rel=0.25)
    assert found == estimate(lambda index: float(values[index].std()), 200, 0)
    assert found != estimate(lambda index: float(values[index].std()), 200, 1)


def test_an_estimate_that_resamples_cannot_tell_has_no_interval() -> None:
    found = estimate(lambda index: 1.0 if len(set(index)) == len(index) else float("nan"), 10, 0)
    assert found.value == 1 and np.isnan(found.ci_low) and np.isnan(found.ci_high)


def test_pearson_is_one_on_a_line_and_knows_no_constant() -> None:
    x = np.array([1.0, 2.0, 4.0])
    assert pearson(x, 3 * x - 1) == pytest.approx(1) and pearson(x, -x) == pytest.approx(-1)
    noisy = np.array([1.0, 3.0, 2.0])
    assert pearson(x, noisy) == pytest.approx(np.corrcoef(x, noisy)[0, 1])
    with pytest.raises(ValueError, match="one distinct value"):
        pearson(x, np.ones(3))
