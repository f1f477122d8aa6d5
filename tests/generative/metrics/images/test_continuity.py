import pytest
import torch

from generative.core.options import ComponentError
from generative.metrics import aggregate_posterior_gap, path_length, relative_path_length, spike_ratio, walk
from generative.metrics.images.continuity import crossfade, hard_switch, unrelated_steps


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_linear_generator_in_closed_form():
    matrix, start, end = normal(5, 3, seed=1), normal(7, 3, seed=2), normal(7, 3, seed=3)

    def generate(z):
        return (z @ matrix.T).reshape(-1, 1, 5, 1)

    expected = ((end - start) @ matrix.T).norm(dim=1).mean().item()
    for steps in (2, 9, 32):
        assert path_length(generate, start, end, steps=steps) == pytest.approx(expected)
        assert relative_path_length(generate, start, end, steps=steps) == pytest.approx(1)
        assert spike_ratio(generate, start, end, steps=steps) == pytest.approx(1)


def test_a_quarter_of_a_circle_has_its_arc_length():
    start, end = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    length = path_length(lambda z: z, start, end, steps=200, mode="spherical")
    assert length == pytest.approx(torch.pi, rel=1e-4)
    ratio = relative_path_length(lambda z: z, start, end, steps=200, mode="spherical")
    assert ratio == pytest.approx(torch.pi / 8**0.5, rel=1e-4)


def test_spherical_walks_keep_their_length_and_linear_ones_do_not():
    start, end = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert torch.allclose(walk(start, end, 4, "spherical").norm(dim=-1), torch.ones(1, 5))
    assert walk(start, end, 4)[0, 2].norm() == pytest.approx(0.5**0.5)
    for mode in ("linear", "spherical"):
        path = walk(start, end, 4, mode)
        assert torch.allclose(path[:, 0], start, atol=1e-6) and torch.allclose(path[:, -1], end, atol=1e-6)


def test_spherical_walks_between_parallel_latents_are_straight():
    z = normal(3, 4)
    for other in (z, -z, 2 * z):
        assert torch.allclose(walk(z, other, 4, "spherical"), walk(z, other, 4))


def test_a_jump_is_a_spike_as_long_as_all_steps():
    start, end = torch.zeros(1, 1), torch.ones(1, 1)
    assert spike_ratio(lambda z: (z > 0.45).float(), start, end, steps=16) == pytest.approx(16)
    assert spike_ratio(lambda z: z + 3 * (z > 0.45), start, end, steps=16) == pytest.approx((3 + 1 / 16) / (4 / 16))


def test_a_detour_makes_a_path_longer_but_not_uneven():
    start, end = torch.zeros(1, 1), torch.ones(1, 1)

    def there_back_there(z):
        return 1 - (1 - 3 * z).abs() if float(z) < 2 / 3 else 3 * z - 2

    assert relative_path_length(there_back_there, start, end, steps=30) == pytest.approx(3, rel=1e-5)
    assert spike_ratio(there_back_there, start, end, steps=30) == pytest.approx(1, rel=1e-4)


def test_a_model_that_ignores_its_latent_is_named():
    z = normal(3, 2)
    for metric in (relative_path_length, spike_ratio):
        with pytest.raises(ComponentError, match="ignores its latent"):
            metric(lambda z: torch.zeros(len(z), 4), z, -z)
    assert path_length(lambda z: torch.zeros(len(z), 4), z, -z) == 0


def test_reference_and_baseline_generators():
    first, last = normal(4, 3), normal(4, 3, seed=1)
    shares = torch.zeros(4, 1), torch.ones(4, 1)
    assert spike_ratio(crossfade(first, last), *shares, steps=8) == pytest.approx(1)
    assert spike_ratio(hard_switch(first, last), *shares, steps=8) == pytest.approx(8)
    assert relative_path_length(unrelated_steps(first, last, 8), *shares, steps=8) > 4
    for make in (crossfade(first, last), hard_switch(first, last), unrelated_steps(first, last, 8)):
        assert torch.equal(make(shares[0]), first) and torch.equal(make(shares[1]), last)
    with pytest.raises(ComponentError, match="at least 3"):
        unrelated_steps(first[:2], last[:2], 8)


def test_posterior_gap_in_closed_form():
    z = normal(500, 3)
    z = (z - z.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov((z - z.mean(0)).T))).T
    assert aggregate_posterior_gap(z) == pytest.approx(0, abs=1e-9)
    assert aggregate_posterior_gap(z + 2) == pytest.approx(3 * 4)
    assert aggregate_posterior_gap(3 * z) == pytest.approx(3 * (3 - 1) ** 2)
    assert aggregate_posterior_gap(torch.zeros(10, 6)) == pytest.approx(6)
    assert aggregate_posterior_gap(z[:, :1]) == pytest.approx(0, abs=1e-9)


def test_posterior_gap_sees_correlation():
    z = normal(500, 1).expand(500, 2)
    spread = (2 * z[:, 0].var()).sqrt().item()
    mean = 2 * z[:, 0].mean().item() ** 2
    assert aggregate_posterior_gap(z) == pytest.approx(mean + (spread - 1) ** 2 + 1)


def test_one_step_is_no_path():
    with pytest.raises(ComponentError, match="steps=1"):
        walk(normal(1, 2), normal(1, 2), 1)
