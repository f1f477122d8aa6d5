import json
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from generative import MODELS, ComponentError, Registry, load_component, load_metadata
from generative.diagnosis import Evidence
from generative.monitor import MonitorConfig, TrainingStopped, judge, sample_evidence, watch


@dataclass(frozen=True)
class CounterConfig:
    """Nothing to set."""


class Counter(nn.Module):
    type_name = "counter"
    Config = CounterConfig

    def __init__(self, config: CounterConfig) -> None:
        super().__init__()
        self.config = config
        self.step = nn.Parameter(torch.zeros(()))


def training(counter: Counter, slopes: list[float]):
    """A training of one step a row, whose critic's slopes are given."""
    for step, slope in enumerate(slopes, start=1):
        with torch.no_grad():
            counter.step.fill_(step)
        counter.train()
        yield {"step": step, "critic_slope": slope}


def run(slopes, config, **options):
    counter = Counter(CounterConfig())
    rows = []
    stopped = None
    try:
        for row in watch(training(counter, slopes), counter, config, **options):
            rows.append(row)
    except TrainingStopped as error:
        stopped = error
    return counter, rows, stopped


EAGER = MonitorConfig(every=2, grace=4, patience=2, memory=4)


def test_a_healthy_training_runs_to_its_end_and_leaves_its_last_good_model(tmp_path):
    _, rows, stopped = run([1.0] * 9, EAGER, snapshot=tmp_path / "good")
    assert stopped is None and [row["step"] for row in rows] == list(range(1, 10))
    good = load_component(tmp_path / "good", Registry("test", {"counter": Counter}))
    assert good.step.item() == 8 == load_metadata(tmp_path / "good")["step"]  # the last judgement, after row 8


def test_a_failing_one_is_stopped_after_its_patience_and_keeps_the_model_from_before(tmp_path):
    slopes = [1.0] * 8 + [1e-4] * 20
    counter, rows, stopped = run(slopes, EAGER, snapshot=tmp_path / "good")
    assert rows[-1]["step"] == 12 == stopped.step  # at 8 healthy; judged vanishing at 10 and at 12
    assert [verdict.problem for verdict in stopped.verdicts] == ["vanishing critic"]
    assert stopped.snapshot_step == 8 == load_metadata(tmp_path / "good")["step"]
    good = load_component(tmp_path / "good", Registry("test", {"counter": Counter}))
    assert good.step.item() == 8 and counter.step.item() == 12 and not counter.training
    assert "step 12: vanishing critic (its slope is 0.0001" in str(stopped)
    assert "replace clipping" in str(stopped) and f"the model of step 8 is in {tmp_path / 'good'}" in str(stopped)
    assert json.loads((tmp_path / "good" / "config.json").read_text())["type"] == "counter"


def test_a_failure_that_passes_stops_nothing_and_is_not_kept(tmp_path):
    slopes = [1.0, 1.0, 1.0, 1.0, 1.0, 1e-4, 1.0, 1.0, 1.0, 1e-4]  # bad at 6 and 10, not in a row
    _, rows, stopped = run(slopes, MonitorConfig(every=2, grace=4, patience=2, memory=4), snapshot=tmp_path / "good")
    assert stopped is None and len(rows) == 10 and load_metadata(tmp_path / "good")["step"] == 8
    _, _, stopped = run(slopes[:6], MonitorConfig(every=2, grace=4, patience=1, memory=4), snapshot=tmp_path / "other")
    assert stopped is not None and stopped.snapshot_step == 4


def test_grace_patience_and_memory_are_kept():
    bad = [1e-4] * 30
    assert run(bad, MonitorConfig(every=5, grace=10, patience=1))[2].step == 10
    assert run(bad, MonitorConfig(every=5, grace=10, patience=3))[2].step == 20
    assert run(bad[:9], MonitorConfig(every=5, grace=10, patience=1))[2] is None
    late = [1.0] * 28 + [1e-4] * 4  # a quarter of the last sixteen rows, half a quarter of all
    assert run(late, MonitorConfig(every=4, grace=4, patience=1, memory=16))[2].step == 32
    assert run(late, MonitorConfig(every=4, grace=4, patience=1, memory=400))[2] is None


def test_without_a_good_moment_it_says_so(tmp_path):
    stopped = run([1e-4] * 30, EAGER, snapshot=tmp_path / "good")[2]
    assert stopped.snapshot_step is None and "no good moment to keep" in str(stopped)
    assert not (tmp_path / "good").exists()
    assert "no snapshot was asked for" in str(run([1e-4] * 30, EAGER)[2])


def test_a_model_is_looked_at_in_evaluation_mode_and_put_back():
    modes = []

    def gather(module):
        modes.append((module.training, torch.is_grad_enabled()))
        return Evidence()

    counter = Counter(CounterConfig()).train()
    assert judge(counter, [], gather) == [] and modes == [(False, False)] and counter.training
    judge(counter.eval(), [], gather)
    assert not counter.training


def test_samples_are_compared_with_the_data_under_the_same_noise():
    box = MODELS.create("toy-distribution", {}, 0)
    train, held_out = (torch.rand(200, 2, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    gather = sample_evidence(train, held_out, lambda samples: samples / 100, count=50, seed=3, curve="x")
    first, again = gather(box), gather(box)
    assert torch.equal(first.samples, again.samples) and first.curve == "x" and first.train is train
    assert torch.equal(first.samples, box.sample(50, 1.0, torch.Generator().manual_seed(3)) / 100)
    with pytest.raises(ComponentError, match="cannot `sample`"):
        gather(MODELS.create("random-convolutions", {"image_size": 16}, 0))


@pytest.mark.parametrize(("name", "value"), [("every", 0), ("grace", -1), ("patience", 0), ("memory", 3)])
def test_senseless_settings_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}={value}"):
        MonitorConfig(**{name: value})
