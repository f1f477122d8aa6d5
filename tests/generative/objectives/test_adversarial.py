import math

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from generative.objectives.adversarial import (
    accuracy,
    clip_saturation,
    clip_weights,
    critic_loss,
    generator_loss,
    gradient_penalty,
    mix,
    r1_penalty,
    slope_of_descent,
    slopes,
)

REAL, MADE = torch.tensor([2.0, -0.5, 0.3, 4.0]), torch.tensor([0.1, 1.5, -2.0, -0.2])


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bowl(x: torch.Tensor) -> torch.Tensor:
    """A score whose gradient is the point itself."""
    return 0.5 * x.flatten(1).square().sum(1)


@pytest.mark.parametrize(
    ("kind", "critic", "generator"),
    [
        (
            "non-saturating",
            cross_entropy(REAL, torch.ones(4)) + cross_entropy(MADE, torch.zeros(4)),
            cross_entropy(MADE, torch.ones(4)),
        ),
        (
            "saturating",
            cross_entropy(REAL, torch.ones(4)) + cross_entropy(MADE, torch.zeros(4)),
            -cross_entropy(MADE, torch.zeros(4)),
        ),
        (
            "least-squares",
            torch.tensor((1 + 2.25 + 0.49 + 9 + 0.01 + 2.25 + 4 + 0.04) / 8),
            (MADE - 1).square().mean() / 2,
        ),
        ("hinge", torch.tensor((0 + 1.5 + 0.7 + 0 + 1.1 + 2.5 + 0 + 0.8) / 4), -MADE.mean()),
        ("wasserstein", MADE.mean() - REAL.mean(), -MADE.mean()),
    ],
)
def test_losses_equal_their_closed_forms(kind, critic, generator):
    torch.testing.assert_close(critic_loss(kind, REAL, MADE), critic)
    torch.testing.assert_close(generator_loss(kind, MADE), generator)


def test_a_smoothed_target_is_that_of_the_cross_entropy():
    target = torch.tensor([0.9, 1.0, 0.7, 0.8])
    expected = cross_entropy(REAL, target) + cross_entropy(MADE, torch.zeros(4))
    torch.testing.assert_close(critic_loss("non-saturating", REAL, MADE, target), expected)


def test_losses_of_sure_scores_are_finite_with_finite_gradients():
    for kind in ("non-saturating", "saturating", "least-squares", "hinge", "wasserstein"):
        scores = torch.tensor([1e4, -1e4], requires_grad=True)
        loss = critic_loss(kind, scores, scores.flip(0)) + generator_loss(kind, scores)
        (gradient,) = torch.autograd.grad(loss, scores)
        assert loss.isfinite() and gradient.isfinite().all()


def test_a_sure_critic_starves_the_saturating_loss_only():
    """The generator's gradient where the critic is sure: the reason for the non-saturating loss."""
    scores = torch.tensor([-20.0], requires_grad=True)
    (starved,) = torch.autograd.grad(generator_loss("saturating", scores), scores)
    (fed,) = torch.autograd.grad(generator_loss("non-saturating", scores), scores)
    assert starved.abs() < 1e-8 and fed.item() == pytest.approx(-1.0)


def test_accuracy_counts_pairs_whatever_the_scale():
    assert accuracy(REAL, MADE).item() == 0.75
    assert accuracy(REAL + 100, MADE + 100).item() == 0.75
    assert accuracy(torch.zeros(5), torch.zeros(5)).item() == 0.5


def test_mixing_is_uniform_between_the_pair_and_drawn_for_each_pair():
    count = 4000
    mixed = mix(torch.ones(count, 2, 3), torch.zeros(count, 2, 3), noise())
    share = mixed[:, 0, 0]
    assert torch.equal(mixed, share[:, None, None].expand_as(mixed))  # one share for a whole datum
    assert share.min() >= 0 and share.max() <= 1
    steps = (torch.arange(count) + 0.5) / count
    assert (share.sort().values - steps).abs().max() < 1.63 / math.sqrt(count)  # Kolmogorov-Smirnov at 1 per cent
    real, made = torch.randn(50, 4, generator=noise(1)), torch.randn(50, 4, generator=noise(2))
    way = (mix(real, made, noise(3)) - made) / (real - made)
    torch.testing.assert_close(way, way[:, :1].expand(50, 4), rtol=1e-2, atol=1e-2)


def test_the_norm_is_of_each_datum_by_itself():
    points = torch.randn(6, 3, 4, 4, generator=noise())
    norms = points.flatten(1).norm(dim=1)
    torch.testing.assert_close(slopes(bowl, points), norms)
    torch.testing.assert_close(gradient_penalty(bowl, points, points, noise()), (norms - 1).square().mean())
    torch.testing.assert_close(r1_penalty(bowl, points), 0.5 * norms.square().mean())


def descended(kind, offset=0.0):
    """Points, and the slope of `bowl` at them as a generator's loss leaves it."""
    points = torch.randn(6, 3, generator=noise()).requires_grad_()
    scores = bowl(points) + offset
    slope = slope_of_descent(points, scores)
    assert slope.isnan()
    generator_loss(kind, scores).backward()
    return points.detach(), slope


@pytest.mark.parametrize("kind", ["wasserstein", "hinge"])
def test_the_slope_of_a_descent_is_the_mean_slope(kind):
    points, slope = descended(kind)
    torch.testing.assert_close(slope, slopes(bowl, points).mean())


@pytest.mark.parametrize("offset", [0.0, -60.0])
def test_the_slope_of_a_descent_counts_a_datum_by_its_share_in_the_loss(offset):
    points, slope = descended("saturating", offset)
    share = torch.sigmoid(bowl(points) + offset)
    torch.testing.assert_close(slope, (slopes(bowl, points) * share).sum() / share.sum())


def test_a_loss_without_a_gradient_has_no_slope():
    assert descended("saturating", -500.0)[1] == 0


def test_the_penalty_is_taken_between_real_and_made_data():
    """Of `bowl` from 0 to a unit vector the slope is the share s, and E (s - 1)^2 = 1/3."""
    made = torch.zeros(20_000, 2)
    real = torch.tensor([1.0, 0.0]).expand(20_000, 2)
    assert gradient_penalty(bowl, real, made, noise()).item() == pytest.approx(1 / 3, abs=0.01)


def test_penalties_have_a_gradient_in_the_critic():
    weight = torch.tensor(2.0, requires_grad=True)
    points = torch.randn(5, 9, generator=noise())

    def line(x: torch.Tensor) -> torch.Tensor:
        return weight * x.sum(1)  # slope 2 * sqrt(9) = 6

    (found,) = torch.autograd.grad(gradient_penalty(line, points, points, noise()), weight)
    assert found.item() == pytest.approx(2 * (6 - 1) * 3)
    (found,) = torch.autograd.grad(r1_penalty(line, points), weight)
    assert found.item() == pytest.approx(6 * 3)


def test_a_flat_critic_has_a_finite_penalty_and_gradient():
    layer = nn.Linear(3, 1)
    nn.init.zeros_(layer.weight)
    penalty = gradient_penalty(lambda x: layer(x)[:, 0], torch.ones(4, 3), torch.zeros(4, 3), noise())
    penalty.backward()
    assert penalty.item() == pytest.approx(1.0, abs=1e-5) and layer.weight.grad.isfinite().all()


def test_clipping_and_the_share_of_weights_at_the_limit():
    layer = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-3.0, 0.005, 0.02, 0.0]]))
    assert clip_saturation(layer, 10.0).item() == 0.0
    clip_weights(layer, 0.01)
    torch.testing.assert_close(layer.weight.detach(), torch.tensor([[-0.01, 0.005, 0.01, 0.0]]))
    assert clip_saturation(layer, 0.01).item() == 0.5
