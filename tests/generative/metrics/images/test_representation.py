import pytest
import torch

from generative.core.options import ComponentError
from generative.metrics import (
    active_units,
    dci,
    linear_probe,
    mutual_information_gap,
    neighbour_probe,
    probe_scores,
)
from generative.metrics.images.representation import _checked


def grid(repeats=6):
    """All combinations of three factors with 5, 4 and 3 values, several times over."""
    values = torch.cartesian_prod(torch.arange(5.0), torch.arange(4.0), torch.arange(3.0))
    return values.repeat(repeats, 1)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def aligned(factors):
    """Every factor in a dimension of its own, rescaled and out of order, and a constant dimension."""
    return torch.stack([-3 * factors[:, 2], torch.exp(factors[:, 0]), torch.zeros(len(factors)), factors[:, 1]], 1)


def test_a_perfect_axis_aligned_code_scores_one():
    factors = grid()
    assert mutual_information_gap(aligned(factors), factors) == pytest.approx(1)
    scores = dci(aligned(factors), factors)
    assert scores.disentanglement == pytest.approx(1, abs=1e-6)
    assert scores.completeness == pytest.approx(1, abs=1e-6)
    assert scores.informativeness == pytest.approx(1)


def test_a_random_code_scores_nothing():
    factors = grid(30)
    codes = normal(len(factors), 4)
    assert mutual_information_gap(codes, factors) < 0.02
    scores = dci(codes, factors)
    assert max(scores) < 0.05
    assert linear_probe(codes, factors) < 0.05 and neighbour_probe(codes, factors) < 0.05


def test_a_rotated_code_informs_without_being_disentangled():
    factors = torch.rand(1500, 2, generator=torch.Generator().manual_seed(0))
    turned = (factors - 0.5) @ torch.tensor([[1.0, 1.0], [-1.0, 1.0]])
    assert mutual_information_gap(turned, factors) < 0.1 < 0.6 < mutual_information_gap(factors, factors)
    straight, mixed = dci(factors, factors), dci(turned, factors)
    assert mixed.disentanglement < 0.2 < 0.9 < straight.disentanglement
    assert mixed.completeness < 0.2 < 0.9 < straight.completeness
    assert mixed.informativeness > 0.9
    assert linear_probe(turned, factors) > 0.99


def test_two_dimensions_for_one_factor_cost_completeness_and_the_gap_alone():
    factors = grid()
    codes = torch.cat([factors + 1e-4 * normal(len(factors), 3), factors + 1e-4 * normal(len(factors), 3, seed=1)], 1)
    scores = dci(codes, factors)
    assert scores.disentanglement > 0.9 > 0.75 > scores.completeness
    assert mutual_information_gap(codes, factors) == pytest.approx(0, abs=0.02)


def test_one_dimension_for_two_factors_costs_disentanglement():
    factors = torch.cartesian_prod(torch.arange(4.0), torch.arange(4.0)).repeat(12, 1)
    codes = torch.stack([4 * factors[:, 0] + factors[:, 1], normal(len(factors))], 1)
    scores = dci(codes, factors)
    assert scores.disentanglement < 0.5 < 0.9 < scores.completeness


def test_a_bent_relation_needs_the_neighbour_probe():
    angle = 6.28 * torch.rand(1000, 1, generator=torch.Generator().manual_seed(0))
    codes, factors = torch.cat([angle.cos(), angle.sin()], 1), (angle - 3.14).abs() + 0.5 * torch.sin(3 * angle)
    assert linear_probe(codes, factors) < 0.9 < 0.98 < neighbour_probe(codes, factors)


def test_probes_score_each_factor_against_chance():
    x = normal(600, 2)
    factors = torch.stack([(x[:, 0] > 0).float(), x[:, 1], normal(600, seed=5)], dim=1)
    scores = probe_scores(x, factors)
    assert scores[0] > 0.9 and scores[1] > 0.999 and scores[2] < 0.05
    constant = probe_scores(torch.ones(600, 2), factors)
    assert constant == pytest.approx([0, 0, 0], abs=0.02)


def test_rare_classes_are_not_drowned():
    factor = (torch.arange(400) % 20 == 0).float()[:, None]  # a twentieth
    assert linear_probe(normal(400, 2), factor) == 0  # always the common class: 95 per cent right, and chance


def test_probes_follow_their_seed():
    x, factors = normal(100, 2), normal(100, 1, seed=1) + normal(100, 2)[:, :1]
    assert len({round(linear_probe(x, factors, seed=seed), 6) for seed in range(4)}) > 1
    assert linear_probe(x, factors, seed=2) == linear_probe(x, factors, seed=2)


def test_active_units_of_a_collapsed_and_of_a_half_collapsed_encoder():
    assert active_units(normal(500, 4)) == 4
    assert active_units(0.05 * normal(500, 4)) == 0
    assert active_units(normal(500, 4) * torch.tensor([1.0, 0.0, 0.5, 0.02]) + 7) == 2
    assert active_units(0.05 * normal(500, 4), threshold=1e-4) == 4


def test_unusable_arguments_are_refused():
    factors = grid()
    with pytest.raises(ComponentError, match="same images"):
        _checked(factors[:-1], factors)
    with pytest.raises(ComponentError, match="column 1 is constant"):
        mutual_information_gap(factors, factors * torch.tensor([1.0, 0.0, 1.0]))
    with pytest.raises(ComponentError, match="at least 2 of both"):
        dci(factors[:, :1], factors)
    with pytest.raises(ComponentError, match="linear or neighbours"):
        probe_scores(factors, factors, kind="tree")
    with pytest.raises(ComponentError, match="at least 20 rows"):
        mutual_information_gap(factors[:10], factors[:10])
