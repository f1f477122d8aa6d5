import numpy as np
import pytest
import torch

from generative.data import GridConfig, RingConfig


@pytest.mark.parametrize(
    ("config", "modes"),
    [(RingConfig(modes=6, radius=3.0, spread=0.1), 6), (GridConfig(side=4, spacing=3.0, spread=0.1), 16)],
)
def test_points_lie_around_their_modes(config, modes):
    data = config.load()
    places = np.arange(20_000)
    points, labels = data.get("point", places), data.get("label", places)
    assert len(data.modes.centres) == len(data.names("label")) == modes and data.item.shape == (2,)
    offsets = points - data.modes.centres[labels]
    assert np.allclose(offsets.std(0), 0.1, rtol=0.05) and np.allclose(offsets.mean(0), 0, atol=0.01)
    counts = np.bincount(labels, minlength=modes)
    assert counts.min() > 0.8 * len(places) / modes
    nearest = np.linalg.norm(points[:, None] - data.modes.centres, axis=2).argmin(1)
    assert (nearest == labels).mean() > 0.999


def test_modes_are_where_they_are_said_to_be():
    ring = RingConfig(modes=4, radius=2.0).load().modes.centres
    assert np.allclose(ring, [[2, 0], [0, 2], [-2, 0], [0, -2]], atol=1e-6)
    grid = GridConfig(side=3, spacing=2.0).load().modes.centres
    assert {tuple(each) for each in grid.tolist()} == {(x, y) for x in (-2.0, 0.0, 2.0) for y in (-2.0, 0.0, 2.0)}


def test_the_true_density_is_that_of_the_mixture():
    data = RingConfig(modes=3, spread=0.5).load()
    bells = [
        np.exp(-np.square(np.array([0.3, -0.2]) - mode).sum() / 0.5) / (2 * np.pi * 0.25) for mode in data.modes.centres
    ]
    assert data.log_prob(np.array([[0.3, -0.2]]))[0] == pytest.approx(np.log(np.mean(bells)), rel=1e-6)
    far = data.log_prob(np.array([[100.0, 0.0]]))[0]
    assert np.isfinite(far) and far < -10_000


def test_batches_of_points():
    data = RingConfig(count=100, seed=1).load()
    points, labels = next(data.batches(16, seed=2, names=("point", "label"))(5))
    assert points.dtype == torch.float32 and points.shape == (16, 2) and labels.dtype == torch.int64
    assert torch.equal(points, next(data.batches(16, seed=2)(5)))
    assert not torch.equal(points, next(RingConfig(count=100, seed=2).load().batches(16, seed=2)(5)))
    assert np.abs(points.numpy() - data.modes.centres[labels.numpy()]).max() < 0.2
    places = np.arange(90)
    assert (data.get("label", places) != RingConfig(count=100, seed=2).load().get("label", places)).any()


@pytest.mark.parametrize("options", [{"modes": 0}, {"spread": 0.0}, {"count": 1}, {"seed": -1}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        RingConfig(**options)
