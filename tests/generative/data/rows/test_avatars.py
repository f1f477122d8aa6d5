import math

import numpy as np
import pytest
import torch

from generative.data import AvatarsConfig, load_data
from generative.data.rows.avatars import FEATURES, SHARES, true_log_prob


def every_row():
    return np.stack(np.unravel_index(np.arange(math.prod(data().item.sizes)), data().item.sizes), 1)


def data(**options):
    return AvatarsConfig(**options).load()


def test_rows_have_a_value_of_every_feature():
    rows = data().get("row", np.arange(2000))
    assert rows.dtype == np.int64 and rows.shape == (2000, 6) and data().item.shape == (6,)
    assert data().item.sizes == tuple(map(len, FEATURES.values())) and list(data().fields) == ["row"]
    assert (rows.max(0) == np.array(data().item.sizes) - 1).all() and (rows.min(0) == 0).all()


def test_the_true_probabilities_are_a_distribution_and_rows_follow_it():
    assert np.exp(true_log_prob(every_row())).sum() == pytest.approx(1.0)
    for shares in SHARES:
        assert np.allclose(shares.sum(1), 1)
    rows = data(count=100_000).get("row", np.arange(80_000))
    with_glasses = rows[:, 2] == 1
    grey = rows[:, 1] == 4
    assert with_glasses[grey].mean() == pytest.approx(0.85, abs=0.02)
    assert with_glasses[rows[:, 1] == 0].mean() == pytest.approx(0.20, abs=0.02)
    number = np.ravel_multi_index(tuple(rows.T), data().item.sizes)
    seen = np.bincount(number, minlength=math.prod(data().item.sizes)) / len(rows)
    assert np.abs(seen - np.exp(true_log_prob(every_row()))).sum() / 2 < 0.06  # by chance about 0.05


def test_features_depend_on_each_other_so_that_independence_is_wrong_by_a_known_amount():
    rows = every_row()
    truth = np.exp(true_log_prob(rows))
    alone = np.ones(len(rows))
    for column, size in enumerate(data().item.sizes):
        alone *= np.bincount(rows[:, column], truth, minlength=size)[rows[:, column]]
    assert 0.3 < (truth * (true_log_prob(rows) - np.log(alone))).sum() < 1.5


def test_rows_are_drawn_as_faces_in_which_every_feature_shows():
    draw = data(picture_size=32).draw
    row = np.array([[2, 1, 0, 1, 1, 1]])
    face = draw(row)
    assert face.shape == (1, 32, 32, 3) and face.dtype == np.uint8
    for column, size in enumerate(data().item.sizes):
        for value in set(range(size)) - {int(row[0, column])}:
            other = row.copy()
            other[0, column] = value
            assert (draw(other) != face).any(), (column, value)


def test_seed_parts_and_batches():
    places = np.arange(500)
    assert (data(seed=1).get("row", places) != data().get("row", places)).any()
    assert (data().get("row", places) == data().get("row", places)).all()
    with pytest.raises(ValueError, match="held-out part already"):
        data().held_out().held_out()
    batch = next(load_data("avatars").batches(32, 0)(3))
    assert batch.dtype == torch.int64 and batch.shape == (32, 6)


@pytest.mark.parametrize("options", [{"count": 1}, {"seed": -1}, {"picture_size": 8}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        AvatarsConfig(**options)
