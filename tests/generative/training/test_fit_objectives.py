"""Training with several objectives: parts step in turn, each down its own gradient."""

import itertools
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from generative import FitConfig, TrainingDiverged, fit
from generative.core.component import HasObjectives, Objective, Part


@dataclass(frozen=True)
class DuelConfig:
    """Two numbers against each other."""

    chasers: int = 2
    """Steps of the first part for one of the second."""
    rate: float = 1.0
    """Learning rate of the first part, in multiples."""


class Number(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor([value]))


class Duel(nn.Module):
    """`first` chases the mean of its batch and would drag `second` along; `second` wants to be far from `first`."""

    type_name = "duel"
    Config = DuelConfig

    def __init__(self, config: DuelConfig) -> None:
        super().__init__()
        self.config = config
        self.first, self.second = Number(0.0), Number(1.0)
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("finished", torch.zeros(()))
        self.batches: list[float] = []
        self.met: list[float] = []

    @property
    def parts(self):
        return {"first": Part(self.config.rate), "second": Part(betas=(0.5, 0.9))}

    @property
    def batches_per_step(self):
        return self.config.chasers

    def objectives(self, batches, step, generator):
        for batch in batches:
            self.batches.append(batch.mean().item())
            gap = batch.mean() - self.first.value + 0 * self.second.value
            noisy = (gap + 0.1 * torch.randn(1, generator=generator)).square().sum() + 5 * self.second.value.sum()
            yield Objective("first", noisy, {"gap": gap.detach().abs().sum()})
        self.met.append(self.first.value.item())
        yield Objective("second", (self.first.value - self.second.value).sum(), {})
        self.finished += 1


def stream(start: int):
    return (torch.full((4,), float(step)) for step in itertools.count(start))


def run(steps, *, duel=None, checkpoint=None, seed=0, **options):
    duel = Duel(DuelConfig()) if duel is None else duel
    config = FitConfig(**{"steps": steps, "learning_rate": 0.1, **options})
    return duel, list(fit(duel, stream, config, seed=seed, checkpoint=checkpoint, log_every=1))


def test_it_is_what_the_protocol_asks_for():
    assert isinstance(Duel(DuelConfig()), HasObjectives)
    assert not isinstance(nn.Linear(1, 1), HasObjectives)


def test_every_part_steps_down_its_own_gradient_only():
    """Adam's first step has the size of the rate: `second` must not feel the slope of 5 that `first`'s loss has."""
    duel, rows = run(1)
    assert duel.first.value.item() == pytest.approx(0.2, rel=0.2)  # two steps towards 0 and 1, the first by noise
    assert duel.second.value.item() == pytest.approx(1.1, rel=1e-4)
    assert set(rows[0]) == {
        "step",
        "first_loss",
        "gap",
        "first_gradient",
        "second_loss",
        "second_gradient",
        "learning_rate",
        "samples_per_second",
    }
    assert rows[0]["second_gradient"] == 1.0


def test_later_objectives_see_the_steps_of_earlier_ones_and_the_end_is_reached():
    duel, rows = run(3)
    assert duel.met[0] != 0.0
    assert rows[0]["second_loss"] == pytest.approx(duel.met[0] - 1.0)
    assert duel.finished == 3 and not duel.training


def test_every_objective_takes_a_batch_of_its_own_and_figures_are_averaged():
    duel, _ = run(3)
    assert duel.batches == [0, 1, 2, 3, 4, 5]
    _, rows = run(2, duel=Duel(DuelConfig(rate=1e-12)))
    assert rows[0]["gap"] == pytest.approx(0.5) and rows[1]["gap"] == pytest.approx(2.5)


def test_rates_and_momenta_are_those_of_the_part():
    fast, _ = run(1, duel=Duel(DuelConfig(rate=4.0, chasers=1)), seed=1)
    slow, _ = run(1, duel=Duel(DuelConfig(rate=1.0, chasers=1)), seed=1)
    assert fast.first.value.item() == pytest.approx(4 * slow.first.value.item(), rel=1e-4)
    warm, rows = run(1, warmup=2)
    assert warm.second.value.item() == pytest.approx(1.05, rel=1e-4) and rows[0]["learning_rate"] == 0.05


def test_each_gradient_is_clipped_by_itself():
    far = Duel(DuelConfig(chasers=1))
    with torch.no_grad():
        far.first.value.fill_(-1000.0)
    _, rows = run(1, duel=far, gradient_clip=0.5)
    assert rows[0]["first_gradient"] > 1000 and rows[0]["second_gradient"] == 1.0  # as they were before
    assert far.second.value.grad is not None and far.second.value.grad.norm().item() == pytest.approx(0.5)
    assert far.first.value.grad is None


@pytest.mark.parametrize("steps", [1, 3])
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path, steps):
    whole, rows = run(6)
    run(steps, checkpoint=tmp_path)
    resumed, later = run(6, checkpoint=tmp_path)
    for row in (*rows, *later):
        row.pop("samples_per_second")
    assert later == rows[steps:]
    assert resumed.batches == whole.batches[2 * steps :]
    assert all(torch.equal(value, whole.state_dict()[key]) for key, value in resumed.state_dict().items())


def test_the_seed_decides_the_noise():
    first, again, other = (run(2, seed=seed)[1][-1]["first_loss"] for seed in (0, 0, 1))
    assert first == again != other


def test_divergence_names_the_part_and_spares_the_weights():
    duel = Duel(DuelConfig(chasers=1))

    def poisoned(start: int):
        yield torch.zeros(4)
        yield torch.full((4,), torch.nan)

    with pytest.raises(TrainingDiverged, match=r"step 2: .* of the first; lower learning_rate=0.1"):
        list(fit(duel, poisoned, FitConfig(steps=3, learning_rate=0.1), seed=0))
    assert all(each.isfinite().all() for each in duel.parameters())


def test_a_part_without_parameters_is_refused():
    duel = Duel(DuelConfig())
    duel.second.requires_grad_(False)
    with pytest.raises(ValueError, match=r"Duel\.second: has no parameters to train"):
        run(1, duel=duel)


def test_streams_that_end_within_a_step_are_an_error():
    with pytest.raises(ValueError, match="ended at step 1 of 5"):
        list(fit(Duel(DuelConfig()), lambda start: iter([torch.zeros(4)] * 3), FitConfig(steps=5), seed=0))
