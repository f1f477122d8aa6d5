"""A finished lap ends an episode, but is no loss: from the environment to what the memory learns."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import ActionSpec
from envs import CAR_RACING, EnvConfig, VectorEnv, make_env
from generative import LatentSpec
from worldmodels.accuracy.data import encode
from worldmodels.memories.sequences import latent_targets
from worldmodels.memories.targets import RewardTargetConfig, TerminationTargetConfig
from worldmodels.rollouts.episode import EpisodeFile, encode_episode, write_episode
from worldmodels.rollouts.play import Play, play
from worldmodels.vision.latent_files import LatentFile, encode_episode_latents

ENV = TerminationTargetConfig(type="env")


class Ends:
    """Rests, and at its third action brings the episode to its end: a finished lap, or off the playfield."""

    def __init__(self, env, lap):
        self.base, self.lap, self.steps = env.envs[0].unwrapped, lap, 0

    def begin(self, slot, key):
        self.steps = 0

    def act(self, obs, active):
        self.steps += 1
        if self.steps == 3 and self.lap:
            self.base.new_lap = True
        elif self.steps == 3:
            self.base.car.hull.position = (1e4, 0)
        return np.zeros((1, 3), dtype=np.float32)


class Blank:
    """A vision whose latents are all zero."""

    latent_spec = LatentSpec("continuous", 2)

    def encode(self, frames):
        return torch.zeros(len(frames), 2), torch.ones(len(frames), 2)

    def loss(self, obs, generator):
        raise AssertionError("nobody trains it")

    def diagnose(self, obs, mean_frame=None):
        raise AssertionError("nobody judges it")


def ended(config, lap):
    env = VectorEnv([make_env(config, training=True)])
    spec = ActionSpec.from_space(env.single_action_space)
    [(_, played)] = play(env, Ends(env, lap), spec, [Play(3)], record=True)
    env.close()
    return played


@pytest.mark.parametrize("env_id", CAR_RACING[:2])
@pytest.mark.parametrize("lap", [True, False])
def test_a_lap_is_recorded_as_a_success_and_taught_as_no_end(tmp_path, env_id, lap):
    config = EnvConfig(id=env_id, size=8, action_repeat=2, no_reward_limit=50)
    played = ended(config, lap)
    episode = replace(played.episode, meta={"env": {}})
    assert (played.steps, played.terminated, played.lap) == (3, True, lap)
    assert (episode.terminated, episode.goal_reached, episode.lost) == (True, lap, not lap)
    write_episode(tmp_path / "episode.zip", encode_episode(episode))
    file = EpisodeFile(tmp_path / "episode.zip")
    assert file.meta["goal_reached"] == lap and file.read().lost is not lap
    encode_episode_latents(file, Blank(), tmp_path / "latents.safetensors")
    latents = LatentFile(tmp_path / "latents.safetensors")
    taught = latent_targets(latents, RewardTargetConfig(), ENV)["termination"].tolist()
    assert taught == encode(file, Blank(), ENV).termination.tolist() == [0, 0, 0 if lap else 1]


def test_the_next_episode_forgets_the_lap():
    env = VectorEnv([make_env(EnvConfig(id=CAR_RACING[0], size=8))])
    env.reset(seed=[3])
    env.envs[0].unwrapped.new_lap = True
    assert env.step(np.zeros((1, 3), np.float32))[4]["goal_reached"].tolist() == [True]
    env.reset(seed=[3])
    assert not env.envs[0].unwrapped.goal_reached
    assert env.step(np.zeros((1, 3), np.float32))[4]["goal_reached"].tolist() == [False]


class Arrives(gym.Wrapper):
    """Ends at the second step and calls that a success, which the environment itself knows nothing of."""

    goal_reached = False

    def step(self, action):
        obs, reward, _, truncated, info = self.env.step(action)
        self.goal_reached = obs[0, 0, 0] == 2  # the toy's step counter
        return obs, reward, bool(self.goal_reached), truncated, info


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_wrapper_may_declare_success(wrapped):
    env = make_env(EnvConfig(id="WorldModels/Toy-v0"))
    env.env = Arrives(env.env) if wrapped else env.env
    vector = VectorEnv([env])
    vector.reset(seed=[0])
    for _ in range(2):
        _, _, terminated, _, infos = vector.step(np.zeros((1, 3), np.float32))
    assert infos["goal_reached"].tolist() == terminated.tolist() == [wrapped]
