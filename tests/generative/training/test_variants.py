"""Steps that differ: recorded apart, in phases with batches of their own, the same after a resume."""

import itertools
import sys
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from generative import FitConfig, fit
from generative.core.component import Objective, Part
from generative.training.training_step import TrainingStep
from generative.training.variants import Phase, phase_at, phases_of


@dataclass(frozen=True)
class GrowingConfig:
    """A network that grows."""

    every: int = 3
    """Steps from one penalty to the next."""


class Growing(nn.Module):
    """Its loss pulls a number to the mean of its images; a penalty comes now and then, and a weight fades in."""

    type_name = "growing"
    fixed_step = True
    Config = GrowingConfig
    batches_per_step = 1

    def __init__(self, config: GrowingConfig = GrowingConfig()) -> None:
        super().__init__()
        self.config = config
        self.net = nn.Linear(1, 1)
        self.parts = {"net": Part()}
        self.register_buffer("fade", torch.zeros(()), persistent=False)
        with torch.no_grad():
            self.net.weight.fill_(1.0)
            self.net.bias.fill_(1.0)

    def phases(self, fit):
        return [(0, 4, 2), Phase(4, 2, 4), Phase(fit.steps - 2, 3, 8)]

    def variant(self, step, fit):
        self.fade.fill_((step + 1) / fit.steps)
        return step % self.config.every == 0

    def objectives(self, batches, step, generator):
        images = batches[0].mean((1, 2))[:, None]
        yield Objective("net", self.fade * (self.net(images) - images).square().mean(), {"fade": self.fade.clone()})
        if step % self.config.every == 0:
            penalty = self.net.weight.square().sum()
            yield Objective("net", penalty, {"norm": penalty.detach()}, "penalty")


class Fixed(TrainingStep):
    """Serves batches from fixed places, as a recording on a GPU does."""

    made: list = []  # noqa: RUF012

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.replays = True
        self.kinds = []
        Fixed.made.append(self)

    def _carried_out(self, variant, batches):
        result = super()._carried_out(variant, batches)
        self.kinds.append(len(self._recorded))
        return result


ASKED: list[tuple[int, Phase]] = []


def images(start: int, phase: Phase):
    ASKED.append((start, phase))
    for number in itertools.count(start):
        generator = torch.Generator().manual_seed(1000 * phase.first + number)
        yield torch.rand(phase.batch, phase.resolution, phase.resolution, generator=generator)


def run(steps: int = 12, checkpoint=None):
    ASKED.clear()
    growing = Growing()
    rows = list(fit(growing, images, FitConfig(steps=steps), seed=0, log_every=1, checkpoint=checkpoint))
    return growing, [{**row, "samples_per_second": 0} for row in rows]


def test_each_phase_has_batches_of_its_own():
    _, rows = run()
    assert ASKED == [(0, Phase(0, 4, 2)), (0, Phase(4, 2, 4)), (0, Phase(10, 3, 8))]
    assert [row["fade"] for row in rows] == pytest.approx([(step + 1) / 12 for step in range(12)])


def test_a_resume_within_a_phase_goes_on_as_if_never_stopped(tmp_path):
    whole, rows = run()
    growing = Growing()
    begun = fit(growing, images, FitConfig(steps=12), seed=0, log_every=1, checkpoint=tmp_path)
    list(itertools.islice(begun, 7))
    begun.close()
    resumed, later = run(checkpoint=tmp_path)
    assert ASKED == [(2, Phase(4, 2, 4)), (0, Phase(10, 3, 8))] and later == rows[6:]
    assert all(torch.equal(*pair) for pair in zip(resumed.parameters(), whole.parameters(), strict=True))


def test_objectives_of_one_part_have_names_and_counts_of_their_own():
    growing = Growing()
    rows = list(fit(growing, images, FitConfig(steps=12), seed=0, log_every=4))
    single = run()[1]
    assert all({"net_loss", "net_gradient", "penalty_loss", "penalty_gradient", "norm"} <= row.keys() for row in rows)
    assert "penalty_loss" in single[0] and "penalty_loss" not in single[1]
    for place, row in enumerate(rows):
        own = [each["norm"] for each in single[4 * place : 4 * place + 4] if "norm" in each]
        assert row["norm"] == pytest.approx(sum(own) / len(own), rel=1e-12) and 1 <= len(own) < 4


def test_variants_are_recorded_apart_and_forgotten_with_their_phase(monkeypatch):
    plain, rows = run()
    monkeypatch.setattr(sys.modules["generative.training.fit"], "TrainingStep", Fixed)
    replayed, same = run()
    assert same == rows
    assert all(torch.equal(*pair) for pair in zip(replayed.parameters(), plain.parameters(), strict=True))
    assert Fixed.made[-1].kinds == [1, 2, 2, 2, 1, 1, 2, 2, 2, 2, 1, 1]


def test_a_training_that_knows_its_end_keeps_its_length(tmp_path):
    run(checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"fit\.steps was 12, is 14"):
        run(14, tmp_path)


@pytest.mark.parametrize("phases", [[], [(1, 2, 2)], [(0, 2, 2), (0, 2, 2)], [(0, 2, 2), (5, 1, 1), (3, 1, 1)]])
def test_phases_in_a_wrong_order_are_refused(phases):
    growing = Growing()
    growing.phases = lambda fit: phases
    with pytest.raises(ValueError, match="phases: first steps"):
        phases_of(growing, FitConfig(steps=10))


def test_phases_without_items_or_pixels_are_refused():
    growing = Growing()
    growing.phases = lambda fit: [(0, 2, 0)]
    with pytest.raises(ValueError, match="batch and resolution"):
        phases_of(growing, FitConfig(steps=10))
    assert phases_of(nn.Linear(1, 1), FitConfig()) == ()
    assert phase_at([Phase(0, 1, 1), Phase(4, 2, 2)], 3).batch == 1
