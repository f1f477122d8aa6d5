import math

import pytest
import torch

from generative.sampling.langevin import Walk, langevin


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bowl(x: torch.Tensor) -> torch.Tensor:
    """The energy of N(1, 0.5^2)."""
    return (2 * (x - 1).square()).sum(1)


def test_small_steps_with_their_noise_draw_from_the_distribution():
    walk = Walk(step=0.02, noise=math.sqrt(0.02))
    *_, last = langevin(bowl, torch.zeros(5000, 1), 300, walk, noise())
    assert last.mean().item() == pytest.approx(1.0, abs=0.03) and last.std().item() == pytest.approx(0.5, rel=0.05)


def test_without_noise_a_walk_ends_at_the_bottom():
    *_, last = langevin(bowl, torch.full((3, 2), -1.0), 100, Walk(0.2, 0.0), noise())
    assert torch.allclose(last, torch.ones(3, 2), atol=1e-4)


def test_a_gradient_is_clipped_and_data_stay_within_bounds():
    (first,) = langevin(bowl, torch.full((1, 1), -9.0), 1, Walk(2.0, 0.0, clip=0.1), noise())
    assert first.item() == pytest.approx(-8.9)
    for x in langevin(bowl, torch.zeros(50, 1), 20, Walk(0.1, 1.0, bound=0.5), noise()):
        assert x.abs().max() <= 0.5


def test_the_start_stays_and_weights_get_no_gradient():
    layer = torch.nn.Linear(2, 1)
    start = torch.zeros(3, 2)
    with torch.no_grad():
        stages = list(langevin(lambda x: layer(x)[:, 0], start, 3, Walk(1.0, 0.1), noise()))
    assert not start.any() and layer.weight.grad is None and not stages[-1].requires_grad
    assert len(stages) == 3 and not torch.equal(stages[0], stages[2])
