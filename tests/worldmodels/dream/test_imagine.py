import copy
import dataclasses

import numpy as np
import pytest
import torch

from agents import ControllerConfig, make_controller
from tests.worldmodels.dreaming import BLOCK, CONFIG, SEEDS, SPEC, candidates, dream, endless, lively
from tests.worldmodels.perfect import Simulator
from worldmodels.agent.config import FeaturesConfig
from worldmodels.agent.features import Perception
from worldmodels.dream.imagine import Imagination
from worldmodels.dream.noise import Noise
from worldmodels.dream.step import FusedStep
from worldmodels.dream.world import draw_members
from worldmodels.memories import ShuffledMemory, choose_rows


def test_steering_costs_while_a_dream_lasts(parts, starts):
    """A controller that only steers hard pays for each step, one that never steers pays nothing."""
    parameters = np.zeros((2, candidates(1).shape[1]), dtype=np.float32)
    parameters[1, 0] = 100  # the bias of the steering
    free, charged = (dream(endless(parts), starts, parameters, action_cost=cost) for cost in (0.0, 0.25))
    np.testing.assert_array_equal(charged[0], free[0])
    np.testing.assert_allclose(free[1] - charged[1], 0.25 * CONFIG.horizon, rtol=1e-5)
    free, charged = (dream(parts, starts, parameters, action_cost=cost) for cost in (0.0, 0.25))
    paid = (free - charged)[1] / 0.25
    assert (paid >= 0.99).all() and paid.min() < CONFIG.horizon - 1  # a dream that is over costs nothing more


def by_hand(parts, starts, parameters, seed, config=CONFIG, agent=None):
    """One candidate in one dream, one step at a time, as plainly as it can be said."""
    noise = Noise.draw([seed], starts, config)
    chosen = draw_members([seed], parts[1])
    members = list(getattr(parts[1], "members", [parts[1]]))
    agent = agent or members[0]

    def warm(memory):
        state = memory.initial(1)
        for step in range(0 if noise.initial[0] else actions.shape[1]):
            state = memory.advance(path[:, step], actions[:, step], state)
        return state

    path, actions = torch.from_numpy(starts.z)[noise.warm_index], torch.from_numpy(starts.action)[noise.warm_index]
    z = torch.from_numpy(starts.initial)[noise.initial_index] if noise.initial[0] else path[:, -1]
    member = members[int(chosen[0])]
    state, known = warm(member), warm(agent)
    total, unrewarded, penalty = 0.0, 0, config.termination_penalty * float(starts.step_value)
    controller = make_controller(ControllerConfig(), 4 + agent.feature_size, SPEC)
    for step in range(config.horizon):
        action = controller.act(torch.cat([z, agent.feature(known)], 1), torch.from_numpy(parameters[None]))
        known = agent.advance(z, action, known)
        prediction, state = member.step(z, action, state)
        if config.noise == "residual":
            recorded = starts.bootstrap()
            rest = recorded.draw(z, action, (noise.first + step) % recorded.parts, chosen)
            z = prediction.expected_latent() + config.temperature**0.5 * rest
        else:
            z = prediction.sample(config.temperature, noise.uniform[:, step], noise.normal[:, step])
        reward = float(prediction.reward)
        total, unrewarded = total + reward, 0 if reward > 0 else unrewarded + 1
        if noise.end[0, step] < torch.sigmoid(prediction.termination_logit):
            return total - penalty
        if 0 < config.no_reward_limit <= unrewarded:
            return total - penalty
    return total


def test_the_batched_kernel_dreams_what_a_plain_loop_dreams(parts, starts):
    parameters = candidates(3)
    found = dream(parts, starts, parameters)
    with torch.inference_mode():
        expected = [[by_hand(parts, starts, row, seed) for seed in SEEDS] for row in parameters]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    assert len(np.unique(found.round(4))) == 12


def test_an_end_costs_steps_of_what_drivers_earn(parts, starts):
    """Wherever in the dream it comes; a dream that goes on to its horizon pays nothing."""
    parameters = candidates(3)
    free, dear = (
        dream(parts, starts, parameters, dataclasses.replace(CONFIG, termination_penalty=steps)) for steps in (0.0, 7.0)
    )
    paid = (free - dear).round(4)
    assert set(np.unique(paid)) == {0.0, np.float64(round(7 * 0.8, 4))}
    calm = dream(endless(parts), starts, parameters, dataclasses.replace(CONFIG, termination_penalty=7.0))
    np.testing.assert_array_equal(calm, dream(endless(parts), starts, parameters))


def test_a_dream_does_not_depend_on_its_company(parts, starts):
    parameters = candidates(3)
    together = dream(parts, starts, parameters)
    np.testing.assert_array_equal(dream(parts, starts, parameters[:2]), together[:2])
    np.testing.assert_array_equal(dream(parts, starts, parameters[[2, 0, 1]]), together[[2, 0, 1]])


ENSEMBLE = {"members": 2, "options": {"hidden": 16}}
WORLDS = {
    "lstm": ("lstm", {"hidden": 16}, {}),
    "feed-forward": ("feed-forward", {"hidden": 16}, {}),
    "transformer": ("transformer", {"hidden": 16, "heads": 2, "context": 3}, {}),
    "diffusion": ("diffusion", {"hidden": 12, "width": 16, "history": 3}, {}),
    "ensemble": ("ensemble", ENSEMBLE, {}),
    "ensemble-of-lstms": ("ensemble", {**ENSEMBLE, "member": "lstm"}, {}),
    "no-reward-limit": ("mdn-rnn", {"hidden": 16}, {"no_reward_limit": 3}),
    "residual": ("mdn-rnn", {"hidden": 16}, {"noise": "residual", "temperature": 0.7}),
    "residual-lstm": ("lstm", {"hidden": 16}, {"noise": "residual"}),
    "residual-ensemble": ("ensemble", ENSEMBLE, {"noise": "residual"}),
}


@pytest.mark.parametrize("agent", ["its own", "another", "a copy"])
@pytest.mark.parametrize("name", WORLDS)
def test_every_world_dreams_what_a_plain_loop_dreams(parts, starts, name, agent, monkeypatch):
    monkeypatch.setattr("worldmodels.dream.residuals.PART", 8)  # so that there are several parts
    kind, options, changes = WORLDS[name]
    config = dataclasses.replace(CONFIG, **changes)
    world = lively(kind, **options)
    first = world.members[0] if kind == "ensemble" else world
    reads = {"its own": first, "another": lively("mdn-rnn", seed=5, hidden=16), "a copy": copy.deepcopy(first)}[agent]
    parameters = candidates(2)
    if kind == "ensemble":
        assert set(draw_members(SEEDS, world).tolist()) == {0, 1}
    found = dream((parts[0], world), starts, parameters, config, memory=reads)
    with torch.inference_mode():
        expected = [
            [by_hand((parts[0], world), starts, row, seed, config, reads) for seed in SEEDS] for row in parameters
        ]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-3)
    assert len(np.unique(found.round(6))) == 8


def test_members_are_functions_of_the_seed():
    world = lively("ensemble", members=4, options={"hidden": 64})
    chosen = draw_members(range(2000), world)
    shares = torch.bincount(chosen).float() / 2000
    assert ((shares - 0.25).abs() < 0.04).all()
    assert draw_members([1999], world)[0] == chosen[-1]


def test_an_ensemble_costs_one_memory(parts, starts, monkeypatch):
    world = lively("ensemble", members=3, options={"hidden": 16})
    rows, advances = [], []
    call, advance = FusedStep.__call__, FusedStep.advance
    monkeypatch.setattr(FusedStep, "__call__", lambda self, z, *rest: rows.append(len(z)) or call(self, z, *rest))
    monkeypatch.setattr(FusedStep, "advance", lambda self, z, *rest: advances.append(len(z)) or advance(self, z, *rest))
    seeds = range(30, 36)
    members = draw_members(seeds, world)
    dream((parts[0], world), starts, candidates(1), seeds=seeds, memory=copy.deepcopy(world.members[0]))
    assert sum(rows) == CONFIG.horizon * BLOCK * len(seeds)
    # Besides, the agent's memory takes in the dreams that are not member 0's, which it is.
    others = int((members != 0).sum())
    assert sum(advances) - sum(rows) == CONFIG.horizon * BLOCK * others
    assert 0 < others < 6


def test_an_ensemble_dreams_in_bfloat16_too(parts, starts, monkeypatch):
    world, used = lively("ensemble", **ENSEMBLE), []
    made = FusedStep.__init__
    monkeypatch.setattr(FusedStep, "__init__", lambda self, *given: used.append(given[1]) or made(self, *given))
    dream((parts[0], world), starts, candidates(1), memory=world.members[0], dtype=torch.bfloat16)
    assert used and set(used) == {torch.bfloat16}


def test_a_shuffled_memory_is_read_by_seed_and_step(parts, starts):
    bank = torch.randn(40, 16, generator=torch.Generator().manual_seed(1))
    agent, parameters = ShuffledMemory(bank), candidates(2)
    seen = []
    inner = agent.feature
    agent.feature = lambda state: seen.append(inner(state)) or seen[-1]
    dream(parts, starts, parameters, memory=agent)
    first = ShuffledMemory(bank)
    state = first.seeded(torch.tensor(SEEDS))
    initial = Noise.draw(SEEDS, starts, CONFIG).initial
    for _ in range(CONFIG.warmup):
        state = first.advance(torch.zeros(4, 4), torch.zeros(4, 3), state)
    state = choose_rows(initial, first.seeded(torch.tensor(SEEDS)), state)
    for features in seen:
        assert torch.equal(features, first.feature(state).repeat(BLOCK, 1))
        state = first.advance(torch.zeros(4, 4), torch.zeros(4, 3), state)
    assert len(seen) == CONFIG.horizon


def test_a_frame_stack_is_filled_with_the_frames_before_the_dream(parts, starts):
    config = dataclasses.replace(CONFIG, initial_state_fraction=0.0)
    features = FeaturesConfig(reads="frame-stack", stack=3)
    perception, seen = Perception(parts[0], None, features, 3 * len(SEEDS)), []
    controller = make_controller(ControllerConfig(), 12, SPEC)
    inner = controller.act_population
    controller.act_population = lambda read, parameters: seen.append(read) or inner(read, parameters)
    imagination = Imagination(parts[1], perception, controller, starts, config, len(SEEDS))
    imagination(np.zeros((1, controller.parameters_size)), SEEDS)
    path = torch.from_numpy(starts.z)[Noise.draw(SEEDS, starts, config).warm_index]
    assert torch.equal(seen[0][0], path[:, -3:].flatten(1))


def test_terminated_dreams_earn_no_more_and_are_charged(parts, starts):
    class Ends(Simulator):
        """Gives 1 a step and ends every dream at its third step."""

        feature_size = 16

        def initial(self, rows):
            return (torch.zeros(rows, 1),)

        def advance(self, z, action, state):
            return (state[0],)

        def feature(self, state):
            return torch.zeros(len(state[0]), 16)

        def step(self, z, action, state):
            logit = torch.where(state[0][:, 0] >= 2, 100.0, -100.0)

            class Sure:
                reward, termination_logit = torch.ones(len(z)), logit

                def sample(self, temperature, uniform, normal):
                    return z

            return Sure(), (state[0] + 1,)

    world = Ends()
    found = dream((parts[0], world), starts, candidates(1), memory=world)
    np.testing.assert_allclose(found, 3 - 2.0 * 0.8, rtol=1e-6)


def test_temperature_changes_the_dream(parts, starts):
    hot = dataclasses.replace(CONFIG, temperature=1.5)
    assert (dream(parts, starts, candidates(1)) != dream(parts, starts, candidates(1), hot)).any()


def test_the_fraction_of_dreams_that_start_at_first_frames(starts):
    noise = Noise.draw(list(range(4000)), starts, dataclasses.replace(CONFIG, horizon=1, initial_state_fraction=0.3))
    assert abs(float(noise.initial.float().mean()) - 0.3) < 0.03
