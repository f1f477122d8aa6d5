import math

import pytest
import torch

from generative.core.options import ComponentError
from generative.metrics import different_bins, high_quality_share, modes_covered, pair_distance, vendi_score


def normal(count, size, seed):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def ring(modes, count=800, seed=0):
    """Points around the first `modes` of 8 centres on a circle, and all centres."""
    angle = torch.arange(8) * math.pi / 4
    centres = torch.stack([angle.cos(), angle.sin()], dim=1)
    return centres[torch.arange(count) % modes] + 0.05 * normal(count, 2, seed), centres


@pytest.mark.parametrize("modes", [1, 5, 8])
def test_modes_of_a_ring_are_counted(modes):
    points, centres = ring(modes)
    assert modes_covered(points, centres, radius=0.15) == modes
    assert high_quality_share(points, centres, radius=0.15) > 0.97


def test_points_between_modes_count_for_nothing():
    _, centres = ring(8)
    assert modes_covered(0.5 * centres, centres, radius=0.15) == 0
    assert high_quality_share(torch.cat([centres, 0.5 * centres]), centres, radius=0.15) == 0.5


def test_bins_agree_for_equal_distributions_and_differ_after_collapse():
    real, _ = ring(8)
    fresh, _ = ring(8, seed=1)
    collapsed, _ = ring(2, seed=2)
    assert different_bins(real, fresh, bins=8) <= 1 / 8
    assert different_bins(real, collapsed, bins=8) == 1  # two hold too many, six too few
    assert different_bins(real, collapsed) > 0.5


def test_bins_are_rarely_different_by_chance():
    shares = [different_bins(normal(400, 2, 2 * k), normal(400, 2, 2 * k + 1), bins=10, seed=k) for k in range(40)]
    assert 0.01 < sum(shares) / 40 < 0.15


def test_bins_follow_the_seed_and_the_level():
    real, fake = normal(400, 4, 0), normal(400, 4, 1) * 1.2
    values = {different_bins(real, fake, bins=40, seed=seed) for seed in range(5)}
    assert len(values) > 1
    assert different_bins(real, fake, bins=40, deviations=0.1) > different_bins(real, fake, bins=40, deviations=4.0)


def test_vendi_counts_orthogonal_rows():
    assert vendi_score(torch.eye(7)) == pytest.approx(7)
    assert vendi_score(torch.eye(5).repeat(4, 1)) == pytest.approx(5)  # more rows than features
    assert vendi_score(torch.eye(30)[:3].repeat(2, 1)) == pytest.approx(3)  # more features than rows
    assert vendi_score(torch.ones(6, 3) * torch.arange(1.0, 7)[:, None]) == pytest.approx(1)  # length does not matter


def test_vendi_of_unequal_shares_is_their_perplexity():
    rows = torch.eye(2)[torch.tensor([0, 0, 0, 1])]
    assert vendi_score(rows) == pytest.approx(math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25))))


def test_unusable_arguments_are_refused():
    with pytest.raises(ComponentError, match="bins=11"):
        different_bins(normal(10, 2, 0), normal(10, 2, 1), bins=11)
    with pytest.raises(ComponentError, match="all zero"):
        vendi_score(torch.zeros(3, 2))


def test_values_that_go_together_are_told_from_values_that_only_occur():
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(4, (8000, 1), generator=generator)
    real = torch.cat([first, first, torch.randint(3, (8000, 1), generator=generator)], 1)
    mixed = real.gather(0, torch.rand(real.shape, generator=generator).argsort(0))
    assert pair_distance(real, real, (4, 4, 3)) == 0
    assert pair_distance(real[:4000], real[4000:], (4, 4, 3)) < 0.03
    assert pair_distance(real, mixed, (4, 4, 3)) == pytest.approx(0.75 / 3, abs=0.02)  # of one of three pairs
    apart = torch.zeros(10, 2, dtype=torch.int64)
    assert pair_distance(apart, apart + 1, (2, 2)) == 1.0


@pytest.mark.parametrize(
    ("rows", "categories", "message"),
    [([[0]], (2,), "at least two"), ([[0, 2]], (2, 2), "each below"), ([[-1, 0]], (2, 2), "each below")],
)
def test_rows_that_do_not_fit_are_refused(rows, categories, message):
    good = torch.zeros(3, len(categories), dtype=torch.int64)
    with pytest.raises(ComponentError, match=message):
        pair_distance(good, torch.tensor(rows), categories)
    with pytest.raises(ComponentError, match=message):
        pair_distance(torch.tensor(rows), good, categories)
