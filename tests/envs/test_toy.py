import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import envs  # noqa: F401  registers the ids
from envs.toy import Toy, decode

OFFSET = Toy.simulator_state_names.index("lateral_offset")


def play(env, policy, seed):
    """Return of one episode and the number of its steps."""
    obs, _ = env.reset(seed=seed)
    score, steps, ended = 0.0, 0, False
    while not ended:
        obs, reward, terminated, truncated, _ = env.step(policy(env.unwrapped, obs))
        score, steps, ended = score + reward, steps + 1, terminated or truncated
    return score, steps


def proportional(toy, obs):
    steer = np.clip(-6 * toy.simulator_state()[OFFSET], -1, 1)
    return np.array([steer, 0.5, 0], np.float32)


def proportional_discrete(toy, obs):
    offset = toy.simulator_state()[OFFSET]
    return 1 - int(np.sign(offset)) * int(abs(offset) > 0.05)


def seen_by_pixels(toy, obs):
    """Steers by the mean column of the road's pixels around the car's row, relative to the middle."""
    rows = obs[28:44].astype(float)
    road = np.abs(rows - 100).sum(axis=2) < 30
    if not road.any():
        return np.array([0, 0, 1], np.float32)
    column = (road * np.arange(64)).sum() / road.sum() - 31.5
    return np.array([np.clip(column / 4, -1, 1), 0.5, 0], np.float32)


def scores(policy, count=20, **options):
    env = gym.make("WorldModels/Toy-v0", disable_env_checker=True, **options)
    return np.array([play(env, policy, seed)[0] for seed in range(count)])


def test_registered_with_its_interface():
    spec = gym.spec("WorldModels/Toy-v0")
    assert spec.max_episode_steps == 50
    toy = Toy()
    assert toy.action_space == gym.spaces.Box(np.array([-1, 0, 0], np.float32), np.array([1, 1, 1], np.float32))
    assert Toy(discrete=True).action_space == gym.spaces.Discrete(3)
    assert toy.observation_space == gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)
    assert Toy.simulator_state_names[-1] == "on_road"
    assert Toy.action_squash == ("tanh", "tanh", "relu-tanh")


@pytest.mark.parametrize("size", [16, 64, 96])
def test_every_frame_tells_its_seed_and_step(size):
    toy = Toy(size=size)
    for seed in (0, 7, 2**24 - 1, 123_456_789):
        obs, _ = toy.reset(seed=seed)
        assert obs.shape == (size, size, 3) and decode(obs) == (seed % 2**24, 0)
        for t in range(1, 260):
            obs, *_ = toy.step(np.array([0.1, 0.3, 0.0], np.float32))
            assert decode(obs) == (seed % 2**24, t)


def test_resets_without_seed_differ_but_follow_from_the_first():
    def seeds():
        toy = Toy()
        return [decode(toy.reset(seed=3 if first else None)[0])[0] for first in (True, False, False)]

    assert seeds() == seeds() and len(set(seeds())) == 3


def test_same_seed_same_episode():
    def record(toy, seed):
        frames = [toy.reset(seed=seed)[0]]
        for t in range(40):
            frames.append(toy.step(np.array([np.sin(t), 0.5, 0.1], np.float32))[0])
        return np.stack(frames)

    used = Toy()
    record(used, 11)
    assert (record(used, 5) == record(Toy(), 5)).all()
    assert (record(Toy(), 5)[:, 1:] != record(Toy(), 6)[:, 1:]).any()


@pytest.mark.slow
def test_driving_well_pays():
    rng = np.random.default_rng(0)
    random = scores(lambda toy, obs: rng.uniform([-1, 0, 0], [1, 1, 1]).astype(np.float32))
    idle = scores(lambda toy, obs: np.zeros(3, np.float32))
    straight = scores(lambda toy, obs: np.array([0, 0.5, 0], np.float32))
    good, seen = scores(proportional), scores(seen_by_pixels)
    assert random.mean() < 0 and idle.mean() < 4 and straight.mean() < 4
    assert good.mean() > 10 and good.min() > random.max() + 5
    assert seen.mean() > 7 and seen.min() > random.max() + 3  # the frames show what it takes


def test_driving_well_pays_with_discrete_actions():
    rng = np.random.default_rng(0)
    random = scores(lambda toy, obs: int(rng.integers(3)), discrete=True)
    assert random.mean() < 0 and scores(proportional_discrete, discrete=True).min() > random.max() + 4


def test_a_linear_code_of_the_frames_knows_the_offset():
    """What makes the task learnable for a small autoencoder and a linear controller."""
    env = gym.make("WorldModels/Toy-v0", disable_env_checker=True)
    rng = np.random.default_rng(0)
    frames, offsets = [], []

    def wander(toy, obs):
        frames.append(obs[::4, ::4, 1].reshape(-1) / 255)
        offsets.append(toy.simulator_state()[OFFSET])
        return rng.uniform([-1, 0, 0], [1, 1, 0.5]).astype(np.float32)

    for seed in range(40):
        play(env, wander, seed)
    x, y = np.stack(frames), np.array(offsets)
    train = len(x) * 3 // 4
    code = (x - x[:train].mean(0)) @ np.linalg.svd(x[:train] - x[:train].mean(0), full_matrices=False)[2][:16].T
    code = np.column_stack([code, np.ones(len(code))])
    weights = np.linalg.lstsq(code[:train], y[:train])[0]
    error = ((code[train:] @ weights - y[train:]) ** 2).mean()
    assert error < 0.5 * y[train:].var()


def test_leaving_the_road_for_long_ends_the_episode():
    toy = Toy()
    toy.reset(seed=1)
    rewards, on_road = [], []
    for _ in range(100):
        _, reward, terminated, truncated, _ = toy.step(np.array([1, 0, 0], np.float32))
        rewards.append(reward)
        on_road.append(toy.simulator_state()[-1])
        if terminated:
            break
    assert terminated and not truncated and len(rewards) < 40
    assert on_road[0] == 1.0 and on_road[-1] == 0.0 and any(0 < share < 1 for share in on_road)
    assert rewards[-1] == pytest.approx(-2.1) and rewards[-2] == pytest.approx(-0.1)


def test_gates_are_rewarded_once_each():
    toy = Toy()
    toy.reset(seed=2)
    large = 0
    for _ in range(50):
        _, reward, *_ = toy.step(proportional(toy, None))
        assert reward < 1.2
        large += reward > 0.5
    assert large == int(toy.simulator_state()[2] / 0.5) > 4


def test_time_limit_truncates():
    env = gym.make("WorldModels/Toy-v0", disable_env_checker=True)
    assert play(env, proportional, 0)[1] == 50


def test_draw_flag():
    toy = Toy(render_mode="rgb_array")
    toy.draw = False
    first, _ = toy.reset(seed=3)
    assert decode(first) == (3, 0)
    assert toy.step(np.array([0, 1, 0], np.float32))[0] is first
    assert decode(toy.render()) == (3, 1)
    toy.draw = True
    assert decode(toy.step(np.array([0, 1, 0], np.float32))[0]) == (3, 2)


def test_errors():
    with pytest.raises(ValueError, match="size=8"):
        Toy(size=8)
    with pytest.raises(ResetNeeded, match="call reset"):
        Toy().simulator_state()


@pytest.mark.filterwarnings("ignore:.*Box action space:UserWarning")
@pytest.mark.parametrize("discrete", [False, True])
def test_gymnasium_checks_pass(discrete):
    check_env(gym.make("WorldModels/Toy-v0", discrete=discrete, render_mode="rgb_array").unwrapped)


def test_reward_rate_is_the_reward_without_its_spikes():
    toy = Toy()
    toy.reset(seed=1)
    earned, rated = 0.0, 0.0
    for _ in range(300):
        state = dict(zip(Toy.simulator_state_names, toy.simulator_state().tolist(), strict=True))
        _, reward, *_ = toy.step(np.array([-4 * state["lateral_offset"], 0.3, 0], np.float32))
        earned, rated = earned + reward, rated + toy.simulator_state()[-2]
    assert earned > 30 and rated == pytest.approx(earned, rel=0.05)
