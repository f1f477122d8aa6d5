"""The multi-step loss, on a world that turns and is seen through noise.

A model of single steps learns from noisy latents that they overstate how far out the point is, so it pulls every step
towards the middle (regression dilution), and dreams on its own predictions, which have no noise, die out.
"""

import dataclasses

import pytest
import torch
from worldmodels.components import MEMORIES

from tests.worldmodels.memories.batches import generator, random_batch, train
from worldmodels.memories import SequenceBatch
from worldmodels.memories.fit import check_sequences

NOISE, ANGLE = 0.7, 0.4


def turning_world(episodes: int, steps: int, seed: int, noise: float = NOISE) -> SequenceBatch:
    """Points around zero that turn by the same angle at every step; the reward is the second coordinate."""
    start = torch.randn(episodes, 2, 1, generator=generator(seed))  # any distance from the middle
    angle = ANGLE * torch.arange(steps + 1)
    x, y = start[:, 0], start[:, 1]  # (B 1)
    mean = torch.stack([x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()], dim=-1)
    return SequenceBatch(
        mean=mean,
        std=torch.full_like(mean, noise),
        action=torch.zeros(episodes, steps, 1),
        reward=mean[:, :-1, 1],
        termination=torch.zeros(episodes, steps),
        mask=torch.ones(episodes, steps, dtype=torch.bool),
    )


def open_loop_error(memory, steps: int = 8) -> float:
    """Mean squared error of `steps` predictions on its own predictions, after one clean latent."""
    batch = turning_world(64, steps, seed=99)
    state, z, errors = memory.initial(64), batch.mean[:, 0], []
    with torch.inference_mode():
        for step in range(steps):
            prediction, state = memory.step(z, batch.action[:, step], state)
            z = prediction.expected_latent()
            errors.append((z - batch.mean[:, step + 1]).square().mean())
    return float(torch.stack(errors).mean())


def make(name: str, **options):
    return MEMORIES.create(name, {"latent": 2, "action": 1, "hidden": 24, "termination": False, **options}, seed=0)


def test_a_model_that_learns_from_its_own_predictions_drifts_less():
    batches = [turning_world(32, 12, seed) for seed in range(4)]
    single = make("feed-forward", layers=1, mixtures=1)
    several = make("feed-forward", layers=1, mixtures=1, rollout=8, rollout_weight=4.0)
    for memory in (single, several):
        train(memory, batches, epochs=25, rate=3e-2)
    assert open_loop_error(single) > 0.4  # of a variance of 1
    assert open_loop_error(several) < 0.5 * open_loop_error(single)


@pytest.mark.parametrize("name", ["mdn-rnn", "lstm", "feed-forward", "transformer"])
def test_the_loss_is_that_of_a_plain_loop(name):
    memory = make(name, latent=3, action=2, rollout=3, rollout_weight=0.7, reward_weight=0.4, **HEADS.get(name, {}))
    memory.set_reward_scale(0.2, 2.0)
    batch = random_batch(episodes=5, steps=4)  # room for one place only: the first step
    mask = batch.mask.clone()
    mask[1, 2:] = False
    batch = batch._replace(std=torch.zeros_like(batch.std), mask=mask)
    loss, metrics = memory.loss(batch, generator())
    plain = MEMORIES.create(name, dataclasses.replace(memory.config, rollout=0))
    plain.load_state_dict(memory.state_dict())
    nll, reward, count = 0.0, 0.0, 0
    prediction, state = memory.step(batch.mean[:, 0], batch.action[:, 0], memory.initial(5))
    for step in (1, 2, 3):
        prediction, state = memory.step(prediction.expected_latent(), batch.action[:, step], state)
        known = mask[:, step]
        nll += -prediction.log_prob(batch.mean[:, step + 1]).mean(-1)[known].sum()
        reward += ((prediction.reward - batch.reward[:, step]) / 2.0).square()[known].sum()
        count += int(known.sum())
    torch.testing.assert_close(metrics["rollout_nll"], (nll / count).detach())
    torch.testing.assert_close(metrics["rollout_reward_loss"], (reward / count).detach())
    expected = plain.loss(batch, generator())[0] + 0.7 * (nll + 0.4 * reward) / count
    torch.testing.assert_close(loss, expected)


HEADS = {"transformer": {"heads": 2, "context": 3}}


def test_gradients_flow_through_the_predictions():
    memory = make("lstm", rollout=4, reward=False)
    batch = turning_world(4, 6, seed=0)
    z = batch.mean.clone().requires_grad_()
    _, state = memory.forward_sequence(z[:, :1], batch.action[:, :1])
    memory.rollout_loss(z, batch, 0, state)[0].backward()
    assert (z.grad[:, 0] != 0).all()  # through four predictions, its only way


def test_the_place_is_drawn_from_all_that_leave_room():
    memory, batch, seen = make("lstm", rollout=2), turning_world(2, 6, seed=0), set()
    inner = memory.rollout_loss
    memory.rollout_loss = lambda z, batch, place, state: seen.add(place) or inner(z, batch, place, state)
    for seed in range(60):
        memory.loss(batch, generator(seed))
    assert seen == {0, 1, 2, 3}


def test_sequences_without_room_are_refused():
    memory = make("lstm", rollout=6)
    with pytest.raises(ValueError, match="rollout=6: sequences have only 6 steps"):
        memory.loss(turning_world(2, 6, seed=0), generator())
    with pytest.raises(ValueError, match="rollout=6: sequences have 6 steps"):
        check_sequences(memory.config, 6)
    check_sequences(memory.config, 7)
    ensemble = MEMORIES.config_class("ensemble")(options={"rollout": 6})
    with pytest.raises(ValueError, match="rollout=6"):
        check_sequences(ensemble, 6)
