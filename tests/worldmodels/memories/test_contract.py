"""What every memory must do, whichever it is."""

import pytest
import torch

from generative import component_bytes, component_from_bytes
from tests.worldmodels.memories.batches import ACTION, LATENT, action_world, generator, random_batch, train
from worldmodels.memories import MDNRNN, choose_rows, draws_of
from worldmodels.memories.baselines import baselines, fit_persistence
from worldmodels.memories.contract import NOISE
from worldmodels.memories.fit import check_dream, check_memory
from worldmodels.memories.registry import MEMORIES

OPTIONS = {
    "mdn-rnn": {"hidden": 16, "mixtures": 2},
    "lstm": {"hidden": 16},
    "feed-forward": {"hidden": 16, "mixtures": 2},
    "transformer": {"hidden": 16, "heads": 2, "context": 4, "mixtures": 2},
    "diffusion": {"hidden": 16, "width": 16, "history": 3},
    "frame-diffusion": {"hidden": 16, "width": 8, "history": 3, "side": 8},
    "ensemble": {"members": 2, "options": {"hidden": 16, "mixtures": 2}},
    "ensemble-transformer": {"member": "transformer", "members": 2, "options": {"hidden": 8, "heads": 2, "context": 4}},
}
PIXELS = {"frame-diffusion": 64}
"""Latents that are frames have so many numbers."""
STEPS = 15  # beyond what two layers of four tokens look back


def make(name: str, seed: int = 0, latent: int = 0, action: int = ACTION, **more):
    options = {**OPTIONS[name], "latent": latent or latents(name), "action": action, **more}
    return MEMORIES.create(name.removesuffix("-transformer"), options, seed)


def latents(name: str) -> int:
    return PIXELS.get(name, LATENT)


def random_steps(name: str, **sizes: int):
    return random_batch(latent=latents(name), **sizes)


def together(prediction):
    return (prediction.mixture.mean, prediction.mixture.log_std, prediction.reward, prediction.termination_logit)


every = pytest.mark.parametrize("name", OPTIONS)


@every
def test_steps_equal_the_sequence(name):
    memory, batch = make(name), random_steps(name, episodes=5, steps=STEPS)
    z = batch.mean[:, :-1]
    whole, end = memory.forward_sequence(z, batch.action)
    state = memory.initial(5)
    for t in range(STEPS):
        advanced = memory.advance(z[:, t], batch.action[:, t], state)
        prediction, state = memory.step(z[:, t], batch.action[:, t], state)
        torch.testing.assert_close(memory.feature(advanced), memory.feature(state))
        for part, same in zip(together(prediction), together(whole), strict=True):
            torch.testing.assert_close(part, same[:, t], atol=1e-5, rtol=1e-5)
        log_prob = prediction.log_prob(batch.mean[:, t + 1])
        torch.testing.assert_close(log_prob, whole.log_prob(batch.mean[:, 1:])[:, t], atol=1e-4, rtol=1e-5)
    for part, same in zip(state, end, strict=True):
        torch.testing.assert_close(part, same, atol=1e-5, rtol=1e-5)
    assert memory.feature(state).shape == (5, memory.feature_size)


@every
def test_a_sequence_continues_from_a_state(name):
    memory, batch = make(name), random_steps(name, steps=STEPS)
    z = batch.mean[:, :-1]
    whole, end = memory.forward_sequence(z, batch.action)
    _, state = memory.forward_sequence(z[:, :7], batch.action[:, :7])
    rest, same_end = memory.forward_sequence(z[:, 7:], batch.action[:, 7:], state)
    for part, same in zip(together(rest), together(whole), strict=True):
        torch.testing.assert_close(part, same[:, 7:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(same_end, end, atol=1e-5, rtol=1e-5)


@every
def test_every_prediction_has_seen_this_step_and_none_after_it(name):
    memory, batch = make(name), random_steps(name, episodes=1)
    z = batch.mean[:, :-1]
    changed = batch.action.clone()
    changed[:, 3] += 1.0
    before, after = memory.forward_sequence(z, batch.action)[0].reward, memory.forward_sequence(z, changed)[0].reward
    differs = ((before - after).abs() > 1e-6)[0].tolist()
    assert differs[:4] == [False, False, False, True]
    assert differs[4] == (name != "feed-forward")  # which forgets


@every
def test_a_row_can_start_anew_while_the_others_go_on(name):
    memory, batch = make(name), random_steps(name, episodes=3, steps=STEPS)
    z, action = batch.mean, batch.action
    state, alone = memory.initial(3), memory.initial(1)
    for t in range(STEPS):
        if t == 6:
            state = choose_rows(torch.tensor([False, True, False]), memory.initial(3), state)
        state = memory.advance(z[:, t], action[:, t], state)
        if t >= 6:
            alone = memory.advance(z[1:2, t], action[1:2, t], alone)
    untouched = memory.forward_sequence(z[:, :-1], action)[1]
    torch.testing.assert_close(memory.feature(state)[1:2], memory.feature(alone), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(memory.feature(state)[[0, 2]], memory.feature(untouched)[[0, 2]], atol=1e-5, rtol=1e-5)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in OPTIONS if name not in PIXELS])
def test_learns_a_world_where_the_action_decides(name):
    batches = [action_world(16, 24, seed) for seed in range(3)]
    memory = make(name, latent=1, action=1)
    memory.set_reward_scale(-1.0, 3.0)
    train(memory, batches, epochs=70)
    memory.eval()
    figures = baselines(memory, action_world(16, 24, seed=99), generator(5), fit_persistence(batches))
    assert -1.65 < figures["nll"] < -0.9  # the best there is has -1.577 nats
    assert figures["nll_shuffled_action"] > figures["nll"] + 5
    assert figures["reward_explained"] > 0.97
    assert figures["termination_auroc"] == 1.0


@every
def test_gradients_are_finite_and_reach_every_parameter(name):
    memory, batch = make(name), random_steps(name)
    for scale in (1.0, 1e3):
        memory.zero_grad()
        memory.loss(batch._replace(mean=batch.mean * scale), generator())[0].backward()
        for parameter_name, parameter in memory.named_parameters():
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), parameter_name
            assert parameter.grad.abs().sum() > 0, parameter_name


@every
def test_it_comes_back_from_bytes_with_its_scales(name):
    memory, batch = make(name, seed=3), random_steps(name)
    memory.set_reward_scale(0.5, 2.0)
    same = component_from_bytes(component_bytes(memory), MEMORIES)
    found, expected = (each.eval().forward_sequence(batch.mean[:, :-1], batch.action)[0] for each in (same, memory))
    torch.testing.assert_close(together(found), together(expected), rtol=0, atol=0)
    assert (memory.step(batch.mean[:, 0], batch.action[:, 0], memory.initial(4))[0].reward > 0).any()


@every
@torch.no_grad()
def test_it_says_which_noise_it_draws(name):
    memory, size = make(name).eval(), (64, latents(name))
    prediction, _ = memory.step(torch.randn(size), torch.randn(64, ACTION), memory.initial(64))
    nothing = dict.fromkeys(NOISE, torch.full(size, float("nan")))
    noise = {"uniform": torch.rand(size), "normal": torch.randn(size)}
    used = {kind: noise[kind] for kind in draws_of(memory)}
    found = prediction.sample(1.0, **{**nothing, **used})
    torch.testing.assert_close(found, prediction.sample(1.0, **noise), rtol=0, atol=0)
    for kind in used:
        assert not torch.equal(found, prediction.sample(1.0, **{**noise, kind: noise[kind].flip(0)})), kind


def test_who_draws_more_than_it_says_is_refused(monkeypatch):
    monkeypatch.setattr(MDNRNN, "draws", ("uniform",), raising=False)
    with pytest.raises(ValueError, match="says that it draws uniform alone"):
        check_memory(make("mdn-rnn").eval(), LATENT, ACTION)


@every
def test_it_fits_what_it_was_made_for(name):
    memory = make(name).eval()
    check_memory(memory, latents(name), ACTION)
    check_dream(memory, latents(name), ACTION)
    with pytest.raises(ValueError, match="cannot take a step with latents of 4"):
        check_memory(memory, 4, ACTION)
