import dataclasses
import json

import gymnasium as gym
import numpy as np
import pytest

from envs import (
    ActionRepeat,
    EarlyStop,
    EnvConfig,
    ModelFrame,
    VectorEnv,
    env_facts,
    make_env,
)
from envs.toy import decode

TOY = EnvConfig(id="WorldModels/Toy-v0", crop=(0, 0))


class Grey(gym.Env):
    """The least that is supported: grey images and two choices."""

    observation_space = gym.spaces.Box(0, 255, (40, 50), np.uint8)

    def __init__(self, render_mode=None, action_space=None):
        self.action_space = action_space or gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.integers(0, 256, (40, 50), dtype=np.uint8), {}

    def step(self, action):
        return np.full((40, 50), 10 * action, np.uint8), float(action), False, False, {}


@pytest.fixture(autouse=True)
def registered():
    gym.register("WorldModelsTest/Grey-v0", Grey, disable_env_checker=True)
    yield
    del gym.registry["WorldModelsTest/Grey-v0"]


def wrappers(env):
    found = []
    while isinstance(env, gym.Wrapper):
        found.append(type(env).__name__)
        env = env.env
    return found


def test_defaults_leave_an_environment_as_it_is():
    config = EnvConfig()
    assert (config.id, config.size, config.crop) == ("WorldModels/CarRacing-v3", 64, (0, 0))
    assert (config.action_repeat, config.max_steps, config.limit) == (1, 0, 1000)
    assert config.no_reward_limit == 0


def test_order_of_the_wrappers():
    config = dataclasses.replace(TOY, action_repeat=2, no_reward_limit=100)
    assert wrappers(make_env(config, training=True)) == [
        "ModelFrame", "EarlyStop", "ActionRepeat", "TimeLimit", "OrderEnforcing",
    ]  # fmt: skip
    assert wrappers(make_env(TOY)) == ["ModelFrame", "TimeLimit", "OrderEnforcing"]
    no_stop = dataclasses.replace(TOY, no_reward_limit=0)
    assert wrappers(make_env(no_stop, training=True)) == ["ModelFrame", "TimeLimit", "OrderEnforcing"]


def test_every_setting_arrives():
    config = dataclasses.replace(TOY, size=32, crop=(8, 40), action_repeat=3, max_steps=7, no_reward_limit=5)
    env = make_env(config, training=True)
    frame, stop, repeat = env, env.env, env.env.env
    assert isinstance(frame, ModelFrame) and (frame.size, frame.crop) == (32, (8, 40))
    assert isinstance(stop, EarlyStop) and stop.no_reward_limit == 5
    assert isinstance(repeat, ActionRepeat) and repeat.repeat == 3
    assert env.spec.max_episode_steps == 7
    options = make_env(dataclasses.replace(TOY, size=32, options={"size": 96, "discrete": True}))
    assert options.unwrapped.size == 96 and options.action_space == gym.spaces.Discrete(3)


def test_limits_count_frames_and_zero_is_the_registered_one():
    def length(config):
        env, frames, ended = make_env(config), 0, False
        env.reset(seed=1)
        while not ended:
            *_, terminated, truncated, info = env.step(np.array([0, 0, 1], np.float32))
            frames, ended = frames + info.get("frames", 1), terminated or truncated
        return frames

    assert length(dataclasses.replace(TOY, max_steps=0)) == 50
    assert length(dataclasses.replace(TOY, max_steps=13, action_repeat=4)) == 13
    assert length(dataclasses.replace(TOY, max_steps=80)) == 80  # longer than registered, because it was asked for


def test_frames_of_the_toy_pass_unchanged():
    env = make_env(TOY, render_mode="rgb_array")
    obs, _ = env.reset(seed=21)
    assert decode(obs) == (21, 0) and (obs == env.render()).all()


def test_any_image_environment_works():
    env = make_env(EnvConfig(id="WorldModelsTest/Grey-v0", crop=(0, 0), size=24))
    obs, _ = env.reset(seed=0)
    assert obs.shape == (24, 24, 1) and obs in env.observation_space and env.action_space == gym.spaces.Discrete(2)
    vector = VectorEnv([env])
    vector.reset(seed=[0])
    obs, reward, _, _, infos = vector.step(np.array([1]))
    assert (obs == 10).all() and reward.tolist() == [1.0] and infos["frames"].tolist() == [1]
    assert vector.simulator_states().shape == (1, 0)


def test_gymnasium_s_own_car_racing_works():
    env = VectorEnv([make_env(EnvConfig(id="CarRacing-v3", crop=(0, 84), action_repeat=2))])
    obs, _ = env.reset(seed=[0])
    ours, _ = make_env(EnvConfig(crop=(0, 84))).reset(seed=0)
    assert obs.shape == (1, 64, 64, 3) and (obs[0] == ours).all()
    assert env.step(np.zeros((1, 3), np.float32))[4]["frames"].tolist() == [2]
    assert env.simulator_states().shape == (1, 0)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("WorldModels/CarRacing-v4", "did you mean 'WorldModels/CarRacing-v3'"),
        ("WorldModel/Toy-v0", "did you mean 'WorldModels/Toy-v0'"),
        ("CarRacing", "did you mean"),
        ("zzzzzz", "pprint_registry"),
        ("no_such_module:Env-v0", "no_such_module"),
    ],
)
def test_unknown_ids_get_a_hint(name, hint):
    with pytest.raises(ValueError, match=hint):
        make_env(EnvConfig(id=name))
    with pytest.raises(ValueError, match=hint):
        env_facts(EnvConfig(id=name))


def test_unsupported_spaces_get_the_reason():
    with pytest.raises(ValueError, match=r"id=CartPole-v1.*float32 \(4,\).*supported are uint8 images"):
        make_env(EnvConfig(id="CartPole-v1", crop=(0, 0)))
    grey = EnvConfig(id="WorldModelsTest/Grey-v0", crop=(0, 0))
    for space in (
        gym.spaces.MultiDiscrete([2, 2]),
        gym.spaces.Discrete(2, start=1),
        gym.spaces.Box(0, 1, (2, 2)),
        gym.spaces.Box(-np.inf, np.inf, (2,)),
        gym.spaces.Box(0, 5, (2,), np.int64),
    ):
        gym.spec(grey.id).kwargs["action_space"] = space
        remedy = "envs:BoxActions" if isinstance(space, gym.spaces.Box) else "a wrapper of yours in env.wrappers"
        supported = r"actions are .*supported are bounded float Box of shape \(A,\) and Discrete"
        with pytest.raises(ValueError, match=f"{supported}.*{remedy}"):
            make_env(grey)
        if isinstance(space, gym.spaces.Box):  # the remedy is one
            named = "envs:BoxActions" if space.is_bounded() else "envs:BoxActions {low: -1, high: 1}"
            make_env(dataclasses.replace(grey, wrappers=(named,)))


def test_other_mistakes_get_a_remedy():
    with pytest.raises(ValueError, match=r"options=.*does not take them.*colour"):
        make_env(dataclasses.replace(TOY, options={"colour": 3}))
    with pytest.raises(ValueError, match=r"crop=\(0, 84\).*only 64 rows"):
        make_env(EnvConfig(id="WorldModels/Toy-v0", crop=(0, 84)))
    with pytest.raises(ValueError, match=r"options=\{'size': 3\}: cannot be made; ValueError: size=3"):
        make_env(dataclasses.replace(TOY, options={"size": 3}))


def test_an_environment_without_end_is_cut_after_a_thousand_frames():
    config = EnvConfig(id="WorldModelsTest/Grey-v0", size=8, action_repeat=100, no_reward_limit=2000)
    assert config.limit == 1000 and env_facts(config)["max_steps"] == 1000
    env = make_env(config, training=True)
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(10)] == [False] * 9 + [True]
    assert dataclasses.replace(config, max_steps=30).limit == 30


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"crop": (10, 10)},
        {"crop": (-1, 5)},
        {"crop": (20, 10)},
        {"action_repeat": 0},
        {"max_steps": -1},
        {"no_reward_limit": -1},
        {"wrappers": ("Shown",)},
        {"wrappers": ("strange:Shown {a: }, b",)},
    ],
)
def test_configs_are_checked(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        EnvConfig(**wrong)


def test_facts_of_the_toy():
    facts = env_facts(dataclasses.replace(TOY, max_steps=0, action_repeat=2, options={"discrete": True}))
    assert json.loads(json.dumps(facts)) == facts
    assert facts["id"] == "WorldModels/Toy-v0" and facts["entry_point"] == "envs.toy:Toy"
    assert facts["gymnasium"] == gym.__version__ and facts["track_hash"] is None
    assert (facts["size"], facts["crop"], facts["action_repeat"], facts["max_steps"]) == (64, [0, 0], 2, 50)
    assert facts["action_space"] == "Discrete(3)" and facts["options"] == {"discrete": True}
    assert facts["frame_shape"] == [64, 64, 3] and facts["simulator_state_names"][-1] == "on_road"


def test_facts_of_an_environment_made_by_a_function():
    facts = env_facts(EnvConfig(id="WorldModelsTest/Grey-v0", crop=(0, 0)))
    assert facts["entry_point"] == "Grey" and json.loads(json.dumps(facts)) == facts
    assert facts["simulator_state_names"] == []


@pytest.mark.slow
def test_facts_of_car_racing_fingerprint_its_tracks():
    facts = env_facts(EnvConfig())
    assert facts["box2d"] and len(facts["track_hash"]) == 64
    assert facts["simulator_state_names"][-1] == "on_road" and facts["max_steps"] == 1000
    assert env_facts(EnvConfig(id="CarRacing-v3"))["track_hash"] == facts["track_hash"]
    # Random colours use up random numbers before the track does, so the same seeds give other tracks.
    other = env_facts(EnvConfig(options={"domain_randomize": True}))
    assert other["track_hash"] != facts["track_hash"]
