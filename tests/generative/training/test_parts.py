"""Every part has its own optimiser: torch's, with the settings that the part names."""

import itertools
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from generative import FitConfig, TrainingDiverged, fit
from generative.core.component import Objective, Part
from generative.training.parts import batches_per_step
from generative.training.training_step import TrainingStep


@dataclass(frozen=True)
class PlaneConfig:
    """A plane."""

    part: Part = field(default_factory=Part)
    """How it is trained."""


class Plane(nn.Module):
    type_name = "plane"
    Config = PlaneConfig

    def __init__(self, config: PlaneConfig) -> None:
        super().__init__()
        self.config, self.parts = config, {"": config.part}
        self.linear = nn.Linear(3, 1)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[0.3, -0.2, 0.1]]))
            self.linear.bias.zero_()

    def loss(self, batch, generator):
        return (self.linear(batch) - batch.sum(1, keepdim=True)).square().mean(), {}


def batches(start: int):
    return (torch.randn(4, 3, generator=torch.Generator().manual_seed(step)) for step in itertools.count(start))


def trained(part: Part, steps: int = 5, checkpoint=None, **options) -> Plane:
    plane = Plane(PlaneConfig(part))
    config = FitConfig(steps=steps, learning_rate=0.05, **options)
    list(fit(plane, batches, config, seed=0, checkpoint=checkpoint))
    return plane


MAKERS = {
    "adam": (
        Part(betas=(0.5, 0.9), decay=0.1),
        lambda own: torch.optim.Adam(own, 0.05, (0.5, 0.9), weight_decay=0.1),
    ),
    "adamw": (
        Part(optimiser="adamw", betas=(0.5, 0.9), decay=0.1),
        lambda own: torch.optim.AdamW(own, 0.05, (0.5, 0.9), weight_decay=0.1),
    ),
    "sgd": (
        Part(optimiser="sgd", betas=(0.7, 0.9), decay=0.1),
        lambda own: torch.optim.SGD(own, 0.05, momentum=0.7, weight_decay=0.1),
    ),
    "rmsprop": (
        Part(optimiser="rmsprop", betas=(0.3, 0.9), decay=0.1),
        lambda own: torch.optim.RMSprop(own, 0.05, 0.9, momentum=0.3, weight_decay=0.1),
    ),
}


@pytest.mark.parametrize("name", MAKERS)
def test_an_optimiser_is_the_one_that_is_named(name):
    part, make = MAKERS[name]
    other = Plane(PlaneConfig())
    optimiser = make(other.parameters())
    for batch in itertools.islice(batches(0), 5):
        optimiser.zero_grad()
        other.loss(batch, None)[0].backward()
        optimiser.step()
    torch.testing.assert_close(trained(part).linear.weight, other.linear.weight)
    assert not torch.equal(trained(Part()).linear.weight, other.linear.weight)


@pytest.mark.parametrize("name", MAKERS)
def test_a_resumed_training_has_the_state_of_its_optimiser(name, tmp_path):
    part, _ = MAKERS[name]
    trained(part, 2, tmp_path)
    assert torch.equal(trained(part, 5, tmp_path).linear.weight, trained(part, 5).linear.weight)


@pytest.mark.parametrize("name", MAKERS)
def test_no_optimiser_moves_a_weight_from_the_first_failure_on(name):
    plane = Plane(PlaneConfig(MAKERS[name][0]))
    step = TrainingStep(plane, FitConfig(learning_rate=0.05), torch.device("cpu"))
    stream = batches(0)
    step(0, 0, [next(stream)])
    kept = plane.linear.weight.clone()
    step(1, 1, [next(stream) * torch.nan])
    step(2, 2, [next(stream)])
    assert torch.equal(plane.linear.weight, kept)
    with pytest.raises(TrainingDiverged, match="step 2"):
        step.check()


def test_accumulated_gradients_are_those_of_the_whole_batch():
    def halves(start: int):
        for batch in batches(start // 2):
            yield from batch.chunk(2)

    part = Part(optimiser="sgd", betas=(0.0, 0.0), accumulation=2)
    plane = Plane(PlaneConfig(part))
    assert batches_per_step(plane) == 2
    rows = list(fit(plane, halves, FitConfig(steps=4, learning_rate=0.05, gradient_clip=0.5), seed=0, log_every=1))
    whole = trained(Part(optimiser="sgd", betas=(0.0, 0.0)), 4, gradient_clip=0.5)
    torch.testing.assert_close(plane.linear.weight, whole.linear.weight)
    assert rows[0].keys() == {"step", "loss", "grad_norm", "learning_rate", "samples_per_second"}


def test_accumulation_that_does_not_divide_a_step_is_refused():
    class Three(Plane):
        batches_per_step = 3

        def objectives(self, taken, step, generator):
            for batch in taken:
                yield Objective("", *self.loss(batch, generator))

    plane = Three(PlaneConfig(Part(accumulation=2)))
    with pytest.raises(ValueError, match="accumulation=2: a step ends with 1 objectives of the loss left over"):
        list(fit(plane, batches, FitConfig(steps=1), seed=0))


def test_schedules_are_those_of_the_part():
    config = FitConfig(steps=10, learning_rate=1.0)
    assert [config.rate(step, "half-linear") for step in (0, 5, 6, 9)] == pytest.approx([1.0, 1.0, 0.8, 0.2])
    assert [FitConfig(steps=10, learning_rate=1.0, schedule="half-linear").rate(step) for step in (4, 9)] == [1.0, 0.2]
    paper = FitConfig(steps=99, learning_rate=1.0, warmup=4, schedule="inverse-root")
    assert [paper.rate(step) for step in (0, 3, 15, 63)] == pytest.approx([0.25, 1.0, 0.5, 0.25])
    assert config.rate(5, "cosine") == pytest.approx(0.5) and config.rate(5) == 1.0

    constant, cosine = (trained(Part(optimiser="sgd", betas=(0.0, 0.0), schedule=each)) for each in ("", "cosine"))
    assert not torch.equal(constant.linear.weight, cosine.linear.weight)
    same = trained(Part(optimiser="sgd", betas=(0.0, 0.0), schedule="constant"), schedule="cosine")
    assert torch.equal(constant.linear.weight, same.linear.weight)


def test_a_schedule_of_a_part_that_knows_the_end_keeps_its_length(tmp_path):
    trained(Part(schedule="cosine"), 4, tmp_path)
    with pytest.raises(ValueError, match=r"fit\.steps was 4, is 6"):
        trained(Part(schedule="cosine"), 6, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 0.0}, "rate=0.0"),
        ({"betas": (1.0, 0.9)}, "betas="),
        ({"decay": -1.0}, "decay=-1.0"),
        ({"accumulation": 0}, "accumulation=0"),
    ],
)
def test_senseless_parts_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Part(**options)
