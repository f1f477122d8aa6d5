import numpy as np
import pytest

from generative.data import MoonsConfig


def test_the_points_are_two_arcs_of_mean_0_and_deviation_1():
    config = MoonsConfig(noise=0.1)
    data, places = config.load(), np.arange(50_000)
    points, labels = data.get("point", places), data.get("label", places)
    assert np.allclose(points.mean(0), 0, atol=0.02) and np.allclose(points.std(0), 1, atol=0.01)
    assert abs(labels.mean() - 0.5) < 0.01
    upper = points[labels == 0] * config._deviation + [0.5, 0.25]
    radius = np.linalg.norm(upper, axis=1)
    assert radius.mean() == pytest.approx(1.0, abs=0.01) and radius.std() == pytest.approx(0.1, abs=0.01)
    assert upper[:, 1].min() > -0.5


def test_the_density_integrates_to_one_and_is_that_of_the_points():
    config = MoonsConfig(noise=0.2)
    ticks = np.linspace(-4, 4, 161)
    points = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2)
    density = np.exp(config.log_prob(points)) * (8 / 160) ** 2
    assert density.sum() == pytest.approx(1.0, abs=1e-3)
    drawn = config.load().get("point", np.arange(50_000))
    for column in range(2):  # the share of points on one side of a line
        assert density[points[:, column] < 0.5].sum() == pytest.approx((drawn[:, column] < 0.5).mean(), abs=0.01)


@pytest.mark.parametrize("options", [{"noise": 0.0}, {"count": 1}, {"seed": -1}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        MoonsConfig(**options)
