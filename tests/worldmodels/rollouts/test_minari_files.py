"""Rollouts to Minari and back; the package itself reads what is written."""

import sys

import gymnasium as gym
import minari
import numpy as np
import pytest
from minari.data_collector import EpisodeBuffer

from scripts.cli import main
from scripts.collect import collect
from scripts.export import main as export
from tests.small import small_config
from worldmodels import Run, RunError
from worldmodels.agent.build import env_shape
from worldmodels.rollouts.dataset import episode_files
from worldmodels.rollouts.minari_files import MinariEpisodes
from worldmodels.run.preflight import check_plan
from worldmodels.seeds import TRAINING

TINY = {"episodes": 3, "max_frames": 8}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))


def recorded(folder, **changes):
    run = Run.create(folder, small_config(collect={**TINY, **changes.pop("collect", {})}, **changes))
    list(collect(run))
    return run


def as_told(file):
    episode = file.read()
    arrays = [getattr(episode, name) for name in ("obs", "action", "reward", "state")]
    told = [(each.dtype, each.shape, each.tobytes()) for each in arrays]
    meta = {key: episode.meta.get(key) for key in ("policy", "policy_seed", "env_frames")}
    return told, episode.terminated, episode.truncated, episode.track, episode.goal_reached, meta, episode.meta["env"]


@pytest.mark.parametrize(("name", "discrete"), [("toy/mine-v0", False), ("./mine-v0", False), ("toy/mine-v0", True)])
def test_there_and_back_nothing_changes(tmp_path, name, discrete, capsys):
    env = {"env": {"options": {"size": 32, "discrete": True}}} if discrete else {}
    before = recorded(tmp_path / "before", **env)
    assert main(["export", str(before.path), "--minari", name]) == 0
    assert "3 episodes" in capsys.readouterr().out
    after = recorded(tmp_path / "after", collect={"extends": f"minari:{name}", "episodes": 0}, **env)
    files = [episode_files(run.folder("collect")) for run in (before, after)]
    assert [as_told(file) for file in files[0]] == [as_told(file) for file in files[1]]
    assert after.done("collect")["env_frames"] == before.done("collect")["env_frames"]


def test_minari_reads_what_is_written(tmp_path):
    run = recorded(tmp_path / "run")
    assert main(["export", str(run.path), "--minari", "toy-v0"]) == 0
    found = minari.load_dataset("toy-v0")
    ours = [file.read() for file in episode_files(run.folder("collect"))]
    assert found.total_episodes == 3 and found.total_steps == sum(map(len, ours))
    for theirs, episode in zip(found.iterate_episodes(), ours, strict=True):
        assert np.array_equal(theirs.observations, episode.obs) and np.array_equal(theirs.rewards, episode.reward)
        assert np.array_equal(theirs.infos["state"], episode.state)
        assert theirs.truncations.tolist() == [False] * (len(episode) - 1) + [episode.truncated]
    seeds = [about["seed"] for about in found.storage.get_episode_metadata(range(3))]
    assert seeds == [episode.track for episode in ours]
    with pytest.raises(RunError, match="exists; choose another name"):
        export([str(run.path), "--minari", "toy-v0"])


def foreign(name, shape, seeds, size=40, actions=None):
    """A data set that somebody else recorded: larger frames, float64 rewards, some seeds unknown."""
    rng = np.random.default_rng(0)
    buffers = [
        EpisodeBuffer(
            seed=seed,
            observations=rng.integers(0, 256, (6, size, size, 3), dtype=np.uint8),
            actions=np.stack([shape.spaces[1].sample() for _ in range(5)]),
            rewards=rng.normal(size=5).tolist(),
            terminations=[False] * 5,
            truncations=[False] * 5,
        )
        for seed in seeds
    ]
    frames = gym.spaces.Box(0, 255, (size, size, 3), np.uint8)
    minari.create_dataset_from_buffers(
        name, buffers, observation_space=frames, action_space=actions or shape.spaces[1], data_format="hdf5",
        description="x", author="x", author_email="x", code_permalink="x", algorithm_name="x",
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning:minari.*")
def test_a_foreign_data_set_is_taken_in_at_the_models_size_without_test_tracks(tmp_path):
    config = small_config()
    foreign("theirs-v0", env_shape(config.env), [None, 5, 10_003, 2_000_000])
    run = recorded(tmp_path / "run", collect={"extends": "minari:theirs-v0", "episodes": 0})
    found = [file.read() for file in episode_files(run.folder("collect"))]
    assert [episode.track for episode in found] == [TRAINING.start, 2_000_000]
    assert {episode.obs.shape for episode in found} == {(6, config.env.size, config.env.size, 3)}
    assert all(episode.truncated and not episode.terminated and episode.reward.dtype == np.float32 for episode in found)
    assert MinariEpisodes("theirs-v0", config.env, env_shape(config.env)).left_out == 2


@pytest.mark.filterwarnings("ignore::UserWarning:minari.*")
def test_what_cannot_be_taken_in_is_refused_before_anything_is_recorded(tmp_path):
    def refused(name, **env):
        with pytest.raises(RunError, match=f"collect.extends=minari:{name}") as caught:
            check_plan(small_config(collect={"extends": f"minari:{name}"}, env=env), tmp_path / "run")
        return str(caught.value)

    assert "`minari download nowhere-v0`" in refused("nowhere-v0")
    foreign("theirs-v0", env_shape(small_config().env), [None], actions=gym.spaces.Discrete(3))
    assert "has actions Discrete(3)" in refused("theirs-v0")
    mine = recorded(tmp_path / "mine")
    assert main(["export", str(mine.path), "--minari", "mine-v0"]) == 0
    assert "action_repeat=1; this run has 2" in refused("mine-v0", action_repeat=2)


def test_a_name_that_minari_does_not_take_and_a_missing_package(tmp_path, monkeypatch, capsys):
    run = recorded(tmp_path / "run")
    assert main(["export", str(run.path), "--minari", "mine"]) != 0
    assert "such as mine-v0" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert main(["export", str(run.path), "--minari", "mine-v0"]) != 0
    assert "pip install 'minari[hdf5]'" in capsys.readouterr().err
    assert not (tmp_path / "minari").exists() or not any((tmp_path / "minari").iterdir())


def test_an_agent_without_rollouts_is_told_so(capsys):
    assert main(["export", "pretrained", "--minari", "mine-v0"]) == 1
    assert "holds no episodes: run `worldmodels collect` first" in capsys.readouterr().err
