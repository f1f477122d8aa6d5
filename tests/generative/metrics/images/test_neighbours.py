import pytest
import torch

from generative.core.options import ComponentError
from generative.metrics import (
    coverage,
    density,
    memorisation,
    nearest_training,
    precision,
    recall,
)


def normal(count, size, seed, shift=0.0):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed)) + shift


def test_identical_sets_agree_fully():
    x = normal(50, 3, 0)
    assert precision(x, x) == recall(x, x) == coverage(x, x) == 1
    # Every ball holds its centre and its 5 neighbours, so 6 rows each.
    assert density(x, x) == pytest.approx(6 / 5)


def test_disjoint_sets_share_nothing():
    x, y = normal(50, 3, 0), normal(50, 3, 1, shift=100)
    assert precision(x, y) == recall(x, y) == density(x, y) == coverage(x, y) == 0


def test_a_half_covered_set():
    near, far = normal(100, 2, 0), normal(100, 2, 1, shift=100)
    real, fake = torch.cat([near, far]), near
    assert precision(real, fake) == 1
    assert recall(real, fake) == 0.5
    assert coverage(real, fake) == 0.5
    assert precision(fake, real) == 0.5


def test_one_repeated_sample_covers_little_but_is_precise():
    real = normal(200, 2, 0)
    fake = real[:1].expand(200, 2)
    assert precision(real, fake) == 1
    assert recall(real, fake) == pytest.approx(1 / 200)
    assert coverage(real, fake) < 0.1


def test_fresh_samples_reach_the_expected_figures():
    real, fake = normal(1000, 2, 0), normal(1000, 2, 1)
    assert coverage(real, fake) == pytest.approx(1 - 2**-5, abs=0.03)
    assert density(real, fake) == pytest.approx(1, abs=0.1)


def test_density_and_coverage_resist_an_outlier_that_recall_does_not():
    real = normal(200, 2, 0)
    fake = torch.cat([normal(20, 2, 1, shift=60), torch.full((1, 2), -60.0)])
    assert recall(real, fake, neighbours=20) == 1  # the outlier's ball reaches across everything
    assert coverage(real, fake, neighbours=20) == 0


def test_neighbours_change_the_radius():
    real, fake = torch.arange(10.0)[:, None], torch.tensor([[12.5]])
    assert precision(real, fake, neighbours=3) == 0  # the ball of 9 reaches 12
    assert precision(real, fake, neighbours=4) == 1  # and now 13


def test_copies_are_memorised_and_fresh_samples_are_not():
    train, fresh = normal(300, 8, 0), normal(300, 8, 1)
    copies = train[:150] + 0.01 * normal(150, 8, 2)
    assert memorisation(train, fresh) == 0
    assert memorisation(train, copies) == 1
    assert memorisation(train, torch.cat([copies, fresh[:150]])) == 0.5
    assert memorisation(train, fresh, ratio=1.0) > 0.2


def test_the_nearest_row_is_found():
    train = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    distance, index = nearest_training(train, torch.tensor([[3.0, 3.0], [0.0, 0.0]]))
    assert distance.tolist() == [1.0, 0.0] and index.tolist() == [1, 0]


def test_too_small_sets_are_refused():
    x = normal(5, 2, 0)
    with pytest.raises(ComponentError, match="at least 6 rows"):
        precision(x, x)
    with pytest.raises(ComponentError, match="neighbours=0"):
        precision(x, x, neighbours=0)
    with pytest.raises(ComponentError, match="ratio=2"):
        memorisation(x, x, ratio=2.0)


def test_a_copy_is_at_distance_nought_however_far_from_the_origin():
    train = normal(40, 8, 0).double() + 1e5
    distance, index = nearest_training(train, train)
    assert not distance.any() and index.tolist() == list(range(40))
