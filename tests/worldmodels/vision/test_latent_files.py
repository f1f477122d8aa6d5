import dataclasses

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from scripts.stages import collect, evolve, train_memory, train_vision
from tests.small import small_config
from worldmodels import Run, RunError
from worldmodels.agent.trained import load_vision
from worldmodels.memories.sequences import latent_targets
from worldmodels.memories.targets import RewardTargetConfig, TerminationTargetConfig
from worldmodels.rollouts.dataset import episode_files, split
from worldmodels.rollouts.episode import EpisodeFile, encode_episode
from worldmodels.vision.encode import latent_file, latent_path
from worldmodels.vision.latent_files import LatentFile, encode_episode_latents

PROGRESS = RewardTargetConfig(type="progress", window=1)
ENDS = TerminationTargetConfig(type="env")


def encoded(run, tmp_path, **facts):
    """An episode's latents, as recorded in an environment of which other facts hold."""
    episode = episode_files(run.folder("collect"))[0].read()
    episode = dataclasses.replace(episode, meta={**episode.meta, "env": {**episode.meta["env"], **facts}})
    (tmp_path / "episode.zip").write_bytes(encode_episode(episode))
    path = tmp_path / "latents.safetensors"
    encode_episode_latents(EpisodeFile(tmp_path / "episode.zip"), load_vision(run), path)
    return episode, LatentFile(path)


@pytest.mark.parametrize("repeat", [1, 4])
def test_progress_is_read_off_the_recorded_states(trained, tmp_path, repeat):
    episode, file = encoded(trained, tmp_path, action_repeat=repeat)
    names = list(episode.meta["env"]["simulator_state_names"])
    rate = episode.state[1:, names.index("reward_rate")]
    np.testing.assert_allclose(latent_targets(file, PROGRESS, ENDS)["reward"], repeat * rate, rtol=1e-6)
    assert rate.std() > 0


def test_progress_without_a_rate_names_the_field(trained, tmp_path):
    file = encoded(trained, tmp_path, simulator_state_names=["a"] * 8)[1]
    with pytest.raises(RunError, match=r"memory\.reward: type=progress.*choose type=smoothed"):
        latent_targets(file, PROGRESS, ENDS)


def test_latents_of_an_older_version_say_what_to_do(trained, tmp_path):
    file = encoded(trained, tmp_path)[1]
    arrays = load_file(file.path)
    del arrays["worth"]
    file.path.write_bytes(save(arrays, {"track": "1", "terminated": "0"}))
    with pytest.raises(RunError, match=r"no `worth`.*train-memory"):
        latent_targets(file, PROGRESS, ENDS)


def test_latents_say_what_they_are_of(trained):
    first, second = episode_files(trained.folder("collect"))[:2]
    path, other = latent_path(trained, first), latent_path(trained, second)
    content = path.read_bytes()
    assert latent_file(trained, first).steps == first.meta["steps"]
    path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    with pytest.raises(RunError, match=r"holds no latents \(not what was written\).*delete it and run the command"):
        latent_file(trained, first)
    path.write_bytes(other.read_bytes())
    with pytest.raises(RunError, match="latents of another episode: delete it"):
        latent_file(trained, first)
    path.write_bytes(content)
    weights = trained.folder("train-vision") / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(RunError, match="latents of another vision: delete it"):
        latent_file(trained, first)


def test_deleted_latents_are_encoded_again(trained):
    path = latent_path(trained, split(episode_files(trained.folder("collect")))[0][0])
    content = path.read_bytes()
    path.unlink()
    next(progress for progress in evolve(trained) if progress.unit == "generations")
    assert path.read_bytes() == content


@pytest.mark.long
@pytest.mark.slow
def test_a_memory_learns_progress_in_the_rewards_units(tmp_path):
    memory = {"reward": {"type": "progress", "window": 1}, "fit": {"steps": 150}}
    run = Run.create(tmp_path / "run", small_config(vision={"fit": {"steps": 200}}, memory=memory))
    for stage in (collect, train_vision, train_memory):
        for _ in stage(run):
            pass
    assert run.done("train-memory")["reward_explained"] > 0.1  # a wrong scale would be below 0
