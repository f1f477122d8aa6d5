import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs import EnvConfig, VectorEnv, make_env
from envs.toy import Toy, decode

CONFIG = EnvConfig(id="WorldModels/Toy-v0", crop=(0, 0), max_steps=20, action_repeat=3)


def toys(count, config=CONFIG, training=False):
    return VectorEnv([make_env(config, training) for _ in range(count)])


def actions_for(env, rng):
    return rng.uniform([-0.3, 0, 0], [0.3, 0.2, 0.3], size=(env.num_envs, 3)).astype(np.float32)


def test_face():
    env = toys(3)
    assert isinstance(env, gym.vector.VectorEnv) and env.num_envs == 3
    assert env.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    assert env.single_observation_space.shape == (64, 64, 3) and env.observation_space.shape == (3, 64, 64, 3)
    assert env.single_action_space.shape == (3,) and env.action_space.shape == (3, 3)
    assert env.simulator_state_names == Toy.simulator_state_names
    made = VectorEnv(lambda: make_env(CONFIG), 2)
    assert made.num_envs == 2 and made.envs[0] is not made.envs[1]
    env.close()


def test_equals_single_environments():
    env, singles = toys(3), [make_env(CONFIG) for _ in range(3)]
    obs, _ = env.reset(seed=[5, 6, 7])
    assert (obs == np.stack([single.reset(seed=5 + index)[0] for index, single in enumerate(singles)])).all()
    rng = np.random.default_rng(1)
    for _ in range(7):
        actions = actions_for(env, rng)
        obs, reward, terminated, truncated, infos = env.step(actions)
        for index, single in enumerate(singles):
            one, one_reward, one_terminated, one_truncated, info = single.step(actions[index])
            assert (obs[index] == one).all() and reward[index] == one_reward
            assert (terminated[index], truncated[index]) == (one_terminated, one_truncated)
            assert infos["frames"][index] == info["frames"]
            assert (env.simulator_states()[index] == single.unwrapped.simulator_state()).all()
    assert truncated.all() and infos["frames"].tolist() == [2, 2, 2]  # 20 frames are 6 * 3 + 2
    assert obs.dtype == np.uint8 and reward.dtype == np.float64 and terminated.dtype == truncated.dtype == bool


def test_slots_rest_until_their_first_reset():
    env = toys(3)
    assert env.finished.all()
    assert (env.simulator_states() == np.zeros((3, len(Toy.simulator_state_names)), np.float32)).all()
    obs, _ = env.reset(seed=[None, 8, None], options={"reset_mask": np.array([False, True, False])})
    assert env.finished.tolist() == [True, False, True]
    assert decode(obs[1]) == (8, 0) and not obs[[0, 2]].any()
    obs, reward, terminated, truncated, infos = env.step(np.full((3, 3), 0.5, np.float32))
    assert decode(obs[1]) == (8, 3) and not obs[[0, 2]].any()
    assert truncated.tolist() == [True, False, True] and not terminated.any()
    assert infos["frames"].tolist() == [0, 3, 0] and reward[0] == reward[2] == 0.0
    states = env.simulator_states()
    assert states.dtype == np.float32 and states[1].any() and not states[[0, 2]].any()


def test_finished_slots_rest_and_only_masked_slots_are_reset():
    env = toys(2)
    env.reset(seed=[1, 2])
    straight = np.tile(np.array([0, 0.5, 0], np.float32), (2, 1))
    for _ in range(4):
        env.step(straight)
    mask = np.array([False, True])
    obs, _ = env.reset(seed=[99, 3], options={"reset_mask": mask})
    assert [decode(frame) for frame in obs] == [(1, 12), (3, 0)]
    for _ in range(3):
        obs, reward, _, truncated, _ = env.step(straight)
    assert truncated.tolist() == [True, False] and decode(obs[0]) == (1, 20) and reward[0] != 0
    last, state = obs[0].copy(), env.simulator_states()[0]
    straight[0] = np.nan  # rows of finished slots are ignored
    obs, reward, _, truncated, infos = env.step(straight)
    assert (obs[0] == last).all() and decode(obs[1]) == (3, 12) and reward[0] == 0.0 and infos["frames"][0] == 0
    assert truncated.tolist() == [True, False] and (env.simulator_states()[0] == state).all()
    obs, _ = env.reset(seed=[4, None], options={"reset_mask": ~mask})
    assert [decode(frame) for frame in obs] == [(4, 0), (3, 12)] and not env.finished.any()


def test_termination_stays_termination():
    env = toys(1, EnvConfig(id="WorldModels/Toy-v0", crop=(0, 0)))
    env.reset(seed=[1])
    for _ in range(60):
        *_, terminated, truncated, _ = env.step(np.array([[1, 0, 0]], np.float32))
    assert terminated.tolist() == [True] and truncated.tolist() == [False]


def test_observations_are_one_array_and_the_rest_is_fresh():
    env = toys(2)
    first, _ = env.reset(seed=[1, 2])
    straight = np.zeros((2, 3), np.float32)
    second, reward, terminated, truncated, _ = env.step(straight)
    third, reward_, terminated_, truncated_, _ = env.step(straight)
    assert first is second is third
    assert reward is not reward_ and terminated is not terminated_ and truncated is not truncated_


def test_two_instances_agree_and_seeds_matter():
    def record(seed):
        env, rng = toys(2), np.random.default_rng(0)
        frames = [env.reset(seed=seed)[0].copy()]
        for _ in range(5):
            frames.append(env.step(actions_for(env, rng))[0].copy())
        return np.stack(frames)

    assert (record([1, 2]) == record([1, 2])).all()
    assert (record(1) == record([1, 2])).all()
    assert (record([1, 2]) != record([1, 3])).any()


def test_a_slot_does_not_depend_on_its_company():
    alone, rng = toys(1), np.random.default_rng(0)
    both = toys(2)
    alone.reset(seed=[3]), both.reset(seed=[7, 3])
    for _ in range(5):
        actions = actions_for(both, rng)
        ours, theirs = alone.step(actions[1:]), both.step(actions)
        assert (ours[0][0] == theirs[0][1]).all() and ours[1][0] == theirs[1][1]


def test_box_actions_are_clipped_and_other_floats_accepted():
    env = toys(2)
    env.reset(seed=[1, 1])
    env.step(np.array([[5, 9, -3], [1, 1, 0]], np.float64))
    states = env.simulator_states()
    assert (states[0] == states[1]).all()


def test_discrete_actions():
    config = EnvConfig(id="WorldModels/Toy-v0", crop=(0, 0), options={"discrete": True})
    env = toys(3, config)
    env.reset(seed=[1, 1, 1])
    env.step(np.array([0, 1, 2]))
    x = env.simulator_states()[:, 0]
    assert x[0] < x[1] < x[2] and x[2] - x[1] == pytest.approx(0.12, abs=1e-6)


def test_early_stop_is_a_truncation():
    env = toys(2, EnvConfig(id="WorldModels/Toy-v0", crop=(0, 0), max_steps=40, no_reward_limit=4), training=True)
    env.reset(seed=[1, 2])
    away, stay = np.array([1, 0, 1], np.float32), np.array([0, 0, 1], np.float32)
    truncated = np.array([False])
    while not truncated.any():
        _, _, _, truncated, _ = env.step(np.stack([away, stay]))
    assert truncated.tolist() == [True, False]


def test_finished_laps_are_reported():
    class Lap(gym.Wrapper):
        def step(self, action):
            obs, reward, _, truncated, info = self.env.step(action)
            return obs, reward, True, truncated, {**info, "lap_finished": True}

    env = VectorEnv([make_env(CONFIG), Lap(make_env(CONFIG))])
    env.reset(seed=[1, 2])
    straight = np.zeros((2, 3), np.float32)
    _, _, terminated, _, infos = env.step(straight)
    assert infos["lap_finished"].tolist() == [False, True] == terminated.tolist()
    assert env.step(straight)[4]["lap_finished"].tolist() == [False, False]


def test_environments_without_state_tell_an_empty_one():
    class Plain(gym.Env):
        observation_space = gym.spaces.Box(0, 255, (16, 16, 3), np.uint8)
        action_space = gym.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            return np.ones((16, 16, 3), np.uint8), {}

    env = VectorEnv(Plain, 2)
    env.reset(seed=0)
    assert env.simulator_states().shape == (2, 0) and env.simulator_state_names == ()


def test_render_gives_a_frame_per_slot():
    env = VectorEnv([make_env(CONFIG, render_mode="rgb_array") for _ in range(2)])
    env.reset(seed=[1, 2])
    assert [decode(frame) for frame in env.render()] == [(1, 0), (2, 0)] and env.render_mode == "rgb_array"


def test_errors_say_what_to_do():
    env = toys(2)
    env.reset(seed=[1, 2])
    with pytest.raises(ValueError, match=r"needs \(2, 3\)"):
        env.step(np.zeros((3, 3), np.float32))
    broken = np.zeros((2, 3), np.float32)
    broken[1, 2] = np.nan
    with pytest.raises(ValueError, match=r"not finite in slots \[1\]"):
        env.step(broken)
    with pytest.raises(ValueError, match="3 seeds for 2 slots"):
        env.reset(seed=[1, 2, 3])
    for mask in (np.array([1, 0]), np.array([True]), [True, False, True]):
        with pytest.raises(ValueError, match="reset_mask"):
            env.reset(seed=[1, 2], options={"reset_mask": mask})
    with pytest.raises(ValueError, match="at least 1"):
        VectorEnv([])
    with pytest.raises(ValueError, match="num_envs=None"):
        VectorEnv(lambda: make_env(CONFIG))
    with pytest.raises(ValueError, match=r"envs\[1\].*differ"):
        VectorEnv([Toy(), Toy(size=32)])
    with pytest.raises(ValueError, match=r"uint8 \(H, W, C\)"):
        VectorEnv([gym.make("CartPole-v1")])


def test_options_reach_the_environments_and_are_not_changed():
    seen = []

    class Listening(Toy):
        def reset(self, *, seed=None, options=None):
            seen.append(options)
            return super().reset(seed=seed, options=options)

    env = VectorEnv([Listening(), Listening()])
    options = {"reset_mask": np.array([True, True]), "randomize": False}
    env.reset(seed=[1, 2], options=options)
    assert seen == [{"randomize": False}] * 2 and "reset_mask" in options
