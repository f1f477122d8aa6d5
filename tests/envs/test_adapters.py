import gymnasium as gym
import numpy as np
import pytest

from agents import ActionSpec
from envs import BoxActions, PickObservation


class Echo(gym.Env):
    """Shows the action it got."""

    def __init__(self, action_space, observation_space=None):
        self.action_space = action_space
        self.observation_space = observation_space or gym.spaces.Box(0, 255, (8, 8), np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return action, 0.0, False, False, {}


def test_whole_numbers_are_rounded_to():
    env = BoxActions(Echo(gym.spaces.Box(0, np.array([3, 10]), (2,), np.int64)))
    spec = ActionSpec.from_space(env.action_space)
    assert (spec.low, spec.high) == ((0.0, 0.0), (3.0, 10.0))
    got = env.step(np.array([1.6, 10.0], np.float32))[0]
    assert got.tolist() == [2, 10] and got.dtype == np.int64


def test_bounds_are_given_to_what_has_none():
    env = BoxActions(Echo(gym.spaces.Box(-np.inf, np.inf, (2, 2), np.float64)), low=-1, high=[1, 2, 3, 4])
    assert ActionSpec.from_space(env.action_space).high == (1.0, 2.0, 3.0, 4.0)
    got = env.step(np.array([1, 2, -1, 4], np.float32))[0]
    assert got.tolist() == [[1, 2], [-1, 4]] and got.dtype == np.float64
    half = BoxActions(Echo(gym.spaces.Box(0, np.inf, (1,))), high=5)
    assert ActionSpec.from_space(half.action_space).low == (0.0,)


@pytest.mark.parametrize(
    ("space", "values"),
    [
        (gym.spaces.Box(-np.inf, 1, (2,)), {}),
        (gym.spaces.Box(0, 1, (2,)), {"low": 1}),
        (gym.spaces.Box(0, 1, (2,)), {"low": [0, 0, 0]}),
        (gym.spaces.Discrete(2), {}),
    ],
)
def test_bounds_that_are_none(space, values):
    with pytest.raises(ValueError, match=r"finite bounds|takes a Box|broadcast"):
        BoxActions(Echo(space), **values)


def test_a_picture_is_picked_out_of_many():
    image, number = gym.spaces.Box(0, 255, (8, 8), np.uint8), gym.spaces.Discrete(3)
    for space, key in ((gym.spaces.Dict(image=image, number=number), "image"), (gym.spaces.Tuple((number, image)), 1)):
        env = PickObservation(Echo(gym.spaces.Discrete(2), space), key)
        assert env.observation_space == image and env.reset(seed=0)[0] in image
        with pytest.raises(ValueError, match="keys are"):
            PickObservation(Echo(gym.spaces.Discrete(2), space), "picture")
