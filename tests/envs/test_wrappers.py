from dataclasses import replace

import cv2
import gymnasium as gym
import numpy as np
import pytest

from envs import ActionRepeat, EarlyStop, EnvConfig, ModelFrame, draws_on_demand, make_env
from envs.toy import Toy, decode
from envs.wrappers import image_shape, model_frame

STRAIGHT = np.array([0, 0.5, 0], np.float32)


class Scripted(gym.Env):
    """Gives the rewards of a list, then terminates; its frames are grey and say how often it was stepped."""

    action_space = gym.spaces.Discrete(2)

    def __init__(self, rewards, shape=(20, 30)):
        self.rewards = rewards
        self.observation_space = gym.spaces.Box(0, 255, shape, np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.frame(), {}

    def frame(self):
        return np.full(self.observation_space.shape, self.t, np.uint8)

    def step(self, action):
        reward = self.rewards[self.t]
        self.t += 1
        return self.frame(), reward, self.t == len(self.rewards), False, {"t": self.t}


@pytest.mark.parametrize("repeat", [1, 3, 4])
def test_action_repeat_equals_repeating_by_hand(repeat):
    env = ActionRepeat(gym.make("WorldModels/Toy-v0", disable_env_checker=True), repeat)
    by_hand = gym.make("WorldModels/Toy-v0", disable_env_checker=True)
    assert (env.reset(seed=1)[0] == by_hand.reset(seed=1)[0]).all()
    rng, frames, ended = np.random.default_rng(0), 0, False
    while not ended:
        action = rng.uniform([-0.3, 0, 0], [0.3, 1, 0.2]).astype(np.float32)
        obs, reward, terminated, truncated, info = env.step(action)
        total, count = 0.0, 0
        for _ in range(repeat):
            expected, one, terminated_, truncated_, _ = by_hand.step(action)
            total, count = total + one, count + 1
            if terminated_ or truncated_:
                break
        frames += info["frames"]
        assert (obs == expected).all() and decode(obs) == (1, frames)
        assert (reward, terminated, truncated, info["frames"]) == (total, terminated_, truncated_, count)
        ended = terminated or truncated
    assert frames == 50 and count == (50 - 1) % repeat + 1  # the time limit counts frames and cuts the last repeat


def test_action_repeat_draws_once_per_step(monkeypatch):
    drawn = []
    draw = Toy.draw_state_pixels
    monkeypatch.setattr(Toy, "draw_state_pixels", lambda self: drawn.append(self._t) or draw(self))
    env = ActionRepeat(gym.make("WorldModels/Toy-v0", disable_env_checker=True), 4)
    env.reset(seed=0)
    for _ in range(13):
        obs, _, _, truncated, _ = env.step(STRAIGHT)
    assert drawn == [*range(0, 50, 4), 50] and truncated and decode(obs) == (0, 50)
    assert env.unwrapped.draw is True


def test_action_repeat_draws_the_frame_of_a_termination_within_the_repeat():
    env = ActionRepeat(Toy(), 7)
    env.reset(seed=1)
    frames, terminated = 0, False
    while not terminated:
        obs, _, terminated, _, info = env.step(np.array([1, 0, 0], np.float32))
        frames += info["frames"]
    assert frames % 7 != 0 and decode(obs) == (1, frames)


def test_action_repeat_leaves_draw_off_where_it_was_off():
    env = ActionRepeat(Toy(), 3)
    first, _ = env.reset(seed=1)
    env.unwrapped.draw = False
    assert env.step(STRAIGHT)[0] is first and env.unwrapped.draw is False


def test_action_repeat_turns_drawing_on_again_after_an_error():
    env = ActionRepeat(Toy(), 3)
    env.reset(seed=1)
    with pytest.raises(ValueError):
        env.step(np.zeros(2, np.float32))
    assert env.unwrapped.draw is True


@pytest.mark.slow
def test_car_racing_with_repeat_equals_gymnasium(monkeypatch):
    from envs.car_racing import CarRacing

    drawn = []
    draw = CarRacing.draw_state_pixels
    monkeypatch.setattr(CarRacing, "draw_state_pixels", lambda self: drawn.append(1) or draw(self))
    env = ActionRepeat(gym.make("WorldModels/CarRacing-v3", disable_env_checker=True), 4)
    theirs = gym.make("CarRacing-v3", disable_env_checker=True)
    assert (env.reset(seed=2)[0] == theirs.reset(seed=2)[0]).all()
    for t in range(8):
        action = np.array([np.sin(t), 0.5, 0], np.float32)
        obs, reward, *_ = env.step(action)
        steps = [theirs.step(action) for _ in range(4)]
        assert (obs == steps[-1][0]).all() and reward == pytest.approx(sum(step[1] for step in steps), abs=1e-12)
    assert len(drawn) == 9


def test_early_stop_cuts_what_earns_nothing():
    env = EarlyStop(Scripted([-0.1, 3.0] + [-0.1] * 98), no_reward_limit=10)
    env.reset()
    rewards, truncated = [], False
    while not truncated:
        _, reward, terminated, truncated, info = env.step(0)
        rewards.append(reward)
        assert not terminated
    assert rewards == [-0.1, 3.0] + [-0.1] * 10 and info["t"] == 12


def test_early_stop_counts_frames_under_action_repeat():
    env = EarlyStop(ActionRepeat(Scripted([1.0] + [-0.1] * 99), 4), no_reward_limit=10)
    env.reset()
    # 4 + 12 frames, 10 is passed at the third
    assert [env.step(0)[3] for _ in range(4)] == [False, False, False, True]


def test_early_stop_starts_anew_with_an_episode():
    env = EarlyStop(Scripted([-1.0] * 50), no_reward_limit=5)
    for _ in range(2):
        env.reset()
        assert [env.step(0)[3] for _ in range(5)] == [False] * 4 + [True]


def test_early_stop_leaves_ordinary_ends_alone():
    env = EarlyStop(Scripted([-0.1] * 5), no_reward_limit=5)
    env.reset()
    for _ in range(5):
        _, reward, terminated, truncated, _ = env.step(0)
    assert terminated and not truncated and reward == -0.1


def test_model_frame_crops_then_resizes_bilinearly():
    env = ModelFrame(Scripted([0.0], shape=(96, 96, 3)), 64, (0, 84))
    frame = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    expected = cv2.resize(np.ascontiguousarray(frame[:84]), (64, 64), interpolation=cv2.INTER_LINEAR)
    assert env.observation_space == gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)
    assert (env.observation(frame) == expected).all()
    assert (env.observation(frame.transpose(1, 0, 2).copy().transpose(1, 0, 2)) == expected).all()  # any strides
    frame[84:] = 0
    assert (env.observation(frame) == expected).all()


def test_model_frame_halves_by_the_mean_of_four_pixels():
    env = ModelFrame(Scripted([0.0], shape=(8, 8)), 4)
    frame = (np.arange(64, dtype=np.uint8) * 2).reshape(8, 8)
    means = frame.reshape(4, 2, 4, 2).mean(axis=(1, 3))
    assert env.observation(frame).shape == (4, 4, 1)
    assert np.abs(env.observation(frame)[:, :, 0] - means).max() <= 0.5


def test_model_frame_of_the_same_size_is_the_frame_itself():
    env = ModelFrame(Toy(), 64)
    frame = np.zeros((64, 64, 3), np.uint8)
    assert env.observation(frame) is frame
    obs, _ = env.reset(seed=9)
    assert decode(obs) == (9, 0)


@pytest.mark.parametrize(("shape", "channels"), [((20, 30), 1), ((20, 30, 1), 1), ((20, 30, 3), 3), ((16, 16), 1)])
def test_model_frame_keeps_channels(shape, channels):
    env = ModelFrame(Scripted([0.0], shape=shape), 16)
    obs, _ = env.reset()
    assert obs.shape == (16, 16, channels) and obs in env.observation_space


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match=r"crop=\(0, 84\).*only 64 rows.*\(0, 0\)"):
        ModelFrame(Toy(), 64, (0, 84))
    with pytest.raises(ValueError, match="repeat=0"):
        ActionRepeat(Toy(), 0)
    with pytest.raises(ValueError, match="no_reward_limit=0"):
        EarlyStop(Toy(), no_reward_limit=0)


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        (gym.spaces.Box(-1, 1, (4,), np.float32), "float32"),
        (gym.spaces.Box(0, 255, (4,), np.uint8), "shape"),
        (gym.spaces.Box(0, 255, (8, 8, 4), np.uint8), "shape"),
        (gym.spaces.Discrete(4), "Discrete"),
    ],
)
def test_spaces_that_are_no_images(space, reason):
    with pytest.raises(ValueError, match=f"{reason}.*supported are uint8 images"):
        image_shape(space)


def test_the_stack_is_rebuilt_from_its_spec():
    config = EnvConfig(id="WorldModels/Toy-v0", crop=(0, 48), size=32, action_repeat=2, max_steps=30)
    env = make_env(config, training=True)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert str(again) == str(env)
    assert (again.reset(seed=4)[0] == env.reset(seed=4)[0]).all()
    for _ in range(15):
        ours, theirs = env.step(STRAIGHT), again.step(STRAIGHT)
        assert (ours[0] == theirs[0]).all() and ours[1:] == theirs[1:]
    assert ours[3]


def test_model_frame_is_there_without_an_environment():
    frame = np.random.default_rng(1).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    env = ModelFrame(Scripted([0.0], shape=(96, 96, 3)), 64, (0, 84))
    assert (model_frame(frame, 64, (0, 84)) == env.observation(frame)).all()
    assert (model_frame(frame, 96) == frame).all()


class Foreign(Scripted):
    """Has a method that is called as our switch for drawing."""

    def draw(self):
        return "a picture"


class Upside(gym.ObservationWrapper):
    """Looks at every frame."""

    def observation(self, observation):
        return observation[::-1].copy()


def test_only_our_switch_is_switched():
    foreign = Foreign([0.0] * 9)
    env = ActionRepeat(foreign, 3)
    env.reset()
    env.step(None)
    assert not draws_on_demand(foreign) and foreign.draw() == "a picture"
    assert draws_on_demand(make_env(EnvConfig(id="WorldModels/Toy-v0", action_repeat=2)))


def test_wrappers_that_look_see_every_frame():
    config = EnvConfig(id="WorldModels/Toy-v0", action_repeat=4, max_steps=6)
    plain, looking = make_env(config), make_env(replace(config, wrappers=(f"{__name__}:Upside",)))
    assert not draws_on_demand(looking)
    plain.reset(seed=3), looking.reset(seed=3)
    for _ in range(2):  # the second one ends within the repetition
        one, other = plain.step(STRAIGHT), looking.step(STRAIGHT)
        assert (one[0] == other[0][::-1]).all() and one[1:] == other[1:]
    assert one[3]
