"""Samplers against a datum distribution that is one Gaussian, whose best answer at every mixture is known."""

import pytest
import torch

from generative.objectives.diffusion import linear, offset_cosine, straight
from generative.sampling.denoising import denoise, flow

MEAN, SPREAD = 2.0, 0.5


def best(schedule):
    """What a perfect network says of mixtures of N(MEAN, SPREAD^2)."""

    def parted(mixture, t):
        signal, noise = schedule(t[:1])
        variance = (signal * SPREAD) ** 2 + noise**2
        e = noise * (mixture - signal * MEAN) / variance
        data = MEAN + signal * SPREAD**2 * (mixture - signal * MEAN) / variance
        return data, e

    return parted


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_denoising_comes_to_the_distribution(eta):
    start = torch.randn(20_000, 1, generator=noise(), dtype=torch.float64)
    *_, last = denoise(best(linear), linear, start, 200, eta, noise(1))
    assert last.mixture.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert last.mixture.std().item() == pytest.approx(SPREAD, rel=0.04)


@pytest.mark.parametrize("solver", ["euler", "heun"])
def test_a_flow_comes_to_the_distribution(solver):
    start = torch.randn(20_000, 1, generator=noise(), dtype=torch.float64)
    *_, last = flow(best(straight), start, 100, solver)
    assert last.data.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert last.data.std().item() == pytest.approx(SPREAD, rel=0.04)
    assert torch.equal(last.data, last.mixture)


def test_euler_is_denoising_on_a_straight_path():
    start = torch.randn(50, 1, generator=noise(), dtype=torch.float64)
    ways = (denoise(best(straight), straight, start, 10, 0.0, noise()), flow(best(straight), start, 10, "euler"))
    for one, other in zip(*ways, strict=True):
        torch.testing.assert_close(one.mixture, other.mixture)


def test_heun_errs_less_than_euler_with_as_many_questions():
    start = torch.randn(500, 1, generator=noise(), dtype=torch.float64)
    exact = MEAN + SPREAD * start  # the flow of one Gaussian keeps the order
    error = {}
    for solver, steps in (("euler", 10), ("heun", 5)):
        *_, last = flow(best(straight), start, steps, solver)
        error[solver] = (last.data - exact).abs().mean()
    assert error["heun"] < 0.7 * error["euler"]


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_no_noise_stays_where_none_can_be_told_from_data(steps):
    def only(mixture, t):  # one datum; at time 0 whatever is there passes for data
        if not t[0]:
            return mixture, torch.zeros_like(mixture)
        return torch.full_like(mixture, MEAN), (mixture - (1 - t[0]) * MEAN) / t[0]

    *_, last = flow(only, torch.randn(50, 1, generator=noise(), dtype=torch.float64), steps, "heun")
    torch.testing.assert_close(last.data, torch.full_like(last.data, MEAN))


def test_a_later_start_has_fewer_of_the_way():
    seen = []

    def parted(mixture, t):
        seen.append(t[0].item())
        return best(offset_cosine)(mixture, t)

    list(denoise(parted, offset_cosine, torch.zeros(2, 1), 4, 0.0, noise(), start=0.6))
    assert seen == pytest.approx([0.6, 0.45, 0.3, 0.15])
