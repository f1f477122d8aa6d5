"""The plan of a run: the same parts that its stages yield, and the seconds that a recorded run took."""

import csv
from pathlib import Path

import pytest

from scripts.stages import STAGE_FUNCTIONS, stages_of
from scripts.terminal.progress import duration
from tests.small import TINY, looped_config, tiny_config
from tests.worldmodels.run.test_plan import Clock, live, worst
from worldmodels import Run, preset
from worldmodels.config import config_from
from worldmodels.run.estimate import plan_parts
from worldmodels.run.plan import Plan, StagePart
from worldmodels.run.rates import Rates

CURVE = Path(__file__).parents[3] / "docs" / "results" / "quick" / "goal" / "curve.csv"
QUICK = {
    "reset": 0.0145, "frame": 0.00021, "frame_bytes": 1310.0, "perceive": 0.00117, "vision_step": 0.048,
    "memory_step": 0.056, "encode": 0.00017, "dream_begin": 0.006, "dream_step": 0.0068,
}  # fmt: skip
"""Rates of the two cores with bfloat16 on which the published run of the preset was made."""
STAGES = {
    (0, "collect"): 17.8, (0, "train-vision"): 109.7, (0, "train-memory"): 57.3, (0, "evolve"): 60.8,
    (1, "collect"): 9.5, (1, "train-memory"): 62.2, (1, "evolve"): 43.9,
    (2, "collect"): 9.3, (2, "train-memory"): 71.5, (2, "evolve"): 40.9,
}  # fmt: skip
"""Seconds that the stages of another run noted, on such a machine with other work beside it."""


def plan_of(config, **rates):
    measured = Rates(config)
    vars(measured).update(QUICK | rates)
    return plan_parts(config, stages_of("run", config), measured)


def seconds(parts, number):
    return sum(part.seconds for part in parts if part.round == number)


def test_the_plan_of_quick_takes_what_its_rounds_took():
    with open(CURVE) as file:
        took = {int(row["round"]): float(row["seconds_of_round"]) for row in csv.DictReader(file) if row["seed"] == "0"}
    parts = plan_of(preset("quick"))
    assert {number: seconds(parts, number) for number in took} == pytest.approx(took, rel=0.1)


def recorded(parts):
    """What really came: the recorded stages, those of the third round again in later ones."""
    real = []
    for part in parts:
        key = (min(part.round, 2), part.stage) if part.round is not None else None
        factor = 1.0
        if key in STAGES:
            planned = sum(p.seconds for p in parts if (p.round, p.stage) == key)
            factor = STAGES[key] / planned
        real.append(StagePart(part.stage, part.unit, factor * part.costs, factor * part.tail, part.round))
    return real


@pytest.mark.parametrize(
    "wrong",
    [{}, {"vision_step": 0.1}, {"memory_step": 0.1}, {"dream_step": 0.014}, {"frame": 0.0005},
     {name: 2 * rate for name, rate in QUICK.items()}, {name: rate / 2 for name, rate in QUICK.items()}],
    ids=["right", "vision", "memory", "dream", "frames", "all too slow", "all too fast"],
)  # fmt: skip
def test_what_is_left_of_a_recorded_run_is_told_from_the_second_minute_on(wrong):
    clock, real = Clock(), recorded(plan_of(preset("quick")))
    until = 60.0 if len(wrong) > 1 else 20.0  # the last pages and films have no rates that could be wrong
    assert worst(live(Plan(plan_of(preset("quick"), **wrong), clock), clock, real), until=until) < 1.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [config_from(TINY, looped_config(loop={"later": {"collect": {"max_frames": 12}, "dream": {"horizon": 5}}})),
     config_from({"evaluate": {"baseline": True}}, tiny_config())],
    ids=["loop", "real"],
)  # fmt: skip
def test_stages_yield_what_the_plan_has(hasty_vision, tmp_path, config):
    run = Run.create(tmp_path / "run", config)
    parts = plan_of(config)
    met = []
    for stage in stages_of("run", config):
        for progress in STAGE_FUNCTIONS[stage](run):
            leaf = progress.inner or progress
            inside = leaf.stage != progress.stage
            key = (progress.done if inside else None, leaf.stage, leaf.unit)
            if key not in met and leaf.done < leaf.total and leaf.unit != "rounds":
                met.append(key)
    assert met == [(part.round, part.stage, part.unit) for part in parts]


@pytest.mark.slow
def test_measuring_leaves_the_random_streams_alone(monkeypatch):
    import torch

    monkeypatch.setattr("worldmodels.run.rates.BUDGET", 0.01)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    rates = Rates(looped_config())
    done = [progress.done for progress in rates.measure()]
    assert torch.equal(torch.rand(4), expected)
    assert done == list(range(len(done))) and torch.get_num_threads() == 1
    measured = {
        name: value
        for name, value in vars(rates).items()
        if name not in ("config", "reset", "dream_begin", "others", "_beside")
    }
    assert all(value > 0 for value in measured.values()), measured


def test_more_work_is_planned_longer():
    short, long = (plan_of(looped_config(loop={"rounds": rounds})) for rounds in (2, 3))
    assert sum(part.seconds for part in long) > sum(part.seconds for part in short)
    loop = {"rounds": 2, "later": {"evolve": {"generations": 2}}}
    more = plan_of(looped_config(loop=loop, evolve={"world": "dream", "generations": 20}))
    assert seconds(more, 0) > seconds(short, 0) and seconds(more, 1) == pytest.approx(seconds(short, 1))


@pytest.mark.parametrize(
    ("left", "said"), [(1, "a moment"), (42, "42 s"), (61, "1 min"), (376, "6 min 20 s"), (1500, "25 min"),
                       (9000, "2.5 h")],
)  # fmt: skip
def test_times_are_told_as_exactly_as_they_are_known(left, said):
    assert duration(left) == said
