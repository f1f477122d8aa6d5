import dataclasses

import numpy as np
import pytest
import torch

from agents import ControllerConfig, make_controller
from envs import EnvConfig
from generative import component_from_bytes
from tests.worldmodels.dreaming import CONFIG, SPEC, candidates, dream, endless
from worldmodels.agent.bundle import Bundle, bundle_parts
from worldmodels.agent.config import FeaturesConfig
from worldmodels.dream.film import Dream, RealDrive, dream_drives, drive, first, predict, reel, shown
from worldmodels.memories.registry import MEMORIES

SEEDS = range(11, 17)


@pytest.fixture(scope="module")
def bundle(parts):
    env = EnvConfig("WorldModels/Toy-v0", size=32, crop=(0, 0), options={"size": 32})
    return Bundle(env, SPEC, FeaturesConfig(), ControllerConfig(), **bundle_parts(*parts))


def filmed(bundle, starts, config=CONFIG, parameters=None, ends=True, action_cost=0.0):
    memory = component_from_bytes(bundle.memory, MEMORIES)
    memory = memory if ends else endless((None, memory))[1]
    parameters = candidates(1)[0] if parameters is None else parameters
    return dream_drives(bundle, parameters, memory, starts, config, SEEDS, action_cost)


@torch.inference_mode()
def test_the_agent_acts_on_what_is_dreamt_and_the_memory_goes_on_from_its_actions(bundle, starts, parts, monkeypatch):
    """Step by step by hand: the action is the controller's on the dreamt latent, the next latent is what follows."""
    memory, rows = parts[1], torch.from_numpy(candidates(1))
    controller = make_controller(ControllerConfig(), 20, SPEC)
    monkeypatch.setattr("worldmodels.dream.residuals.PART", 10)
    config = dataclasses.replace(CONFIG, initial_state_fraction=1.0, noise="residual", temperature=0.25)
    recorded = torch.from_numpy(starts.residuals.value[0])
    for each in filmed(bundle, starts, config, ends=False):
        assert len(each.z) == config.horizon + 1
        state = memory.initial(1)
        for step in range(config.horizon):
            z = each.z[step : step + 1]
            action = controller.act(torch.cat([z, memory.feature(state)], 1), rows)
            torch.testing.assert_close(each.action[step : step + 1], action, atol=1e-4, rtol=1e-3)
            prediction, state = memory.step(z, action, state)
            chance = (each.z[step + 1] - prediction.expected_latent()[0]) / 0.5  # the root of the temperature
            assert (recorded - chance).abs().max(1).values.min() < 1e-3  # a recorded one
            assert each.reward[step] == pytest.approx(float(prediction.reward), abs=1e-3)


def test_another_controller_dreams_something_else_from_the_same_start(bundle, starts):
    ours, other = (filmed(bundle, starts, CONFIG, parameters, ends=False) for parameters in candidates(2))
    for one, two in zip(ours, other, strict=True):
        torch.testing.assert_close(one.z[0], two.z[0])
        assert not torch.allclose(one.action, two.action, atol=0.05)
        assert not torch.allclose(one.z[1:], two.z[1:], atol=0.05)


def test_dreams_are_those_of_evolution(bundle, starts, parts, monkeypatch):
    """The same returns, so the same noise, starts, horizon and ends, whatever is set."""
    monkeypatch.setattr("worldmodels.dream.residuals.PART", 10)
    for change in ({}, {"noise": "residual"}, {"temperature": 3.0}, {"no_reward_limit": 2}):
        config = dataclasses.replace(CONFIG, termination_penalty=0.0, **change)
        returns = dream(parts, starts, candidates(1), config, list(SEEDS))[0]
        found = filmed(bundle, starts, config)
        np.testing.assert_allclose([each.gained for each in found], returns, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("action_cost", [0.0, 0.5])
def test_a_dream_counts_what_it_counts_in_evolution(bundle, starts, parts, action_cost):
    config = dataclasses.replace(CONFIG, termination_penalty=20.0)
    returns = dream(parts, starts, candidates(1), config, list(SEEDS), action_cost=action_cost)[0]
    found = filmed(bundle, starts, config, action_cost=action_cost)
    np.testing.assert_allclose([each.score for each in found], returns, rtol=1e-4, atol=1e-4)
    assert all((each.score < each.gained) == (bool(action_cost) or each.end == "termination") for each in found)


@pytest.mark.parametrize(
    ("change", "end"),
    [({}, "horizon"), ({"no_reward_limit": 1}, "no reward"), ({}, "termination")],
)
def test_a_dream_is_shown_up_to_its_end(bundle, starts, parts, change, end):
    dreams = filmed(bundle, starts, dataclasses.replace(CONFIG, horizon=40, **change), ends=end != "horizon")
    ends = {each.end for each in dreams}
    assert end in ends and ("horizon" in ends) == (end == "horizon")
    for each in dreams:
        assert len(each.z) == len(each.action) + 1 == len(each.reward) + 1 <= 41
        if each.end == "horizon":
            assert len(each.reward) == 40


def test_a_real_drive_is_the_agent_s(bundle):
    real = drive(bundle, candidates(1)[0], 10_000, 12)
    assert real.frames.shape == (13, 32, 32, 3) and real.action.shape == (12, 3) and not real.ended
    assert len(np.unique(real.frames.reshape(13, -1), axis=0)) == 13
    whole = drive(bundle, candidates(1)[0], 10_000, 60)
    assert whole.ended and len(whole.reward) < 60
    np.testing.assert_array_equal(whole.frames[:13], real.frames)


def test_a_prediction_sees_the_actions_and_nothing_after_its_context(parts):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (21, 32, 32, 3), dtype=np.uint8)
    action = rng.random((20, 3), dtype=np.float32)

    def predicted(frames, action):
        return predict(*parts, RealDrive(frames, action, np.zeros(20, np.float32), False))

    found = predicted(frames, action)
    assert found.context == 8 and len(found.frames) == len(found.reconstructions) == 21
    np.testing.assert_array_equal(found.frames[:9], found.reconstructions[:9])
    assert (found.frames[9:] != found.reconstructions[9:]).any((1, 2, 3)).all()
    blind = frames.copy()
    blind[9:] = 0
    np.testing.assert_array_equal(predicted(blind, action).frames, found.frames)
    turned = action.copy()
    turned[10:] = -1
    other = predicted(frames, turned).frames
    np.testing.assert_array_equal(other[:11], found.frames[:11])
    assert (other[11:] != found.frames[11:]).any()


@pytest.mark.parametrize(("steps", "over"), [(2, False), (3, True), (9, True)])
def test_the_first_steps_of_a_drive_are_over_where_all_of_it_are(steps, over):
    real = RealDrive(np.zeros((4, 8, 8, 3), np.uint8), np.zeros((3, 3), np.float32), np.zeros(3, np.float32), True)
    found = first(real, steps)
    assert (len(found.frames), len(found.action), found.ended) == (min(steps, 3) + 1, min(steps, 3), over)


def of(steps):
    return Dream(torch.zeros(steps + 1, 4), torch.zeros(steps, 3), torch.ones(steps), "horizon", 0.0)


def test_dreams_are_shown_whole_and_in_order():
    dreams = [of(3), of(4), of(5)]
    assert [len(shown(dreams, steps)) for steps in (1, 3, 4, 7, 8, 100)] == [1, 1, 2, 2, 3, 3]
    scenes = list(reel(dreams[:2], 2))
    assert [scene.dream for scene in scenes] == [0] * 6 + [1] * 7
    assert [scene.step for scene in scenes] == [0, 1, 2, 3, 3, 3, 0, 1, 2, 3, 4, 4, 4]
    assert [scene.over for scene in scenes] == [False] * 3 + [True] * 3 + [False] * 4 + [True] * 3
