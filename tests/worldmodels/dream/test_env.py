import copy
import dataclasses

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tests.worldmodels.dreaming import CONFIG, SPEC, candidates, dream, lively
from worldmodels.dream.env import DreamEnv
from worldmodels.dream.world import draw_variants

SPACES = (gym.spaces.Box(0, 255, (32, 32, 3), np.uint8), gym.spaces.Box(np.float32(SPEC.low), np.float32(SPEC.high)))
ENSEMBLE = {"members": 2, "options": {"hidden": 16}}


@pytest.mark.parametrize("observe", ["frames", "latents"])
@pytest.mark.filterwarnings("ignore:.*check_env.*:UserWarning")
@pytest.mark.filterwarnings("ignore:.*we recommend.*:UserWarning")
@pytest.mark.filterwarnings("ignore:.*infinity.*:UserWarning")
@pytest.mark.filterwarnings("ignore:.*different render modes.*:UserWarning")
def test_the_dream_is_a_gymnasium_environment(parts, starts, observe):
    check_env(DreamEnv(*parts, starts, SPACES, SPEC, CONFIG, observe), skip_render_check=True)


def test_frames_are_decoded_only_when_someone_looks(parts, starts, monkeypatch):
    env = DreamEnv(*parts, starts, SPACES, SPEC, CONFIG, "latents")
    looks = []
    decode = env.vision.decode
    monkeypatch.setattr(env.vision, "decode", lambda z: looks.append(1) or decode(z))
    env.reset(seed=1)
    for _ in range(5):
        env.step(env.action_space.sample())
    assert not looks
    assert env.render().shape == (32, 32, 3) and len(looks) == 1


def test_a_dream_ends_at_its_horizon_and_starts_where_asked(parts, starts):
    env = DreamEnv(*parts, starts, SPACES, SPEC, dataclasses.replace(CONFIG, terminates=False))
    obs, info = env.reset(seed=3, options={"start": "standstill", "index": 2})
    np.testing.assert_array_equal(info["z"], starts.still[2])
    assert obs.dtype == np.uint8 and env.observation_space.contains(obs)
    env.action_space.seed(0)
    ends = [env.step(env.action_space.sample())[3] for _ in range(CONFIG.horizon)]
    assert ends == [False] * (CONFIG.horizon - 1) + [True]
    _, info = env.reset(options={"start": "warm", "index": 1})
    np.testing.assert_array_equal(info["z"], starts.z[1, -1])


def test_a_dream_that_earns_nothing_is_given_up(parts, starts):
    """In evolution, at the price of an end, and in the environment."""
    poor = copy.deepcopy(parts[1])
    poor.reward_head.weight.data.zero_()
    config = dataclasses.replace(CONFIG, patience=4, lost=2.0)
    rich = dataclasses.replace(starts, earned=np.array(2.5, np.float32))
    for reward, ends in ((-0.5, True), (0.5, False)):
        poor.reward_head.bias.data.fill_(reward)
        poor.termination_head.weight.data.zero_()
        poor.termination_head.bias.data.fill_(-50.0)
        found = dream((parts[0], poor), rich, candidates(1), config)
        charge = 2.0 * 2.5 + config.termination_charge * (CONFIG.horizon - 4)
        np.testing.assert_allclose(found, 4 * reward - charge if ends else CONFIG.horizon * reward, rtol=1e-4)
        env = DreamEnv(parts[0], poor, starts, SPACES, SPEC, config)
        env.reset(seed=0)
        over = [env.step(env.action_space.sample())[2] for _ in range(6)]
        assert over[:4] == [False, False, False, ends]


def test_a_dream_that_has_earned_its_goal_is_over(parts, starts):
    """In evolution, at no price, and in the environment."""
    steady = copy.deepcopy(parts[1])
    steady.reward_head.weight.data.zero_()
    steady.reward_head.bias.data.fill_(0.5)
    for terminates in (False, True):
        steady.termination_head.weight.data.zero_()
        steady.termination_head.bias.data.fill_(-50.0)
        config = dataclasses.replace(CONFIG, goal=1.5, lost=2.0, terminates=terminates)
        np.testing.assert_allclose(dream((parts[0], steady), starts, candidates(1), config), 1.5, rtol=1e-4)
        env = DreamEnv(parts[0], steady, starts, SPACES, SPEC, config)
        for _ in range(2):
            env.reset(seed=0)
            assert [env.step(env.action_space.sample())[2] for _ in range(3)] == [False, False, True]


def test_bad_use_is_explained(parts, starts):
    env = DreamEnv(*parts, starts, SPACES, SPEC, CONFIG)
    with pytest.raises(RuntimeError, match="reset"):
        env.step(env.action_space.sample())
    env.reset(seed=0)
    with pytest.raises(ValueError, match="not in"):
        env.step(np.array([5.0, 0, 0], np.float32))
    with pytest.raises(ValueError, match="standstill"):
        env.reset(options={"start": "middle"})
    with pytest.raises(ValueError, match="observe"):
        DreamEnv(*parts, starts, SPACES, SPEC, CONFIG, "pixels")


@pytest.mark.parametrize("changes", [{}, {"penalty": 1.0}, {"dropout": 0.5}])
def test_the_environment_has_the_members_and_masks_of_the_dream(starts, parts, changes, monkeypatch):
    world = lively("ensemble", **ENSEMBLE)
    config = dataclasses.replace(CONFIG, **changes, terminates=False)
    env = DreamEnv(parts[0], world, starts, SPACES, SPEC, config, "latents")
    drawn = []
    monkeypatch.setattr(
        "worldmodels.dream.env.draw_variants", lambda *given: drawn.append(draw_variants(*given)) or drawn[-1]
    )
    action = np.array([0.3, 0.6, 0.1], np.float32)
    returns = []
    for seed in (1, 1, 2, 3, 4, 5):
        env.reset(seed=seed, options={"start": "warm", "index": 0})
        returns.append(sum(env.step(action)[1] for _ in range(5)))
    assert returns[0] == returns[1] and len(set(returns)) == 5
    assert {int(each.member[0]) for each in drawn} == {0, 1}
    assert all((each.mask is not None) == ("dropout" in changes) for each in drawn)
    free = DreamEnv(parts[0], world, starts, SPACES, SPEC, dataclasses.replace(config, penalty=0.0), "latents")
    free.reset(seed=1, options={"start": "warm", "index": 0})
    assert (sum(free.step(action)[1] for _ in range(5)) > returns[0]) == ("penalty" in changes)
