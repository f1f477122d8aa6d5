import math

import pytest
import torch

from generative.metrics.baselines import gaussian_bits


def levels(n: int, seed: int) -> torch.Tensor:
    """Two numbers whose sum is known, and one by itself."""
    generator = torch.Generator().manual_seed(seed)
    first, alone = (100 + 20 * torch.randn(n, generator=generator, dtype=torch.float64) for _ in range(2))
    near = first + 2 * torch.randn(n, generator=generator, dtype=torch.float64)
    return torch.stack([first, near, alone], 1).floor()


def test_one_gaussian_needs_its_entropy():
    covariance = torch.tensor([[400.0, 400, 0], [400, 404, 0], [0, 0, 400]], dtype=torch.float64)
    covariance += torch.eye(3) / 6  # of the rounding and of the noise
    entropy = 0.5 * torch.logdet(2 * math.pi * math.e * covariance) / (3 * math.log(2))
    assert gaussian_bits(levels(20_000, 0), levels(20_000, 1), 0) == pytest.approx(entropy.item(), abs=0.02)
    apart = 0.5 * math.log2(2 * math.pi * math.e * 400)
    assert gaussian_bits(levels(20_000, 0), levels(20_000, 1), 0) < apart - 0.8


def test_it_is_a_bound_for_few_rows_too():
    few, many = (gaussian_bits(levels(n, 0), levels(5000, 1), 0) for n in (4, 5000))
    assert math.isfinite(few) and few > many
