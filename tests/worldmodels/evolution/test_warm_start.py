import dataclasses
import json
import shutil

import numpy as np
import pytest

from scripts.stages import evaluate, evolve, train_vision
from tests.small import small_config
from worldmodels import Run, RunError
from worldmodels.agent.trained import load_bundle
from worldmodels.evolution.warm_start import imitate, least_squares, read_along, same_parts
from worldmodels.files import read_lines
from worldmodels.rollouts.dataset import episode_files


def play(stage, run):
    for _ in stage(run):
        pass
    return run


def start_from(trained, tmp_path, old, **changes):
    """A copy of the trained run that has not evolved yet and is going to start from `old`."""
    shutil.copytree(trained.path, tmp_path / "new")
    shutil.rmtree(tmp_path / "new" / "controller", ignore_errors=True)
    evolution = {"start": str(old.path), **changes.pop("evolve", {})}
    return Run.create(tmp_path / "new", small_config(evolve=evolution, **changes))


def retrained(run, seed):
    """The same run with another vision, and the memory's own part left as it is."""
    shutil.rmtree(run.path / "vision")
    run.config = dataclasses.replace(run.config, seed=seed)
    return play(train_vision, run)


def test_least_squares_finds_a_linear_map_and_says_how_well():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2000, 5)) + 3.0
    wanted = features @ rng.normal(size=(5, 2)) + (1.0, -2.0)
    weights, explained = least_squares(features, wanted)
    np.testing.assert_allclose(features @ weights[1:] + weights[0], wanted, atol=0.02)
    assert explained == pytest.approx(1.0, abs=1e-4)
    assert least_squares(features, rng.normal(size=(2000, 2)))[1] < 0.05


@pytest.mark.slow
def test_the_same_parts_are_known_and_imitated_exactly(trained, tmp_path):
    old, parameters, _ = load_bundle(play(evolve, trained))
    again, _, _ = load_bundle(Run(trained.path))
    assert same_parts(old, again)
    assert not same_parts(old, dataclasses.replace(old, features=dataclasses.replace(old.features, reads="vision")))
    files = episode_files(trained.folder("collect"))[:3]
    found, explained = imitate(old, parameters, again, files)
    assert explained > 0.99
    features = read_along(old, [file.read() for file in files])
    size = old.spec.size
    ours, theirs = (features @ one[size:].reshape(-1, size) + one[:size] for one in (found, parameters))
    assert np.abs(ours - theirs).max() < 0.1 * np.abs(theirs).max()


@pytest.mark.slow
def test_features_are_those_of_the_recorded_episode_whatever_stands_beside_it(trained):
    bundle, _, _ = load_bundle(play(evolve, trained))
    episodes = [file.read() for file in episode_files(trained.folder("collect"))[:2]]
    long = episodes[1]
    short = dataclasses.replace(
        long, action=long.action[:7], reward=long.reward[:7], obs=long.obs[:8], state=long.state[:8]
    )
    both = read_along(bundle, [episodes[0], short])
    assert len(both) == len(episodes[0].action) + 7
    np.testing.assert_allclose(both[-7:], read_along(bundle, [short]), atol=1e-2)  # bfloat16 at another width
    np.testing.assert_allclose(both[:-7], read_along(bundle, [episodes[0]]), atol=1e-2)


@pytest.mark.slow
def test_evolution_begins_at_the_old_controller_and_counts_what_it_cost(trained, tmp_path):
    old = play(evolve, Run.create(shutil.copytree(trained.path, tmp_path / "old"), small_config()))
    _, parameters, _ = load_bundle(old)
    optimiser = {"population": 5, "sigma": 1e-9}
    new = play(evaluate, play(evolve, start_from(trained, tmp_path, old, evolve={"optimiser": optimiser})))
    _, begun, _ = load_bundle(new)
    np.testing.assert_allclose(begun, parameters, atol=1e-6)
    spent = old.done("evolve")["env_frames"] + old.done("collect")["env_frames"]
    assert new.done("evolve")["start_frames"] == spent
    own = new.done("evolve")["env_frames"] + new.done("collect")["env_frames"]
    assert new.done("evaluate")["env_frames_before"] == spent + own


@pytest.mark.slow
def test_a_stopped_evolution_with_a_start_goes_on_to_the_same_numbers(trained, tmp_path):
    old = play(evolve, Run.create(shutil.copytree(trained.path, tmp_path / "old"), small_config()))
    whole = play(evolve, start_from(trained, tmp_path / "a", old))
    stopped = start_from(trained, tmp_path / "b", old)
    stage = evolve(stopped)
    for progress in stage:
        if progress.done:
            break
    stage.close()
    shutil.move(old.path, tmp_path / "gone")  # what it began at is kept in the run itself
    play(evolve, Run(stopped.path))
    logs = [read_lines(run.folder("evolve") / "generations.jsonl") for run in (whole, stopped)]
    assert [entry["scores"] for entry in logs[0]] == [entry["scores"] for entry in logs[1]]


@pytest.mark.long
@pytest.mark.slow
def test_a_retrained_vision_is_bridged_by_imitation(trained, tmp_path):
    old = play(evolve, Run.create(shutil.copytree(trained.path, tmp_path / "old"), small_config()))
    new = retrained(start_from(trained, tmp_path, old, features={"reads": "vision"}), seed=0)
    play(evolve, new)
    assert (new.folder("evolve") / "start.safetensors").exists()
    assert 0.3 < json.loads((new.folder("evolve") / "start.json").read_text())["explained"] < 1.0


@pytest.mark.slow
def test_what_cannot_be_imitated_is_said(trained, tmp_path):
    bundle, parameters, _ = load_bundle(play(evolve, trained))
    files = episode_files(trained.folder("collect"))[:1]
    deep = dataclasses.replace(bundle, controller=dataclasses.replace(bundle.controller, type="mlp"))
    with pytest.raises(RunError, match="only linear"):
        imitate(deep, parameters, bundle, files)
    other = dataclasses.replace(bundle, spec=dataclasses.replace(bundle.spec, low=tuple(-9.0 for _ in bundle.spec.low)))
    with pytest.raises(RunError, match="cannot be imitated"):
        imitate(bundle, parameters, other, files)
    with pytest.raises(RunError, match="no episodes"):
        imitate(bundle, parameters, bundle, [])
