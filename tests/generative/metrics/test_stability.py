import math

import pytest

from generative.metrics import bootstrap_interval, degradation, finished_share, spikes, spread_over_seeds
from generative.options import ComponentError


def test_the_spread_has_the_divisor_of_a_sample():
    assert spread_over_seeds([1.0, 2.0, 3.0]) == pytest.approx(1)
    assert spread_over_seeds([5.0, 5.0, 5.0, 5.0]) == 0
    with pytest.raises(ComponentError, match="at least 3"):
        spread_over_seeds([1.0, 2.0])


def test_the_interval_of_many_values_is_that_of_the_normal_law():
    values = [math.sin(37.1 * k) for k in range(400)]
    mean, low, high = bootstrap_interval(values, seed=0)
    error = (sum((v - mean) ** 2 for v in values) / 400**2) ** 0.5
    assert mean == pytest.approx(sum(values) / 400)
    assert high - mean == pytest.approx(1.96 * error, rel=0.06)
    assert mean - low == pytest.approx(1.96 * error, rel=0.06)
    narrow = bootstrap_interval(values, seed=0, level=0.5)
    assert low < narrow.low < narrow.high < high
    assert bootstrap_interval(values, seed=1) != (mean, low, high)
    assert bootstrap_interval(values, seed=0) == (mean, low, high)


def test_a_curve_that_ends_worse_than_its_best_has_degraded():
    assert degradation([4.0, 3.0, 2.0]) == 0
    assert degradation([4.0, 2.0, 3.0]) == 0.5
    assert degradation([4.0, 2.0, 3.0], better="higher") == 0.5
    assert degradation([0.0, 10.0, 0.0], better="higher") == 1
    assert degradation([3.0, 3.0]) == 0


def test_spikes_are_counted_against_the_median():
    assert spikes([1.0, 1.0, -11.0, 1.0, 1.0, 9.0]) == 1
    assert spikes([1.0, 1.0, -11.0, 1.0, 1.0, 9.0], factor=5.0) == 2


def test_runs_that_diverged_are_counted():
    assert finished_share([[1.0, 2.0], [1.0, math.nan], [math.inf], [0.0]]) == 0.5
    with pytest.raises(ComponentError, match="not all finite"):
        spread_over_seeds([1.0, 2.0, math.nan])
