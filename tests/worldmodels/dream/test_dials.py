import dataclasses
import math

import gymnasium as gym
import numpy as np
import pytest
import torch

from tests.worldmodels.dreaming import CONFIG, SPEC, endless, lively
from worldmodels.dream.dials import Dials
from worldmodels.dream.env import DreamEnv
from worldmodels.errors import RunError

SPACES = (gym.spaces.Box(0, 255, (32, 32, 3), np.uint8), gym.spaces.Box(np.float32(SPEC.low), np.float32(SPEC.high)))
ACTION = np.array([0.3, 0.6, 0.1], np.float32)


def drive(env, steps=4, seed=5, **dials):
    env.reset(seed=seed)
    env.turn(Dials(**dials))
    return np.stack([env.step(ACTION)[0] for _ in range(steps)])


@pytest.fixture
def env(parts, starts):
    return DreamEnv(*endless(parts), starts, SPACES, SPEC, CONFIG, "latents")


def test_a_held_dimension_stays_and_the_memory_sees_it_there(env):
    free, held = drive(env), drive(env, held={1: 2.5})
    np.testing.assert_array_equal(held[:, 1], np.float32(2.5))
    assert (held[:, 0] != free[:, 0]).any()
    env.turn(Dials(held={2: -1.0}))
    assert env.z[2] == -1.0


def test_a_push_adds_to_every_step(env):
    free, pushed = drive(env), drive(env, pushed={0: 0.5})
    np.testing.assert_allclose(pushed[0] - free[0], [0.5, 0, 0, 0], atol=1e-6)
    assert (np.abs(pushed[1:] - free[1:]) > 1e-4).any()


def test_temperature_is_turned_while_the_dream_goes_on(env, parts, starts):
    cold = DreamEnv(*endless(parts), starts, SPACES, SPEC, dataclasses.replace(CONFIG, temperature=0.5), "latents")
    cold.reset(seed=5)
    np.testing.assert_array_equal(drive(env, temperature=0.5), [cold.step(ACTION)[0] for _ in range(4)])
    assert (drive(env, temperature=0.5) != drive(env)).any()


def test_the_other_noise_is_that_of_a_dream_which_has_it_from_the_start(env, parts, starts):
    residual = DreamEnv(*endless(parts), starts, SPACES, SPEC, dataclasses.replace(CONFIG, noise="residual"), "latents")
    start = {"start": "warm", "index": 2}
    for each in (env, residual):
        each.reset(seed=5, options=start)
    env.turn(Dials(noise="residual"))
    np.testing.assert_allclose(env.step(ACTION)[0], residual.step(ACTION)[0], atol=1e-6)
    bare = dataclasses.replace(starts, residuals=None)
    with pytest.raises(RunError, match="residual"):
        DreamEnv(*parts, bare, SPACES, SPEC, CONFIG).turn(Dials(noise="residual"))


def test_an_endless_dream_goes_on_where_the_memory_would_end(parts, starts):
    vision, memory = endless(parts)
    memory.termination_head.bias.data.fill_(50.0)
    env = DreamEnv(vision, memory, starts, SPACES, SPEC, CONFIG, "latents")
    for on in (False, True):
        env.reset(seed=1)
        env.turn(Dials(endless=on))
        assert env.step(ACTION)[2] is not on


@torch.inference_mode()
@pytest.mark.parametrize("name", ["mdn-rnn", "ensemble"])
def test_what_is_expected_is_the_step_without_noise_and_is_not_taken(parts, starts, name):
    memory = lively(name, **({"members": 2, "options": {"hidden": 16}} if name == "ensemble" else {"hidden": 16}))
    env = DreamEnv(parts[0], memory, starts, SPACES, SPEC, CONFIG, "latents")
    env.reset(seed=3)
    expected = env.expect(ACTION)
    np.testing.assert_array_equal(env.expect(ACTION), expected)
    member = memory.each[int(env._member[0])] if name == "ensemble" else memory
    state = env._world._groups[0].state
    prediction, _ = member.step(torch.from_numpy(env.z[None]), torch.from_numpy(ACTION[None]), state)
    np.testing.assert_allclose(expected, prediction.expected_latent()[0], atol=1e-5)


def test_a_dream_begins_after_steps_of_ones_own(env, starts):
    env.reset(seed=7, options={"start": "warm", "index": 3})
    warm = env.step(ACTION)
    _, info = env.reset(seed=7, options={"start": "given", "z": starts.z[3], "action": starts.action[3]})
    assert info["start"] == "given"
    np.testing.assert_array_equal(env.step(ACTION)[0], warm[0])


def test_siblings_have_dials_of_their_own(env):
    drive(env, held={0: 1.0})
    other = env.sibling()
    assert other.dials == Dials.of(CONFIG) and env.dials.held == {0: 1.0}
    with pytest.raises(RuntimeError, match="reset"):
        other.step(ACTION)


@pytest.mark.parametrize(
    ("dials", "said"),
    [
        ({"temperature": -1.0}, "temperature=-1.0"),
        ({"temperature": math.nan}, "temperature=nan"),
        ({"held": {0: math.inf}}, r"held\[0\]=inf"),
        ({"held": {0: 1.0}, "pushed": {0: 1.0}}, "dimension 0"),
        ({"pushed": {9: 1.0}}, "there are 4"),
    ],
)
def test_bad_dials_are_explained(dials, said):
    with pytest.raises(ValueError, match=said):
        Dials(**dials).check(4)
