import json
import os
import sys
from itertools import count, islice

import gymnasium as gym
import numpy as np
import pytest
import torch

from envs.car_racing import CarRacing
from envs.fast_car_racing import FastCarRacing
from generative.models.writing.gpt2 import GPT2, GPT2Config
from scripts.benchmark import main
from scripts.cli import main as worldmodels
from tests.worldmodels.play.conftest import make as drivable
from worldmodels import benchmark
from worldmodels.benchmark import FIGURES, BenchmarkFigure, Settings, Skip, disturbed, measure
from worldmodels.benchmark.figure import paired, rate
from worldmodels.benchmark.machine import use_cores
from worldmodels.benchmark.measurements import exactness, playing
from worldmodels.benchmark.measurements.driving import TRACKS, leave_playfield, record, wandering
from worldmodels.benchmark.measurements.environments import make, play
from worldmodels.benchmark.measurements.evaluation import UsualLoop, random_agent
from worldmodels.benchmark.measurements.networks import PlainDream, dream_setup, product_peak, step_products
from worldmodels.benchmark.measurements.writing import PlainGPT, plain_training
from worldmodels.errors import RunError
from worldmodels.evolution.tasks import RealTask, TrialWorker
from worldmodels.evolution.trial_setup import TrialSetup

TINY = Settings(pairs=1, seconds=0.001, work=0.004)
SHORT = Settings(work=0.1)
"""For fidelity: the very first frames of a track, zoomed out, differ more than the mean of all may."""
BLANK = BenchmarkFigure("fake", "a fake", "x", ">= 2", "things/s")
FIELDS = {"name", "title", "unit", "target", "rate", "value", "met", "ours", "theirs", "pairs", "skipped", "detail"}


@pytest.fixture
def fakes(monkeypatch):
    """Figures that take no time, in place of the real ones."""

    def stop(settings):
        raise KeyboardInterrupt

    def missing(settings):
        raise Skip("no such engine: install it")

    def install(*names):
        known = {
            "fast": (BLANK, lambda settings: BLANK.found(1.5, False, ours=3.0, theirs=2.0, pairs=(1.0, 1.5, 3.0))),
            "engine": (BLANK, missing),
            "stop": (BLANK, stop),
        }
        chosen = {name: benchmark.Subject(*known[name]) for name in names}
        monkeypatch.setattr(benchmark, "FIGURES", chosen)

    return install


def test_pairs_take_turns_and_give_the_median_ratio():
    calls = []
    ours, theirs = iter([10.0, 40.0, 12.0]), iter([5.0, 4.0, 4.0])
    found = paired(
        lambda seconds: calls.append(("ours", seconds)) or next(ours),
        lambda seconds: calls.append(("theirs", seconds)) or next(theirs),
        Settings(pairs=3, seconds=0.5),
    )
    assert calls == [("ours", 0.5), ("theirs", 0.5)] * 3
    assert found.ratios == (2.0, 10.0, 3.0) and found.ratio == 3.0
    figure = BLANK.timed(found, least=2.0)
    assert (figure.value, figure.met, figure.ours, figure.theirs) == (3.0, True, 12.0, 4.0)
    assert not BLANK.timed(found, least=3.1).met


@pytest.mark.parametrize(("limit", "pairs"), [(1.0, 3), (45.0, 5), (1000.0, 7)])
def test_slow_pairs_stop_at_the_limit_but_not_before_three(limit, pairs):
    now = [0.0]

    def slow(seconds):
        now[0] += 5  # a pair takes 10 seconds
        return 1.0

    assert len(paired(slow, slow, Settings(limit=limit), clock=lambda: now[0]).ratios) == pairs


def test_a_rate_counts_what_was_done_until_the_window_is_over():
    ticks = iter([0.0, 0.6, 1.2, 2.4])
    assert rate(lambda: 30, 2.0, clock=lambda: next(ticks)) == 90 / 2.4


@pytest.mark.parametrize("wrong", [{"pairs": 0}, {"seconds": 0.0}, {"seconds": float("nan")}, {"work": 0.0}])
def test_settings_say_what_is_wrong(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


def test_cores_are_given_back_even_after_a_failure():
    torch_threads = torch.get_num_threads()
    allowed = os.sched_getaffinity(0)
    with pytest.raises(RuntimeError), use_cores(1):
        assert len(os.sched_getaffinity(0)) == 1
        raise RuntimeError
    assert os.sched_getaffinity(0) == allowed and torch.get_num_threads() == torch_threads
    with pytest.raises(Skip, match="cores"), use_cores(10_000):
        pass


def test_a_busy_machine_is_told():
    assert "load" in disturbed({"load": 1.5, "cores": 2})
    assert not disturbed({"load": 0.5, "cores": 2}) and not disturbed({"load": None, "cores": 2})


def test_what_cannot_be_measured_has_its_reason(fakes, capsys):
    fakes("fast", "engine")
    found = measure("engine", Settings())
    assert found.value is None and found.met is None and found.skipped == "no such engine: install it"
    assert main([]) == 0
    said = capsys.readouterr()
    assert "skipped" in said.out and "no such engine" in said.out and "1.5 x" in said.out
    assert "[2/2]" in said.err


def test_envpool_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "envpool", None)
    assert "bench" in measure("envpool", TINY).skipped


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fidelty"], "did you mean `fidelity`"),
        (["--jsn"], "did you mean --json"),
        (["--pairs", "0"], "pairs=0"),
        (["--pairs", "many"], "pairs"),
        (["--seconds=-1"], "seconds=-1"),
    ],
)
def test_a_wrong_name_or_option_is_explained(arguments, said, capsys):
    assert worldmodels(["benchmark", *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and not captured.out


def test_the_list_has_every_name_and_target(capsys):
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [
        "frames",
        "envpool",
        "fidelity",
        "equality",
        "evaluation",
        "dream",
        "generation",
        "vision",
        "generative",
        "writing",
        "reading",
        "memory",
        "optimiser",
        "workers",
        "play",
        "device-dreams",
        "device-many",
        "device-vision",
        "device-memory",
    ]
    assert [line.split()[0] for line in lines] == names == list(FIGURES)


def test_json_is_one_document_with_every_field(fakes, capsys):
    fakes("fast", "engine")
    assert main(["--json", "--pairs", "5"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["options"] == {"names": ["fast", "engine"], "pairs": 5, "seconds": 2.0}
    known = {"processor", "cores", "memory_gib", "bfloat16", "gpu", "load", "versions", "system"}
    assert known == set(document["machine"])
    assert {"python", "torch", "gymnasium", "numpy", "opencv", "envpool"} <= set(document["machine"]["versions"])
    fast, engine = document["figures"]
    assert set(fast) == set(engine) == FIELDS
    assert fast["value"] == 1.5 and fast["met"] is False and fast["pairs"] == [1.0, 1.5, 3.0]
    assert engine["value"] is None and engine["skipped"]


def test_an_interrupted_run_shows_what_it_has(fakes, capsys):
    fakes("fast", "stop", "engine")
    assert main(["--json"]) == 130
    assert [one["value"] for one in json.loads(capsys.readouterr().out)["figures"]] == [1.5]


@pytest.mark.slow
def test_fidelity_holds_and_notices_a_wrong_frame(monkeypatch):
    found = measure("fidelity", SHORT)
    assert found.met and 0.01 < found.value < 0.6 and found.detail["tracks"] == 5
    draw = FastCarRacing.draw_state_pixels
    monkeypatch.setattr(FastCarRacing, "draw_state_pixels", lambda env: np.minimum(draw(env), 250) + np.uint8(5))
    wrong = measure("fidelity", SHORT)
    assert not wrong.met and wrong.value > 3


@pytest.mark.slow
def test_fidelity_notices_one_bad_frame_and_a_bad_bar(monkeypatch):
    draw = FastCarRacing.draw_state_pixels
    frames = count()
    monkeypatch.setattr(FastCarRacing, "draw_state_pixels", lambda env: draw(env) // (1 + 9 * (next(frames) == 3)))
    assert not measure("fidelity", SHORT).met
    monkeypatch.setattr(FastCarRacing, "draw_state_pixels", draw)

    def without_bar(env):
        frame = draw(env)
        frame[84:] = 60
        return frame

    monkeypatch.setattr(FastCarRacing, "draw_state_pixels", without_bar)
    found = measure("fidelity", SHORT)
    assert not found.met and found.value < 0.6 and found.detail["bar"] > 3


def test_fidelity_goes_on_with_another_track_where_one_ends(monkeypatch):
    monkeypatch.setattr(exactness, "difference", lambda env: exactness.Difference(0.0, 0.0))
    env = FastCarRacing()
    apart = list(
        exactness.differences(env, TRACKS[0], leave_playfield, 185)
    )  # some 310 steps a track, 51 of them all drawn
    assert len(apart) == 185 and env.t < 1


@pytest.mark.slow
def test_equality_holds_and_notices_a_changed_reward_state_or_end(monkeypatch):
    settings = Settings(work=0.05)
    found = measure("equality", settings)
    assert found.met and found.value == 0 and found.detail["frames"] == 6 * 21
    step = CarRacing.step

    def paid(env, action):
        obs, reward, *others = step(env, action)
        return obs, reward + (1e-9 if env.t > 0.2 else 0), *others

    monkeypatch.setattr(CarRacing, "step", paid)
    found = measure("equality", settings)
    assert not found.met and "reward" in found.detail["first_difference"]

    def pushed(env, action):
        env.car.wheels[0].omega += 1e-9
        return step(env, action)

    monkeypatch.setattr(CarRacing, "step", pushed)
    assert "state" in measure("equality", settings).detail["first_difference"]

    def ends(env, action):
        obs, reward, _, *others = step(env, action)
        return obs, reward, env.t > 0.2, *others

    monkeypatch.setattr(CarRacing, "step", ends)
    assert "terminated" in measure("equality", settings).detail["first_difference"]


def test_a_recorded_drive_stays_on_the_road_in_both_environments():
    drive = record(TRACKS[1], 60)
    for name in ("WorldModels/FastCarRacing-v3", "WorldModels/CarRacing-v3"):
        env = make(name)
        env.unwrapped.draw = False
        assert play(env, drive) == 60
        state = dict(zip(env.unwrapped.simulator_state_names, env.unwrapped.simulator_state(), strict=True))
        assert state["on_road"] == 1 and state["speed"] > 10
        env.close()


def test_wandering_is_seeded_and_valid():
    actions = wandering(50, 3, seed=1)
    assert actions.shape == (50, 3, 3) and actions.std(axis=0)[:, 0].min() > 0
    assert (actions == wandering(50, 3, seed=1)).all() and (actions != wandering(50, 3, seed=2)).any()
    space = gym.spaces.Box(np.float32([-1, 0, 0]), np.float32([1, 1, 1]))
    assert all(space.contains(action) for action in actions.reshape(-1, 3))


@pytest.mark.slow
def test_the_usual_loop_drives_like_our_worker():
    agent = random_agent(40)
    worker = TrialWorker(TrialSetup(agent.bundle, 1))
    played = worker(RealTask(agent.parameters, [(0, TRACKS[0])], training=False)).played[0]
    worker.close()
    loop = UsualLoop(agent, 40)
    loop.env.close()
    loop.env = make("WorldModels/FastCarRacing-v3")  # gymnasium's tells no state
    assert loop.play(TRACKS[0]) == played.frames == 40
    np.testing.assert_allclose(loop.env.unwrapped.simulator_state(), played.state, rtol=0.02, atol=0.05)
    loop.env.close()


def test_the_plain_dream_is_as_long_and_of_the_same_kind_as_ours():
    setup = dream_setup(6)
    returns = PlainDream(setup).play()
    assert returns.shape == (len(setup.parameters), setup.dreams) and bool(torch.isfinite(returns).all())
    assert step_products(setup.memory) == 4 * 256 * (32 + 3 + 256) + 256 * (3 * 32 * 5 + 2) + 288 * 3
    assert product_peak(0.001, size=64) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["frames", "evaluation", "dream", "generation", "vision", "generative"])
def test_a_timed_figure_runs_from_end_to_end(name):
    found = measure(name, TINY)
    assert found.value > 0 and found.met in (True, False) and len(found.pairs) == 1 and not found.skipped
    assert found.ours > 0 and found.theirs > 0
    json.dumps(found.detail, allow_nan=False)


def test_driving_is_measured_in_each_world(monkeypatch):
    def missing(graph):
        raise RunError("onnx is missing")

    monkeypatch.setattr(playing.RunParts, "of", lambda run: drivable())
    monkeypatch.setattr(playing, "graph_bytes", missing)
    found = measure("play", TINY)
    assert found.theirs == 25 and found.value == found.ours / 25 and found.ours == found.detail["both"]
    assert found.detail["dream"] > 0 < found.detail["real"] and found.detail["exported"] == "onnx is missing"


@pytest.mark.slow
def test_the_memory_figure_reads_both_children():
    found = measure("memory", TINY)
    assert found.detail["resets"] == [1, 2] and all(size > 50 for size in found.detail["ours_mib"])
    assert abs(found.value) < 100


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.ray
def test_a_second_worker_is_measured_and_modelled():
    found = measure("workers", TINY)
    assert found.value > 0 and found.detail["worse"] in ("evaluation", "collection")
    for stage in ("evaluation", "collection"):
        facts = found.detail[stage]
        assert facts["setup_bytes"] > 100 and facts["item_bytes"] > 0 and facts["result_bytes"] > 0
        assert 0 < facts["driver_seconds"] and set(facts["modelled_efficiency"]) == {"16", "64", "256"}
    assert found.detail["evaluation"]["setup_bytes"] > 1e6  # with all networks


def test_writing_with_a_cache_gives_the_same_text():
    found = measure("writing", TINY)
    assert found.detail["same_text"] and found.ours > 0 and found.theirs > 0


@pytest.mark.slow
def test_reading_trains_models_of_one_size_both_ways():
    found = measure("reading", TINY)
    assert found.ours > 0 and found.theirs > 0
    plain, model = PlainGPT(), GPT2(GPT2Config(vocabulary=65, context=64))
    counts = [sum(each.numel() for each in module.parameters()) for module in (plain, model)]
    assert counts[0] == counts[1]
    torch.manual_seed(0)
    losses = list(islice(plain_training(torch.zeros(12, 64, dtype=torch.int64)), 6))
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_the_optimiser_is_measured_at_all_sizes(monkeypatch):
    monkeypatch.setattr(sys.modules["worldmodels.benchmark.measurements.optimiser"], "POPULATIONS", (4, 8, 16))
    found = measure("optimiser", TINY)
    assert found.value > 0 and len(found.detail["milliseconds"]) == 2 * 2 * 3


def test_envpool_runs_from_end_to_end_where_it_is_installed():
    pytest.importorskip("envpool")
    found = measure("envpool", TINY)
    assert found.skipped or found.ours > 0
