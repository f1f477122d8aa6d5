import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from worldmodels.dream.dream import Noise, imagine

from agents import ControllerConfig, make_controller
from tests.worldmodels.dreaming import CONFIG, SEEDS, SPEC, candidates, dream, lively
from worldmodels.agent.features import FeaturesConfig, Perception
from worldmodels.dream.residuals import Bootstrap
from worldmodels.dream.step import FusedStep
from worldmodels.dream.world import draw_variants
from worldmodels.memories import ShuffledMemory, choose_rows


def test_steering_costs_while_a_dream_lasts(parts, starts):
    """A controller that only steers hard pays for each step, one that never steers pays nothing."""
    parameters = np.zeros((2, candidates(1).shape[1]), dtype=np.float32)
    parameters[1, 0] = 100  # the bias of the steering
    endless = dataclasses.replace(CONFIG, terminates=False)
    free, charged = (dream(parts, starts, parameters, endless, action_cost=cost) for cost in (0.0, 0.25))
    np.testing.assert_array_equal(charged[0], free[0])
    np.testing.assert_allclose(free[1] - charged[1], 0.25 * endless.horizon, rtol=1e-5)
    free, charged = (dream(parts, starts, parameters, action_cost=cost) for cost in (0.0, 0.25))
    paid = (free - charged)[1] / 0.25
    assert (paid >= 0.99).all() and paid.min() < CONFIG.horizon - 1  # a dream that is over costs nothing more


def by_hand(parts, starts, parameters, seed, config=CONFIG, agent=None):
    """One candidate in one dream, one step at a time, as plainly as it can be said."""
    noise = Noise.draw([seed], starts, config)
    variants = draw_variants([seed], parts[1], config.dropout)
    members = list(getattr(parts[1], "members", [parts[1]]))
    agent = agent or members[0]
    mask = 1.0 if variants.mask is None else variants.mask

    def warm(memory, mask=1.0):
        state = memory.initial(1)
        for step in range(0 if noise.still[0] else actions.shape[1]):
            state = memory.advance(path[:, step], actions[:, step], state)
            state = memory.with_feature(state, memory.feature(state) * mask)
        return state

    path, actions = torch.from_numpy(starts.z)[noise.warm_index], torch.from_numpy(starts.action)[noise.warm_index]
    z = torch.from_numpy(starts.still)[noise.still_index] if noise.still[0] else path[:, -1]
    states, known = [warm(member, mask) for member in members], warm(agent)
    total, idle, gained, spread = 0.0, 0, 0.0, torch.from_numpy(starts.spread())
    controller = make_controller(ControllerConfig(), 4 + agent.feature_size, SPEC)
    for step in range(config.horizon):
        action = controller.act(torch.cat([z, agent.feature(known)], 1), torch.from_numpy(parameters[None]))
        known = agent.advance(z, action, known)
        said = []
        for number, member in enumerate(members):
            state = member.advance(z, action, states[number])
            states[number] = member.with_feature(state, member.feature(state) * mask)
            said.append(member.predict(member.feature(states[number]), z))
        apart = torch.stack([each.expected_latent() for each in said]).std(0, correction=0) / spread
        prediction = said[int(variants.member[0])]
        if config.noise == "real":
            real = Bootstrap(starts.innovations, starts.spread(), config.among)
            rest = real.draw(z, action, (noise.first + step) % real.parts, variants.member)
            z = prediction.expected_latent() + config.temperature**0.5 * rest
        else:
            z = prediction.sample(config.temperature, noise.uniform[:, step], noise.normal[:, step])
        reward = float(prediction.reward) - config.penalty * float(apart.mean())
        total, idle = total + reward, 0 if reward > 0 else idle + 1
        gave_up = config.patience and idle >= config.patience
        if noise.end[0, step] < torch.sigmoid(prediction.termination_logit) or gave_up:
            charge = config.termination_charge + config.forfeit * float(starts.earned)
            return total - charge * (config.horizon - step - 1) - config.lost * float(starts.earned)
        gained += reward
        if 0 < config.goal <= gained:
            return total
    return total


def test_the_batched_kernel_dreams_what_a_plain_loop_dreams(parts, starts):
    parameters = candidates(3)
    found = dream(parts, starts, parameters)
    with torch.inference_mode():
        expected = [[by_hand(parts, starts, row, seed) for seed in SEEDS] for row in parameters]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    assert len(np.unique(found.round(4))) == 12


@pytest.mark.parametrize("charge", [{"forfeit": 1.2}, {"lost": 7.0}, {"forfeit": 0.4, "lost": 2.0}])
def test_an_end_costs_what_drivers_earn(parts, starts, charge):
    """By hand: every dream that ends pays what drivers earn, for the steps that it does not play and for a number."""
    rich = dataclasses.replace(starts, earned=np.array(2.5, np.float32))
    config = dataclasses.replace(CONFIG, **charge)
    parameters = candidates(3)
    found = dream(parts, rich, parameters, config)
    with torch.inference_mode():
        expected = [[by_hand(parts, rich, row, seed, config) for seed in SEEDS] for row in parameters]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    plain = dream(parts, starts, parameters, config)
    assert (found < plain).any() and (found <= plain).all()


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
    "ensemble": ("ensemble", ENSEMBLE, {}),
    "penalty-lstm": ("ensemble", {**ENSEMBLE, "member": "lstm"}, {"penalty": 2.0}),
    "penalty": ("ensemble", ENSEMBLE, {"penalty": 2.0}),
    "dropout": ("mdn-rnn", {"hidden": 16}, {"dropout": 0.3}),
    "dropout-transformer": ("transformer", {"hidden": 16, "heads": 2, "context": 3}, {"dropout": 0.3}),
    "dropout-ensemble": ("ensemble", ENSEMBLE, {"dropout": 0.3}),
    "all": ("ensemble", ENSEMBLE, {"dropout": 0.3, "penalty": 2.0}),
    "impatient": ("mdn-rnn", {"hidden": 16}, {"patience": 3}),
    "goal": ("mdn-rnn", {"hidden": 16}, {"goal": 0.3}),
    "real": ("mdn-rnn", {"hidden": 16}, {"noise": "real", "temperature": 0.7, "among": 8}),
    "real-lstm": ("lstm", {"hidden": 16, "predict": "difference"}, {"noise": "real", "among": 8}),
    "real-ensemble": ("ensemble", ENSEMBLE, {"noise": "real", "among": 8, "dropout": 0.3}),
    "real-penalty": ("ensemble", ENSEMBLE, {"noise": "real", "among": 50, "penalty": 2.0}),
}


@pytest.mark.parametrize("agent", ["its own", "another", "a copy"])
@pytest.mark.parametrize("name", WORLDS)
def test_every_world_dreams_what_a_plain_loop_dreams(parts, starts, name, agent):
    kind, options, changes = WORLDS[name]
    config = dataclasses.replace(CONFIG, **changes)
    world = lively(kind, **options)
    first = world.members[0] if kind == "ensemble" else world
    reads = {"its own": first, "another": lively("mdn-rnn", seed=5, hidden=16), "a copy": copy.deepcopy(first)}[agent]
    parameters = candidates(2)
    if kind == "ensemble":
        assert set(draw_variants(SEEDS, world).member.tolist()) == {0, 1}
    found = dream((parts[0], world), starts, parameters, config, memory=reads)
    with torch.inference_mode():
        expected = [
            [by_hand((parts[0], world), starts, row, seed, config, reads) for seed in SEEDS] for row in parameters
        ]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-3)
    assert len(np.unique(found.round(6))) == 8


def test_members_and_masks_are_functions_of_the_seed():
    world = lively("ensemble", members=4, options={"hidden": 64})
    variants = draw_variants(range(2000), world, 0.25)
    shares = torch.bincount(variants.member).float() / 2000
    assert ((shares - 0.25).abs() < 0.04).all()
    assert set(variants.mask.unique().tolist()) == {0.0, float(np.float32(1) / np.float32(0.75))}
    assert abs(float((variants.mask == 0).float().mean()) - 0.25) < 0.01
    assert abs(float(variants.mask.mean()) - 1) < 0.01
    assert not torch.equal(variants.mask[0], variants.mask[1])
    again = draw_variants([1999], world, 0.25)
    assert torch.equal(again.mask[0], variants.mask[-1]) and again.member[0] == variants.member[-1]
    assert draw_variants([1], world).mask is None


@pytest.mark.parametrize(("penalty", "stepped", "advanced"), [(0.0, 1, 2), (1.0, 3, 0)])
def test_an_ensemble_costs_one_memory_and_with_a_penalty_all(parts, starts, monkeypatch, penalty, stepped, advanced):
    world = lively("ensemble", members=3, options={"hidden": 16})
    rows, advances = [], []
    call, advance = FusedStep.__call__, FusedStep.advance
    monkeypatch.setattr(FusedStep, "__call__", lambda self, z, *rest: rows.append(len(z)) or call(self, z, *rest))
    monkeypatch.setattr(FusedStep, "advance", lambda self, z, *rest: advances.append(len(z)) or advance(self, z, *rest))
    seeds = range(30, 36)
    members = draw_variants(seeds, world).member
    config = dataclasses.replace(CONFIG, penalty=penalty)
    dream((parts[0], world), starts, candidates(1), config, seeds=seeds, memory=copy.deepcopy(world.members[0]))
    every = CONFIG.horizon * CONFIG.block * len(seeds)
    assert sum(rows) == stepped * every
    # Besides, the agent's memory takes in the dreams that are not member 0's, which it is.
    others = int((members != 0).sum()) if advanced else 0
    assert sum(advances) - sum(rows) == CONFIG.horizon * CONFIG.block * others
    assert advanced == 0 or 0 < others < 6


def test_a_penalty_needs_somebody_who_disagrees(parts, starts):
    with pytest.raises(ValueError, match=r"dream\.penalty: only the members of an ensemble can disagree"):
        dream(parts, starts, candidates(1), dataclasses.replace(CONFIG, penalty=1.0))


def test_an_ensemble_dreams_in_bfloat16_too(parts, starts, monkeypatch):
    world, used = lively("ensemble", **ENSEMBLE), []
    made = FusedStep.__init__
    monkeypatch.setattr(FusedStep, "__init__", lambda self, *given: used.append(given[1]) or made(self, *given))
    monkeypatch.setattr("worldmodels.dream.dream.native_bfloat16", lambda: True)
    dream((parts[0], world), starts, candidates(1), dataclasses.replace(CONFIG, dtype="auto"), memory=world.members[0])
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
    still = Noise.draw(SEEDS, starts, CONFIG).still
    for _ in range(CONFIG.warmup):
        state = first.advance(torch.zeros(4, 4), torch.zeros(4, 3), state)
    state = choose_rows(still, first.seeded(torch.tensor(SEEDS)), state)
    for features in seen:
        assert torch.equal(features, first.feature(state).repeat(CONFIG.block, 1))
        state = first.advance(torch.zeros(4, 4), torch.zeros(4, 3), state)
    assert len(seen) == CONFIG.horizon


def test_a_frame_stack_is_filled_with_the_frames_before_the_dream(parts, starts):
    config = dataclasses.replace(CONFIG, standstill=0.0)
    features = FeaturesConfig(reads="frame-stack", stack=3)
    perception, seen = Perception(parts[0], None, features, 3 * len(SEEDS)), []
    controller = make_controller(ControllerConfig(), 12, SPEC)
    inner = controller.act_population
    controller.act_population = lambda read, parameters: seen.append(read) or inner(read, parameters)
    imagine(parts[1], perception, controller, np.zeros((1, controller.parameters_size)), SEEDS, starts, config)
    path = torch.from_numpy(starts.z)[Noise.draw(SEEDS, starts, config).warm_index]
    assert torch.equal(seen[0][0], path[:, -3:].flatten(1))


def test_terminated_dreams_earn_no_more_and_are_charged(parts, starts):
    class Ends(nn.Module):
        """Gives 1 a step and ends every dream at its third step."""

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
    np.testing.assert_allclose(found, 3 - 0.1 * (12 - 3), rtol=1e-6)
    endless = dataclasses.replace(CONFIG, terminates=False)
    np.testing.assert_allclose(dream((parts[0], world), starts, candidates(1), endless, memory=world), 12)


def test_temperature_changes_the_dream(parts, starts):
    hot = dataclasses.replace(CONFIG, temperature=1.5)
    assert (dream(parts, starts, candidates(1)) != dream(parts, starts, candidates(1), hot)).any()


def test_the_share_of_standstill_starts(starts):
    noise = Noise.draw(list(range(4000)), starts, dataclasses.replace(CONFIG, horizon=1, standstill=0.3))
    assert abs(float(noise.still.float().mean()) - 0.3) < 0.03
