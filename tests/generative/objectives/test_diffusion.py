import math

import pytest
import torch

from generative.objectives.diffusion import linear, mixed, offset_cosine, parted, straight, target

CASES = [("noise", offset_cosine), ("velocity", offset_cosine), ("noise", linear), ("velocity", linear),
         ("flow", straight)]  # fmt: skip


@pytest.mark.parametrize("schedule", [offset_cosine, linear, straight])
def test_data_fade_and_noise_grows(schedule):
    rates = schedule(torch.linspace(0, 1, 101, dtype=torch.float64))
    assert (rates.signal.diff() < 0).all() and (rates.noise.diff() > 0).all()
    total = rates.signal + rates.noise if schedule is straight else rates.signal.square() + rates.noise.square()
    assert (total - 1).abs().max() < 1e-9


def test_the_offset_cosine_turns_evenly_between_its_ends():
    rates = offset_cosine(torch.linspace(0, 1, 11, dtype=torch.float64))
    assert rates.signal[0].item() == pytest.approx(0.95) and rates.signal[-1].item() == pytest.approx(0.02)
    turn = torch.atan2(rates.noise, rates.signal).diff()
    assert torch.allclose(turn, turn[0].expand(10))


def test_the_linear_schedule_is_that_of_ddpm_with_a_thousand_steps():
    steps = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    kept = (1 - steps).cumprod(0)  # what is left of the signal's square after each step
    for step in (100, 500, 900):
        said = linear(torch.tensor(step / 1000, dtype=torch.float64)).signal.square()
        assert said.item() == pytest.approx(kept[step - 1].item(), rel=0.06)


@pytest.mark.parametrize(("prediction", "schedule"), CASES)
def test_data_and_noise_are_found_again_by_the_target(prediction, schedule):
    x, e = torch.randn(2, 6, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rates = schedule(torch.linspace(0.05, 0.95, 6, dtype=torch.float64))
    mixture = mixed(x, e, rates)
    data, noise = parted(prediction, target(prediction, x, e, rates), mixture, rates)
    assert (data - x).abs().max() < 1e-9 and (noise - e).abs().max() < 1e-9


def test_a_velocity_is_the_derivative_along_the_turn():
    angle = torch.tensor([0.7], dtype=torch.float64)
    x, e = torch.tensor([[2.0]], dtype=torch.float64), torch.tensor([[-1.0]], dtype=torch.float64)

    def at(turn: float) -> float:
        return math.cos(turn) * 2.0 - math.sin(turn)

    rates = offset_cosine(angle)
    turn = math.atan2(rates.noise.item(), rates.signal.item())
    slope = (at(turn + 1e-6) - at(turn - 1e-6)) / 2e-6
    assert target("velocity", x, e, rates).item() == pytest.approx(slope, abs=1e-6)
