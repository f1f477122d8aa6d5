import pytest
import torch

from generative.models.autoencoders.health import effective_dimensions
from generative.models.autoencoders.latents import LatentScale, interpolate, take


def test_latents_come_to_unit_spread_and_back():
    raw = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.1, 1.0, 7.0]) + 4
    scale = LatentScale(3)
    assert torch.equal(scale(raw), raw)
    scale.estimate(raw)
    torch.testing.assert_close(scale(raw).std(0), torch.ones(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(scale(raw).mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(scale.undo(scale(raw)), raw)


def test_what_hardly_moves_is_not_blown_up():
    raw = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 1.0, 1e-6])
    scale = LatentScale(3)
    scale.estimate(raw)
    assert scale(raw).std(0)[2] < 1e-3
    scale.estimate(torch.ones(10, 3))
    assert scale(torch.ones(2, 3)).isfinite().all()


def test_a_line_has_both_ends_and_equal_steps():
    first, second = torch.zeros(2, 1, 1, 2), torch.tensor([[4.0, 8.0], [2.0, 0.0]]).reshape(2, 1, 1, 2)
    way = interpolate(lambda obs: obs.flatten(1), lambda z: z.reshape(-1, 1, 1, 2), first, second, 5)
    assert way.shape == (2, 5, 1, 1, 2)
    assert way[0, :, 0, 0].tolist() == [[0, 0], [1, 2], [2, 4], [3, 6], [4, 8]]
    with pytest.raises(ValueError, match="steps=1"):
        interpolate(lambda obs: obs, lambda z: z, first, second, 1)


def test_as_many_images_are_taken_as_asked_for():
    batches = (torch.full((4, 1, 1, 1), float(number)) for number in range(10))
    assert take(batches, 6).flatten().tolist() == [0, 0, 0, 0, 1, 1]


def test_effective_dimensions_count_independent_directions():
    independent = torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0))
    assert effective_dimensions(independent) == pytest.approx(4, abs=0.05)
    assert effective_dimensions(independent[:, :1].repeat(1, 4)) == pytest.approx(1)
    assert effective_dimensions(torch.zeros(5, 3)) == 0
