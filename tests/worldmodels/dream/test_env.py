import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tests.worldmodels.dreaming import CONFIG, SPEC, endless, lively
from worldmodels.dream.env import DreamEnv
from worldmodels.dream.world import draw_members

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
    env = DreamEnv(*endless(parts), starts, SPACES, SPEC, CONFIG)
    obs, info = env.reset(seed=3, options={"start": "initial", "index": 2})
    np.testing.assert_array_equal(info["z"], starts.initial[2])
    assert obs.dtype == np.uint8 and env.observation_space.contains(obs)
    env.action_space.seed(0)
    ends = [env.step(env.action_space.sample())[3] for _ in range(CONFIG.horizon)]
    assert ends == [False] * (CONFIG.horizon - 1) + [True]
    _, info = env.reset(options={"start": "warm", "index": 1})
    np.testing.assert_array_equal(info["z"], starts.z[1, -1])


def test_bad_use_is_explained(parts, starts):
    env = DreamEnv(*parts, starts, SPACES, SPEC, CONFIG)
    with pytest.raises(RuntimeError, match="reset"):
        env.step(env.action_space.sample())
    env.reset(seed=0)
    with pytest.raises(ValueError, match="not in"):
        env.step(np.array([5.0, 0, 0], np.float32))
    with pytest.raises(ValueError, match="initial"):
        env.reset(options={"start": "middle"})
    with pytest.raises(ValueError, match="observe"):
        DreamEnv(*parts, starts, SPACES, SPEC, CONFIG, "pixels")


def test_the_environment_has_the_members_of_the_dream(starts, parts, monkeypatch):
    world = lively("ensemble", **ENSEMBLE)
    for member in world.members:
        member.termination_head.weight.data.zero_()
        member.termination_head.bias.data.fill_(-50.0)
    env = DreamEnv(parts[0], world, starts, SPACES, SPEC, CONFIG, "latents")
    drawn = []
    monkeypatch.setattr(
        "worldmodels.dream.env.draw_members", lambda *given: drawn.append(draw_members(*given)) or drawn[-1]
    )
    action = np.array([0.3, 0.6, 0.1], np.float32)
    returns = []
    for seed in (1, 1, 2, 3, 4, 5):
        env.reset(seed=seed, options={"start": "warm", "index": 0})
        returns.append(sum(env.step(action)[1] for _ in range(5)))
    assert returns[0] == returns[1] and len(set(returns)) == 5
    assert {int(each[0]) for each in drawn} == {0, 1}


def test_without_a_seed_every_dream_is_another_one(parts, starts):
    env = DreamEnv(*endless(parts), starts, SPACES, SPEC, CONFIG, "latents")
    env.reset(seed=1)
    action, came = np.array([0.3, 0.6, 0.1], np.float32), []
    for _ in range(3):
        env.reset(options={"start": "warm", "index": 0})
        came.append(sum(env.step(action)[1] for _ in range(2)))  # the first reward is not random yet
    assert len(set(came)) == 3
