"""The memory that denoises: its preconditioning, its draws, and that it draws what the world draws."""

import math

import pytest
import torch

from tests.worldmodels.memories.batches import generator, random_batch
from worldmodels.memories import MEMORIES, SequenceBatch
from worldmodels.memories.models.diffusion import SIGMAS, noise_levels

OPTIONS = {"latent": 1, "action": 1, "hidden": 32, "width": 32, "history": 2, "reward": False, "termination": False}


def coin_world(episodes: int, steps: int, seed: int) -> SequenceBatch:
    """z[t + 1] = z[t] +- action[t], a fair coin: no Gaussian is like it."""
    draw = generator(seed)
    action = 0.5 + torch.randint(0, 2, (episodes, steps, 1), generator=draw).float() / 2
    coin = 2.0 * torch.randint(0, 2, (episodes, steps, 1), generator=draw) - 1
    mean = torch.cat([torch.zeros(episodes, 1, 1), (action * coin).cumsum(1)], 1) / 2
    nothing = torch.zeros(episodes, steps)
    mask = torch.ones(episodes, steps, dtype=torch.bool)
    return SequenceBatch(mean, torch.full_like(mean, 0.01), action, nothing, nothing, mask)


@pytest.fixture(scope="module")
def trained():
    memory = MEMORIES.create("diffusion", {**OPTIONS, "steps": 10}, 0)
    optimiser, draw = torch.optim.Adam(memory.parameters(), lr=4e-3), generator(1)
    for step in range(500):
        optimiser.zero_grad()
        memory.loss(coin_world(32, 8, step), draw)[0].backward()
        optimiser.step()
    return memory.eval()


def prediction(memory, action: float, rows: int):
    return memory.step(torch.zeros(rows, 1), torch.full((rows, 1), action), memory.initial(rows))[0]


@pytest.mark.slow
@torch.no_grad()
def test_draws_have_both_sides_of_the_coin_and_less_between_than_a_gaussian(trained):
    normal = torch.randn(2000, 1, generator=generator(3))
    uniform = torch.zeros_like(normal)
    for action in (0.5, 1.0):
        drawn = prediction(trained, action, 2000).sample(1.0, uniform, normal)
        sides = (drawn.abs() - action / 2).abs() < 0.2 * action
        assert sides.float().mean() > 0.55  # a Gaussian of the same spread has 0.387 there
        assert 0.4 < (drawn > 0).float().mean() < 0.6
        expected = prediction(trained, action, 1).expected_latent()
        assert expected.abs() < 0.12  # between both, where no draw is
    at_zero = prediction(trained, 1.0, 2000).sample(0.0, uniform, normal)
    assert at_zero.std() < 1e-6  # without temperature there is no noise


@torch.no_grad()
def test_denoising_is_preconditioned_as_edm_is():
    memory = MEMORIES.create("diffusion", {**OPTIONS, "spread": 0.5}, 0)
    hidden, noisy = memory.unroll(torch.randn(4, 1, 1), torch.randn(4, 1, 1), None)[0][:, 0], torch.randn(4, 1)
    small, large = (torch.full((4, 1), sigma) for sigma in (1e-4, 1e4))
    torch.testing.assert_close(memory.denoise(hidden, noisy, small), noisy, atol=1e-3, rtol=0)  # nothing to take off
    raw = memory.denoiser(torch.cat([noisy / 1e4, large.log() / 4, hidden[:, :-1]], -1))
    torch.testing.assert_close(memory.denoise(hidden, noisy, large), 0.5 * raw, atol=1e-3, rtol=1e-3)


def test_the_loss_is_the_weighted_error_of_the_denoised_change():
    memory, batch = MEMORIES.create("diffusion", {**OPTIONS, "latent": 3, "action": 2}, 0), random_batch()
    draw = generator(4)
    z = batch.mean
    hidden, _ = memory.unroll(z[:, :-1], batch.action, None)
    found = memory.latent_loss(hidden, z[:, 1:], batch, generator(4))[1]["denoising"]
    sigma = (-0.4 + 1.2 * torch.randn(4, 6, 1, generator=draw)).exp()
    change = z[:, 1:] - z[:, :-1]
    denoised = memory.denoise(hidden, change + sigma * torch.randn(4, 6, 3, generator=draw), sigma)
    weight = (sigma**2 + 0.25) / (sigma * 0.5) ** 2  # lambda of Karras et al. 2022, table 1
    torch.testing.assert_close(found, (weight * (denoised - change).square()).mean().detach())


def test_noise_falls_from_the_greatest_to_the_least():
    levels = noise_levels(4)
    assert levels == sorted(levels, reverse=True) and len(levels) == 4
    assert levels[0] == pytest.approx(SIGMAS[0]) and levels[-1] == pytest.approx(SIGMAS[1])
    assert noise_levels(1) == [pytest.approx(SIGMAS[0])]
    middle = (levels[1] ** (1 / 7) - levels[2] ** (1 / 7)) * 3
    assert middle == pytest.approx(math.pow(SIGMAS[0], 1 / 7) - math.pow(SIGMAS[1], 1 / 7))


@torch.no_grad()
def test_it_sees_as_far_back_as_its_history():
    memory = MEMORIES.create("diffusion", {**OPTIONS, "history": 3}, 0)
    z, action = torch.randn(1, 6, 1), torch.randn(1, 6, 1)
    other = z.clone()
    other[:, 2] += 1
    first, second = (memory.unroll(each, action, None)[0] for each in (z, other))
    differs = ((first - second).abs().amax(-1) > 1e-6)[0].tolist()
    assert differs == [False, False, True, True, True, False]


def test_senseless_options_are_refused():
    with pytest.raises(ValueError, match="spread=0"):
        MEMORIES.create("diffusion", {**OPTIONS, "spread": 0.0})
    with pytest.raises(ValueError, match="steps=0"):
        MEMORIES.create("diffusion", {**OPTIONS, "steps": 0})
