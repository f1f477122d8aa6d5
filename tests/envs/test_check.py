import itertools

import gymnasium as gym
import numpy as np
import pytest

from envs import CAR_RACING, EnvConfig, check_environment
from tests.strange import STRANGE, on_path  # noqa: F401  # a fixture

GREY = EnvConfig(id="WorldModelsTest/Kept-v0", size=8)
PLAYED = itertools.count()


class Kept(gym.Env):
    """Grey frames, with a fault to choose."""

    observation_space = gym.spaces.Box(0, 255, (8, 8), np.uint8)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, fault="", render_mode=None):
        self.fault, self.render_mode, self.level, self.buffer = fault, render_mode, 0, np.zeros((8, 8), np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if self.fault == "unseeded":
            next(PLAYED)
        if self.fault != "remembers":
            self.level = 0
        self.steps = 0
        return self.frame(), {}

    def step(self, action):
        self.steps += 1
        self.level = (self.level + int(self.np_random.integers(3)) + int(action)) % 100
        reward = float(np.random.random()) if self.fault == "late" and self.steps > 5 else 1.0
        return self.frame(), reward, self.fault == "ends" and self.steps > next(PLAYED) % 50 + 5, False, {}

    def frame(self):
        self.buffer[:] = self.level + self.fault.count("unseeded") * next(PLAYED) % 7
        return self.buffer if self.fault == "reuses" else self.buffer.copy()


@pytest.fixture(autouse=True)
def registered():
    gym.register("WorldModelsTest/Kept-v0", Kept)
    yield
    del gym.registry["WorldModelsTest/Kept-v0"]


def faulty(fault):
    return EnvConfig(id=GREY.id, size=8, options={"fault": fault})


def test_good_environments_pass(on_path):  # noqa: F811
    assert check_environment(GREY) == [] and check_environment(STRANGE) == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("unseeded", r"breaks a rule of gymnasium.*non-deterministic.*env\.wrappers"),
        ("remembers", "led to other frames the second time, at step 0"),
        (
            "late",
            r"after reset\(seed=123\) the same actions led to other rewards the second time, at step 6.*np_random",
        ),
        ("ends", "the same actions led to other ends"),
    ],
)
def test_what_a_seed_does_not_decide_is_refused(fault, message):
    with pytest.raises(ValueError, match=message):
        check_environment(faulty(fault))


def test_what_does_no_harm_here_is_only_said():
    (note,) = check_environment(faulty("reuses"))  # frames are copied before the next step
    assert "share an object" in note and "\x1b" not in note


def test_ours_are_trusted(monkeypatch):
    monkeypatch.setattr("envs.check.make_bare", lambda config: pytest.fail("made"))
    for name in (*CAR_RACING, "WorldModels/Toy-v0"):
        assert check_environment(EnvConfig(id=name)) == []
