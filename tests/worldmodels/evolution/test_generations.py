import dataclasses
import json
import shutil
import threading
import time

import numpy as np
import psutil
import pytest

from scripts.evolve import worker_setup
from scripts.stages import evolve
from tests.small import small_config
from tests.started import started
from worldmodels import Run, RunError
from worldmodels.agent.trained import assemble, load_bundle
from worldmodels.dream.imagine import BLOCK
from worldmodels.evolution.config import EvolveConfig
from worldmodels.evolution.drive import Cost
from worldmodels.evolution.generations import (
    Trials,
    best_validated,
    next_episodes,
    rank_agreement,
    restore,
)
from worldmodels.evolution.starting_point import starting_point
from worldmodels.evolution.tasks import DreamTask, RealTask, TrialWorker
from worldmodels.files import read_lines
from worldmodels.parallel.open import kept_workers
from worldmodels.parallel.serial import SerialExecutor
from worldmodels.rollouts.dataset import episode_files, recorded_files
from worldmodels.seeds import TEST, TRAINING, VALIDATION, training_tracks
from worldmodels.vision.encode import latent_file

NUMBERS = ("scores", "mean", "agreement", "next_episodes", "frames", "sigma", "validation_frames")


def numbers(run):
    """Everything of a finished evolution but the time it took."""
    log = read_lines(run.folder("evolve") / "generations.jsonl")
    rows = [{name: entry[name] for name in NUMBERS} | {"validation": entry.get("validation")} for entry in log]
    return rows, (run.folder("evolve") / "agent.safetensors").read_bytes()


def finish(run):
    for _ in evolve(run):
        pass
    return numbers(run)


def with_config(run, **changes):
    return Run.create(run.path, small_config(**changes))


def recorded(run, world="dream", **changes):
    return with_config(run, evolve={"world": world, "validation": {"tracks": 3, "record": True}}, **changes)


def copy(run, tmp_path, name):
    shutil.copytree(run.path, tmp_path / name)
    return Run(tmp_path / name)


@pytest.fixture(scope="module")
def workers():
    """Three workers on Ray, the same processes for all tests that ask for as many."""
    with kept_workers():
        yield {"type": "ray", "workers": 3}


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("world", ["real", "dream"])
def test_serial_and_several_workers_give_the_same_numbers_and_recordings(trained, tmp_path, workers, world):

    def content(run):
        files = recorded_files(run.folder("evolve"))
        return [(file.meta, file.read().obs.tobytes(), file.read().action.tobytes()) for file in files]

    serial, run = (recorded(copy(trained, tmp_path, name), world) for name in ("serial", "ray"))
    found = finish(serial)
    run = recorded(run, world, executor=workers)
    assert finish(run) == found and content(run) == content(serial) != []


@pytest.mark.slow
@pytest.mark.parametrize("world", ["real", "dream"])
def test_a_stopped_evolution_goes_on_to_the_same_numbers(trained, tmp_path, world):
    whole = finish(with_config(copy(trained, tmp_path, "whole"), evolve={"world": world}))
    run = with_config(copy(trained, tmp_path, "stopped"), evolve={"world": world})
    for generation in range(3):
        stage = evolve(run)
        for progress in stage:
            if progress.done > generation:
                break
        stage.close()
    assert finish(run) == whole


@pytest.mark.slow
@pytest.mark.ray
def test_a_worker_killed_in_mid_generation_changes_nothing(trained, tmp_path, workers):
    whole = finish(with_config(copy(trained, tmp_path, "whole")))
    run = with_config(copy(trained, tmp_path, "killed"), executor=workers)
    killed = []

    def kill_one_soon():
        time.sleep(0.2)
        workers = [
            child for child in psutil.Process().children(recursive=True) if "RayWorker" in " ".join(child.cmdline())
        ]
        workers[0].kill()
        killed.append(workers[0].pid)

    for progress in evolve(run):
        if progress.done == 1 and not killed:
            threading.Thread(target=kill_one_soon).start()
            time.sleep(0.1)
    assert killed and numbers(run) == whole


@pytest.mark.slow
def test_a_driver_killed_in_mid_generation_goes_on_to_the_same_numbers(trained, tmp_path):
    changes = {"evolve": {"generations": 6}}
    whole = finish(with_config(copy(trained, tmp_path, "whole"), **changes))
    run = with_config(copy(trained, tmp_path, "killed"), **changes)
    log = run.folder("evolve") / "generations.jsonl"
    driver = started(["evolve", str(run.path)], tmp_path / "said.txt")
    while not log.exists() or len(log.read_text().splitlines()) < 2:
        assert driver.is_alive()
        time.sleep(0.01)
    driver.kill()
    driver.join()
    assert 2 <= len(read_lines(log)) < 6 and run.done("evolve") is None
    assert finish(run) == whole


@pytest.mark.slow
def test_validation_is_recorded_as_it_was_driven(trained):
    run = recorded(trained)
    finish(run)
    log = [entry for entry in read_lines(run.folder("evolve") / "generations.jsonl") if "validation" in entry]
    files = recorded_files(run.folder("evolve"))
    assert [entry["generation"] for entry in log] == [1, 2] and len(files) == 6
    tracks = [file.meta["track"] for file in files]
    assert tracks[:3] == tracks[3:] and len(set(tracks)) == 3 and all(track in TRAINING for track in tracks)
    returns = [float(file.read().reward.sum(dtype=np.float64)) for file in files]
    for entry, mine in zip(log, (returns[:3], returns[3:]), strict=True):
        assert entry["validation"]["mean"] == pytest.approx(np.mean(mine), abs=1e-4) and min(mine) > -500
    assert sum(entry["validation_frames"] for entry in log) == sum(file.meta["env_frames"] for file in files)
    assert (
        run.done("evolve")["chosen_generation"] == max(log, key=lambda entry: entry["validation"]["mean"])["generation"]
    )


@pytest.mark.slow
def test_a_log_with_a_gap_is_refused(trained):
    run = with_config(trained)
    path = run.folder("evolve") / "generations.jsonl"
    finish(run)
    (run.folder("evolve") / "done.json").unlink()
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + lines[2])
    with pytest.raises(RunError, match="has gaps"):
        next(evolve(run))


@pytest.mark.slow
def test_candidates_share_tracks_and_generations_do_not(trained, monkeypatch):
    seen = []
    original = TrialWorker.__call__

    def spy(self, task):
        if isinstance(task, RealTask) and task.training:
            seen.append({track for _, track in task.pairs})
        return original(self, task)

    monkeypatch.setattr(TrialWorker, "__call__", spy)
    finish(with_config(trained))
    per_generation = [training_tracks(0, 1, generation, 2) for generation in range(3)]
    assert set().union(*seen) == set().union(*map(set, per_generation))
    assert len(set().union(*map(set, per_generation))) == 6


@pytest.mark.slow
def test_a_score_does_not_depend_on_how_trials_are_cut(trained):
    run = with_config(trained, evolve={"world": "dream"})
    bundle = assemble(run, [latent_file(run, file) for file in episode_files(run.folder("collect"))])
    parameters = np.random.default_rng(0).normal(size=(5, bundle.build_controller().parameters_size))
    executor = SerialExecutor(TrialWorker, worker_setup(run, bundle))
    found = [
        Trials(executor, width, 4).real_scores(parameters, [3, 1_000_001, 9], training, Cost())
        for width, training in ((4, True), (7, True), (15, True), (4, False))
    ]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    trials = Trials(executor, 4, 4)
    together = trials.dream_scores(parameters, [1, 2, 3], Cost())
    assert together.shape == (5, 3)
    np.testing.assert_array_equal(together[4:], trials.dream_scores(parameters[4:], [1, 2, 3], Cost()))
    many = np.repeat(parameters, 4, axis=0).astype(np.float32)
    assert len(many) > BLOCK
    (tried,) = executor.map([DreamTask(many, [1, 2, 3])])
    np.testing.assert_array_equal(tried.dreamt, np.repeat(together, 4, axis=0))


@pytest.mark.slow
def test_steering_costs_in_training_only(trained):
    run = with_config(trained, evolve={"action_cost": 0.25})
    bundle = assemble(run, [latent_file(run, file) for file in episode_files(run.folder("collect"))])
    parameters = np.random.default_rng(0).normal(size=(3, bundle.build_controller().parameters_size))
    executor = SerialExecutor(TrialWorker, worker_setup(run, bundle))
    free, charged = Trials(executor, 4, 4), Trials(executor, 4, 4, run.config.evolve.action_cost)
    tracks, pairs = [3, 1_000_001], [(row, track) for track in (3, 1_000_001) for row in range(3)]
    ((_, tried),) = executor.run([RealTask(parameters.astype(np.float32), pairs, True)])
    effort = np.array([played.effort for played in tried.played]).reshape(2, 3).T
    assert (effort > 0).all()
    gap = free.real_scores(parameters, tracks, True, Cost()) - charged.real_scores(parameters, tracks, True, Cost())
    np.testing.assert_allclose(gap, 0.25 * effort)
    measured = [each.real_scores(parameters, tracks, False, Cost()) for each in (free, charged)]
    np.testing.assert_array_equal(*measured)


@pytest.mark.slow
@pytest.mark.parametrize("world", ["real", "dream"])
def test_evolution_charges_what_the_configuration_says(trained, tmp_path, world):
    changes = {"world": world, "generations": 1}
    free = finish(with_config(copy(trained, tmp_path, "free"), evolve=changes))[0]
    charged = finish(with_config(copy(trained, tmp_path, "charged"), evolve=changes | {"action_cost": 0.5}))[0]
    assert all(np.subtract(free[0]["scores"], charged[0]["scores"]) > 0)
    if world == "real":
        assert free[0]["frames"] == charged[0]["frames"]


@pytest.mark.slow
def test_evolution_begins_with_the_biases_it_is_given(trained, tmp_path):
    zeros = finish(with_config(copy(trained, tmp_path, "zeros"), evolve={"generations": 1}))[0]
    run = with_config(
        copy(trained, tmp_path, "biased"), evolve={"generations": 1}, controller={"bias": [0.0, 0.5, -2.0]}
    )
    assert finish(run)[0][0]["scores"] != zeros[0]["scores"]
    start = starting_point(
        run, assemble(run, [latent_file(run, file) for file in episode_files(run.folder("collect"))])
    )
    assert start is not None and np.count_nonzero(start) == 2 and start[:3].tolist() == [0.0, 0.5, -2.0]
    with pytest.raises(RunError, match=r"controller\.bias.*its own"):
        small_config(controller={"bias": [0.0, 0.5, -2.0]}, evolve={"start": "runs/other"})


@pytest.mark.slow
def test_what_ships_is_the_best_validated_mean(trained):
    run = with_config(trained)
    finish(run)
    log = read_lines(run.folder("evolve") / "generations.jsonl")
    chosen = json.loads((run.folder("evolve") / "agent.json").read_text())["facts"]["generation"]
    assert chosen == best_validated(log)["generation"] == run.done("evolve")["chosen_generation"]
    assert "validation" in log[-1]  # the last one is always validated
    assert run.done("evolve")["env_frames"] == sum(entry["frames"] + entry["validation_frames"] for entry in log)


@pytest.mark.slow
def test_a_log_that_leads_elsewhere_here_is_refused(trained, tmp_path):
    """As one does that was written on another kind of machine."""
    run = copy(trained, tmp_path, "moved")
    finish(with_config(run, evolve={"generations": 2}))
    log = read_lines(run.folder("evolve") / "generations.jsonl")
    config, size, seed = run.config.evolve, load_bundle(run)[0].build_controller().parameters_size, run.config.seed
    restore(config, size, seed, log)
    log[0]["scores"] = log[0]["scores"][::-1]
    with pytest.raises(RunError, match=r"another distribution here.*another kind of machine"):
        restore(config, size, seed, log)


@pytest.mark.slow
def test_the_top_k_are_measured_again_on_further_tracks(trained, tmp_path):
    changes = {"generations": 4, "validation": {"every": 1, "top_k": 3, "top_k_tracks": 5}}
    run = with_config(trained, evolve=changes)
    finish(run)
    log, facts = read_lines(run.folder("evolve") / "generations.jsonl"), run.done("evolve")
    ranked = sorted(log, key=lambda entry: -entry["validation"]["mean"])
    assert list(facts["top_k"]) == [str(entry["generation"]) for entry in ranked[:3]]

    bundle, parameters, said = load_bundle(run)
    trials = Trials(SerialExecutor(TrialWorker, worker_setup(run, bundle)), 4, 4)
    again, cost = {}, Cost()
    for entry in ranked[:3]:
        before = log[: entry["generation"] + 1]
        mean = np.float32(restore(run.config.evolve, len(parameters), run.config.seed, before).mean)
        again[entry["generation"]] = (trials.real_scores(mean[None], VALIDATION[16:21], False, cost)[0].mean(), mean)
        assert facts["top_k"][str(entry["generation"])]["mean"] == again[entry["generation"]][0]
    chosen = max(again, key=lambda generation: again[generation][0])
    assert chosen == facts["chosen_generation"] == said["generation"]
    np.testing.assert_array_equal(parameters, again[chosen][1])
    assert facts["validation"] == facts["top_k"][str(chosen)]
    assert facts["validation"]["episodes"] == 5
    assert facts["validation_frames"] == sum(entry["validation_frames"] for entry in log) + cost.frames
    assert facts["env_frames"] == sum(entry["frames"] for entry in log) + facts["validation_frames"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"reads": "vision"},
        {"reads": "frame-stack"},
        {"memory": "untrained"},
        {"memory": "shuffled"},
    ],
)
@pytest.mark.parametrize("world", ["real", "dream"])
def test_controls_run_in_both_worlds(trained, changes, world):
    run = with_config(trained, features=changes, evolve={"world": world, "generations": 1})
    rows, _ = finish(run)
    assert len(set(rows[0]["scores"])) > 1


@pytest.mark.slow
def test_an_untrained_memory_is_another_one(trained, tmp_path):
    one = finish(with_config(copy(trained, tmp_path, "a"), features={"memory": "untrained"}, evolve={"generations": 1}))
    other = finish(with_config(copy(trained, tmp_path, "b"), evolve={"generations": 1}))
    assert one[0][0]["scores"] != other[0][0]["scores"]


@pytest.mark.parametrize(
    ("candidates", "tracks", "workers", "expected"),
    [(8, 4, 2, [16, 16]), (8, 4, 3, [11, 11, 10]), (3, 1, 8, [1, 1, 1]), (40, 2, 1, [32, 32, 16])],
)
def test_every_worker_gets_one_task_unless_that_would_put_too_much_at_risk(candidates, tracks, workers, expected):
    seen = []

    class Executor(SerialExecutor):
        def run(self, tasks):
            seen.extend(tasks)
            return iter(())

    executor = Executor(lambda setup: None, None)
    executor.workers = workers
    trials = Trials(executor, 4, 4)
    trials.real_scores(np.arange(candidates, dtype=float)[:, None], range(100, 100 + tracks), True, Cost())
    assert [len(task.pairs) for task in seen] == expected  # at most 8 batches of 4
    played = [(int(task.parameters[row, 0]), track) for task in seen for row, track in task.pairs]
    assert sorted(played) == [(one, 100 + track) for one in range(candidates) for track in range(tracks)]


def test_more_episodes_when_rankings_disagree():
    config = EvolveConfig(episodes=4, agreement=0.5)
    assert next_episodes(config, 4, [0.1, 0.2]) == 4  # three generations are needed
    assert next_episodes(config, 4, [0.1, 0.2, 0.3]) == 8
    assert next_episodes(config, 4, [0.1, 0.9, 0.9]) == 4
    assert next_episodes(config, 8, [0.0, 0.0, 0.0]) == 8  # once
    assert next_episodes(dataclasses.replace(config, agreement=0.0), 4, [-1.0] * 3) == 4


def test_rank_agreement_of_signal_and_noise():
    rng = np.random.default_rng(0)
    quality = np.arange(64.0)[:, None]
    assert rank_agreement(quality + 0.01 * rng.normal(size=(64, 4))) == pytest.approx(1, abs=1e-3)
    assert abs(rank_agreement(rng.normal(size=(64, 4)))) < 0.35
    assert rank_agreement(np.zeros((8, 4))) == 0.0


def test_the_ranges_of_tracks_are_disjoint():
    assert TEST.stop <= VALIDATION.start < VALIDATION.stop <= TRAINING.start
    drawn = training_tracks(3, 1, 5, 50)
    assert len(set(drawn)) == 50 and all(track in TRAINING for track in drawn)
    assert drawn == training_tracks(3, 1, 5, 50) != training_tracks(4, 1, 5, 50)
