"""One rule for how a dream ends and what it earns, in evolution, in the environment and in the film."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import ControllerConfig, make_controller
from tests.worldmodels.dreaming import CONFIG, SPEC, candidates, dream, lively
from worldmodels.agent.config import FeaturesConfig
from worldmodels.agent.features import Perception
from worldmodels.dream.config import DreamConfig
from worldmodels.dream.ends import Ends
from worldmodels.dream.env import DreamEnv
from worldmodels.dream.imagine import Imagination

SPACES = (gym.spaces.Box(0, 255, (32, 32, 3), np.uint8), gym.spaces.Box(np.float32(SPEC.low), np.float32(SPEC.high)))
SEEDS = list(range(40, 60))
DREAMS = {
    "plain": {},
    "free": {"termination_penalty": 0.0},
    "no-reward-limit": {"no_reward_limit": 2},
    "residual": {"noise": "residual", "temperature": 0.5},
    "all": {"noise": "residual", "no_reward_limit": 2, "horizon": 7},
}


@torch.inference_mode()
def played(parts, starts, config):
    """Return, of each dream in a batch, the actions, what each step earned and why it ended."""
    perception = Perception(*parts, FeaturesConfig(), len(SEEDS))
    controller = make_controller(ControllerConfig(), 20, SPEC)
    found = [([], [], "") for _ in SEEDS]
    imagination = Imagination(parts[1], perception, controller, starts, config, len(SEEDS))
    for moment in imagination.moments(candidates(1), SEEDS):
        outcome = moment.outcome
        for row, (actions, rewards, _) in enumerate(found):
            if outcome.playing[row]:
                actions.append(moment.action[row].numpy().copy())
                rewards.append(float(outcome.reward[row]) - float(outcome.penalty[row]))
                found[row] = (actions, rewards, outcome.end(row))
    return found


@pytest.mark.parametrize("name", DREAMS)
@pytest.mark.parametrize("kind", ["mdn-rnn", "ensemble"])
def test_the_environment_dreams_what_evolution_dreams(parts, starts, name, kind):
    """The same seeds and actions lead to the same rewards and the same ends, after the same number of steps."""
    config = dataclasses.replace(CONFIG, **DREAMS[name])
    if kind == "ensemble":
        parts = parts[0], lively("ensemble", members=2, options={"hidden": 16})
    env = DreamEnv(*parts, starts, SPACES, SPEC, config, "latents")
    expected, seen = played(parts, starts, config), set()
    for seed, (actions, rewards, end) in zip(SEEDS, expected, strict=True):
        env.reset(seed=seed)
        for step, action in enumerate(actions):
            _, reward, terminated, truncated, info = env.step(SPEC.to_env(action[None])[0])
            last = step == len(actions) - 1
            assert reward == pytest.approx(rewards[step], abs=2e-3)
            assert (terminated or truncated) is last
        assert info["end"] == end and truncated is (end == "horizon")
        seen.add(end)
    assert "termination" in seen
    if kind == "mdn-rnn":
        wanted = {"no-reward-limit": "no reward", "all": "no reward"}.get(name, "horizon")
        assert wanted in seen
    score = dream(parts, starts, candidates(1), config, SEEDS)[0]
    np.testing.assert_allclose(score, [sum(rewards) for _, rewards, _ in expected], rtol=1e-5, atol=1e-5)


def test_a_dream_that_is_over_is_not_stepped_on(parts, starts):
    env = DreamEnv(*parts, starts, SPACES, SPEC, dataclasses.replace(CONFIG, horizon=1), "latents")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    with pytest.raises(RuntimeError, match="over: call reset"):
        env.step(env.action_space.sample())


def rule(config, rewards, logits, uniform=0.5, step_value=1.0):
    """Follow one dream, step by step."""
    ends = Ends(config, step_value, 1)
    steps = [
        ends.step(*(torch.tensor([each]) for each in (reward, logit, uniform)))
        for reward, logit in zip(rewards, logits, strict=True)
    ]
    return [(float(each.reward[0]), float(each.penalty[0]), each.end(0)) for each in steps]


def test_the_rule_by_hand():
    config = DreamConfig(horizon=4, termination_penalty=3.0)
    assert rule(config, [1.0, 2.0, 5.0], [-9.0, 9.0, 9.0], step_value=2.0) == [
        (1.0, 0.0, ""), (2.0, 6.0, "termination"), (0.0, 0.0, ""),
    ]  # fmt: skip
    assert [end for *_, end in rule(config, [1.0] * 5, [-9.0] * 5)] == ["", "", "", "horizon", ""]
    assert rule(config, [1.0], [0.0], uniform=0.499)[0][2] == "termination"
    assert rule(config, [1.0], [0.0], uniform=0.501)[0][2] == ""
    idle = dataclasses.replace(config, no_reward_limit=2)
    assert rule(idle, [0.0, 1.0, 0.0, -1.0], [-9.0] * 4)[2:] == [(0.0, 0.0, ""), (-1.0, 3.0, "no reward")]


def test_at_the_last_step_an_end_goes_before_the_horizon():
    config = DreamConfig(horizon=1, termination_penalty=3.0)
    assert rule(config, [1.0], [9.0]) == [(1.0, 3.0, "termination")]


def test_dying_never_pays_by_default_where_every_step_costs():
    """A driver who loses 1 a step, as the recorded ones did: staying to the horizon is no worse than any end."""
    config = DreamConfig()
    steps = config.horizon
    stays = rule(config, [-1.0] * steps, [-9.0] * steps)
    total = sum(reward - penalty for reward, penalty, _ in stays)
    for end in range(1, steps):
        dies = rule(config, [-1.0] * end, [-9.0] * (end - 1) + [9.0])
        assert sum(reward - penalty for reward, penalty, _ in dies) < total
