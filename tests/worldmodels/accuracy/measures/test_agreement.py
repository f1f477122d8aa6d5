"""Dream and real returns of made-up controllers, and controllers out of an optimiser's history."""

import numpy as np
import pytest

from agents import OptimiserConfig, make_optimiser
from worldmodels.accuracy.measures.agreement import DISTURBANCE, History, agreement, controllers, evenly
from worldmodels.errors import RunError

FRAMES = np.full((8, 3), 50.0)


def returns(seed=0):
    rng = np.random.default_rng(seed)
    return np.sort(rng.normal(size=8))[:, None] * 100 + np.array([-1.0, 0.0, 1.0])


def test_a_dream_that_pays_as_the_world_does_agrees_fully():
    real = returns()
    found = agreement(real, real[:, :2] + np.array([0.5, -0.5]) + 0.5, FRAMES, 50, 0)
    assert found["pearson"]["value"] == pytest.approx(1) and found["spearman"]["value"] == pytest.approx(1)
    assert found["regret_at_1"] == found["regret_share"] == 0
    assert abs(found["exploit_gap"]["value"]) < 1e-9 and found["controllers"] == 8


def test_a_dream_that_pays_the_wrong_ones_misleads():
    real = returns()
    found = agreement(real, -2 * real, FRAMES, 100, 0)
    assert found["pearson"]["value"] == pytest.approx(-1) and found["spearman"]["ci_high"] < 0
    means = real.mean(1)
    assert found["regret_at_1"] == pytest.approx(np.ptp(means)) and found["regret_share"] == pytest.approx(1)
    assert found["exploit_gap"]["value"] == pytest.approx((-2 * means / 100 - means / 50).mean())


def test_a_monotone_dream_ranks_right_but_is_not_linear():
    real = returns()
    found = agreement(real, np.exp(real / 40), FRAMES, 50, 0)
    assert found["spearman"]["value"] == pytest.approx(1) and found["pearson"]["value"] < 0.95
    assert found["pearson"]["ci_low"] < found["pearson"]["value"] <= found["pearson"]["ci_high"]


def test_the_exploit_gap_counts_frames_played():
    real, dream = np.array([[10.0, 30.0], [20.0, 20.0], [0.0, 40.0]]), np.array([[5.0, 7.0], [4.0, 8.0], [6.0, 6.0]])
    frames = np.array([[10.0, 30.0], [20.0, 20.0], [1.0, 39.0]])
    found = agreement(real, dream, frames, 2, 0)
    assert found["exploit_gap"]["value"] == pytest.approx(6 / 2 - 40 / 40)
    assert found["points"][0]["real_per_frame"] == 1 and found["points"][0]["dream_per_frame"] == 3
    assert found["pearson"] is None  # all pay the same: nothing to correlate


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="a row for each controller"):
        agreement(returns(), returns()[:5], FRAMES, 50, 0)


def history(generations=6):
    config = OptimiserConfig(population=8)
    optimiser = make_optimiser(config, 5, 3, None)
    means, scores = [np.array(optimiser.mean)], []
    for _ in range(generations):
        asked = optimiser.ask()
        told = -np.square(asked - 1).sum(1)
        optimiser.tell(asked, told)
        scores.append({"scores": told.tolist(), "mean_norm": float(np.linalg.norm(optimiser.mean))})
        means.append(np.array(optimiser.mean))
    return History(config, 3, scores, None), np.stack(means)


def test_a_history_that_leads_elsewhere_is_refused():
    past, _ = history()
    past.log[-1]["mean_norm"] *= 1.5
    with pytest.raises(RunError, match="another distribution"):
        controllers(past, 5, 9, 0)


def test_controllers_are_chosen_evenly_over_their_returns():
    values = np.array([0.0, 700, 710, 720, 730, 740, 750, 760, 770, 780, 100, 390, 400])
    chosen = evenly(values, 5)
    assert [values[place] for place in chosen] == [0, 100, 390, 700, 780]
    rng = np.random.default_rng(0)
    crowded = np.concatenate([rng.uniform(750, 800, 60), rng.uniform(0, 750, 40)])
    gaps = np.diff(crowded[evenly(crowded, 20)])
    assert gaps.max() < 90 and len(set(evenly(crowded, 100))) == 100
    assert len(set(evenly(np.zeros(4), 3))) == 3


def test_controllers_are_the_means_of_the_history_and_disturbed_copies():
    past, means = history()
    found = controllers(past, 5, 9, 0)
    assert found.shape == (9, 5) and found.dtype == np.float32
    np.testing.assert_allclose(found[0], means[0])
    np.testing.assert_allclose(found[5], means[-1].astype(np.float32), rtol=1e-6)
    assert all(np.abs(means - row).max(1).min() < 1e-6 for row in found[:6])
    last = found[6] - means[-1]
    assert 0 < np.sqrt(np.mean(last**2)) < 3 * DISTURBANCE[0] * np.sqrt(np.mean(means[-1] ** 2))
    assert (found == controllers(past, 5, 9, 0)).all()
    assert (found[6:] != controllers(past, 5, 9, 1)[6:]).all()


def test_a_short_history_is_filled_up_with_disturbed_copies():
    past, means = history(1)
    found = controllers(past, 5, 9, 0)
    assert len(found) == 9 and len(np.unique(found, axis=0)) == 9
    np.testing.assert_allclose(found[:2], means.astype(np.float32), rtol=1e-6)
