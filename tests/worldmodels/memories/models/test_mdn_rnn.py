import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.worldmodels.memories.batches import action_world, generator, random_batch, train
from worldmodels.memories import (
    MDNRNN,
    MDNRNNConfig,
    Prediction,
    SequenceBatch,
    masked_mean,
    sample_latents,
)
from worldmodels.memories.baselines import baselines, fit_persistence, shuffle_actions
from worldmodels.memories.heads import STD_FLOOR

SMALL = MDNRNNConfig(latent=3, action=2, hidden=16, mixtures=2)


def make(config: MDNRNNConfig = SMALL, seed: int = 0) -> MDNRNN:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MDNRNN(config)


def after_warm_up(memory: MDNRNN, batch: SequenceBatch) -> Prediction:
    """Predict, with `step`, what follows actions 1 and -1 after the first real steps of two episodes."""
    _, state = memory.forward_sequence(batch.mean[:2, :5], batch.action[:2, :5])
    return memory.step(batch.mean[:2, 5], torch.tensor([[1.0], [-1.0]]), state)[0]


def test_parameters_are_the_papers_422368_and_a_second_bias_and_the_heads():
    memory = MDNRNN(MDNRNNConfig(latent=32, action=3))
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in memory.named_children()}
    second_bias = 4 * 256
    assert count["lstm"] - second_bias == 299_008
    assert count["mixture_head"] == 123_360
    assert count["lstm"] - second_bias + count["mixture_head"] == 422_368
    assert count["reward_head"] == count["termination_head"] == 257
    assert sum(p.numel() for p in memory.parameters()) == 422_368 + 1_024 + 257 + 257
    assert {name for name, _ in memory.named_buffers()} == {
        "reward_mean",
        "reward_std",
        "event_value",
        "step_cost",
    }


@pytest.mark.parametrize("reward_target", ["smoothed", "event-rate"])
def test_steps_equal_the_sequence(reward_target):
    memory = make(dataclasses.replace(SMALL, hidden=64, reward_target=reward_target))
    batch = random_batch(episodes=5, steps=20)
    z = batch.mean[:, :-1]
    whole, end = memory.forward_sequence(z, batch.action)
    state = memory.initial(5)
    for t in range(20):
        advanced = memory.advance(z[:, t], batch.action[:, t], state)
        prediction, state = memory.step(z[:, t], batch.action[:, t], state)
        assert torch.equal(memory.feature(advanced), memory.feature(state))
        for part, same in zip(prediction.mixture, whole.mixture, strict=True):
            torch.testing.assert_close(part, same[:, t], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(prediction.reward, whole.reward[:, t], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(prediction.termination_logit, whole.termination_logit[:, t], atol=1e-5, rtol=1e-5)
    for part, same in zip(state, end, strict=True):
        torch.testing.assert_close(part, same, atol=1e-5, rtol=1e-5)


def test_a_sequence_continues_from_a_state():
    memory, batch = make(), random_batch(steps=8)
    z = batch.mean[:, :-1]
    whole, end = memory.forward_sequence(z, batch.action)
    _, state = memory.forward_sequence(z[:, :5], batch.action[:, :5])
    rest, same_end = memory.forward_sequence(z[:, 5:], batch.action[:, 5:], state)
    torch.testing.assert_close(rest.mixture.mean, whole.mixture.mean[:, 5:])
    torch.testing.assert_close(same_end, end)


def test_every_prediction_has_seen_this_step_and_none_after_it():
    memory, batch = make(), random_batch(episodes=1, steps=6)
    z, action = batch.mean[:, :-1], batch.action
    before, _ = memory.forward_sequence(z, action)
    changed = action.clone()
    changed[:, 3] += 1.0
    after, _ = memory.forward_sequence(z, changed)
    differs = (after.reward != before.reward)[0]
    np.testing.assert_array_equal(differs, [False, False, False, True, True, True])


def test_rows_do_not_depend_on_other_rows():
    memory, batch = make(dataclasses.replace(SMALL, hidden=64)), random_batch(episodes=33, steps=3)
    z, action, state = batch.mean[:, 0], batch.action[:, 0], memory.initial(33)
    first, (h, c) = memory.step(z, action, state)
    others = torch.arange(33) != 20
    z, action = z.clone(), action.clone()
    z[others], action[others] = 7.0, -7.0
    second, (same_h, same_c) = memory.step(z, action, state)
    assert torch.equal(h[20], same_h[20]) and torch.equal(c[20], same_c[20])
    for part, same in zip(first.mixture, second.mixture, strict=True):
        assert torch.equal(part[20], same[20])
    assert not torch.equal(h[19], same_h[19])


@pytest.mark.slow
def test_learns_a_world_where_the_action_decides():
    batches = [action_world(16, 32, seed) for seed in range(4)]
    held_out = action_world(16, 32, seed=99)
    memory = make(MDNRNNConfig(latent=1, action=1, hidden=16, mixtures=2))
    memory.set_reward_scale(-1.0, 3.0)
    metrics = train(memory, batches, epochs=60)
    figures = baselines(memory, held_out, generator(5), fit_persistence(batches))
    # The best density is N(action, 0.05^2): its entropy is ln(0.05) + 1.419 = -1.577 nats.
    assert -1.60 < figures["nll"] < -1.25
    # z moves by 0 or 2 with equal chance (by 1 at first): its best Gaussian has std 1.41.
    assert figures["nll_persistence"] == pytest.approx(math.log(math.sqrt(2)) + 1.419, abs=0.1)
    assert figures["nll_shuffled_action"] > figures["nll"] + 5
    assert figures["reward_explained"] > 0.98
    assert figures["termination_auroc"] == pytest.approx(1) and figures["termination_auprc"] == pytest.approx(1)
    assert metrics["reward_explained"] > 0.98 and metrics["termination_loss"] < 0.05
    # In the environment's units, and one step at a time: reward 2 and no end for +1, -4 and the end for -1.
    prediction = after_warm_up(memory, held_out)
    torch.testing.assert_close(prediction.reward, torch.tensor([2.0, -4.0]), atol=0.4, rtol=0)
    assert prediction.termination_logit[0] < -1 and prediction.termination_logit[1] > 1
    sample = prediction.sample(1.0, torch.full((2, 1), 0.5), torch.zeros(2, 1))
    torch.testing.assert_close(sample, torch.tensor([[1.0], [-1.0]]), atol=0.15, rtol=0)
    torch.testing.assert_close(prediction.expected_latent(), sample, atol=0.15, rtol=0)


@pytest.mark.slow
def test_learns_the_event_rate_in_reward_units():
    batches = [action_world(16, 32, seed) for seed in range(2)]
    batches = [batch._replace(reward=0.25 + 0.25 * batch.action[..., 0]) for batch in batches]
    memory = make(MDNRNNConfig(latent=1, action=1, hidden=16, mixtures=1, reward_target="event-rate"))
    memory.set_event_scale(event_value=6.0, step_cost=-0.5)
    metrics = train(memory, batches, epochs=100)
    held_out = action_world(2, 8, seed=99)
    prediction = after_warm_up(memory, held_out)
    torch.testing.assert_close(prediction.reward, torch.tensor([2.5, -0.5]), atol=0.3, rtol=0)
    assert metrics["reward_explained"] > 0.95


def test_an_action_blind_memory_is_found_out():
    batch = action_world(8, 16, seed=0)
    memory = make(MDNRNNConfig(latent=1, action=1, hidden=16, mixtures=2))
    with torch.no_grad():
        memory.lstm.weight_ih_l0[:, 1] = 0.0
    figures = baselines(memory, batch, generator(), fit_persistence([batch]))
    assert figures["nll_shuffled_action"] == pytest.approx(figures["nll"], abs=1e-6)


def test_the_loss_is_its_closed_form():
    """Zero weights leave the heads' biases: every number of the loss can be worked out by hand."""
    memory = make(dataclasses.replace(SMALL, mixtures=1))
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.zero_()
    memory.set_reward_scale(1.0, 2.0)
    batch = random_batch()._replace(std=torch.zeros(4, 7, 3))
    loss, metrics = memory.loss(batch, generator())
    std = torch.tensor(1.0 + STD_FLOOR)
    nll = -torch.distributions.Normal(0.0, std).log_prob(batch.mean[:, 1:]).mean()
    reward_loss = ((batch.reward - 1.0) / 2.0).square().mean()
    ends = batch.termination.mean()
    termination_loss = math.log(2) * (10 * ends + 1 - ends)
    torch.testing.assert_close(metrics["nll"], nll)
    torch.testing.assert_close(metrics["reward_loss"], reward_loss)
    torch.testing.assert_close(metrics["termination_loss"], termination_loss)
    assert metrics["termination_positives"] == batch.termination.sum() > 0
    torch.testing.assert_close(loss, nll + reward_loss + termination_loss)
    variance = batch.reward.var(correction=0)
    explained = 1 - (1.0 - batch.reward).square().mean() / variance
    torch.testing.assert_close(metrics["reward_explained"], explained)


def test_the_event_rate_loss_is_a_cross_entropy():
    memory, batch = make(dataclasses.replace(SMALL, reward_target="event-rate")), random_batch()
    assert memory.reward_head is not None
    with torch.no_grad():
        memory.reward_head.weight.zero_()
        memory.reward_head.bias.fill_(math.log(3))  # a rate of 3/4
    expected = -(batch.reward * math.log(0.75) + (1 - batch.reward) * math.log(0.25)).mean()
    torch.testing.assert_close(memory.loss(batch, generator())[1]["reward_loss"], expected)


def test_padding_changes_neither_loss_nor_gradient_nor_baselines():
    memory, batch = make(), random_batch(episodes=4, steps=6)
    mask = batch.mask.clone()
    mask[1, 4:] = False
    mask[2, 1:] = False
    clean = batch._replace(mask=mask, std=torch.zeros_like(batch.std))
    mean, action, reward, termination = (part.clone() for part in (clean.mean, *clean[2:5]))
    mean[:, 1:][~mask] = 30.0
    action[~mask] = -30.0
    reward[~mask] = 1e4
    termination[~mask] = 1.0
    dirty = clean._replace(mean=mean, action=action, reward=reward, termination=termination)

    results = []
    for version in (clean, dirty):
        memory.zero_grad()
        loss, metrics = memory.loss(version, generator())
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in memory.parameters() if p.grad is not None])
        std = fit_persistence([version])
        results.append((loss, metrics, gradient, std, baselines(memory, version, generator(), std)))
    torch.testing.assert_close(results[0][:4], results[1][:4])
    assert results[0][4] == pytest.approx(results[1][4])
    assert results[0][1]["termination_positives"] == clean.termination[mask].sum()


def test_masked_steps_are_not_counted_in_the_mean():
    values = torch.tensor([[1.0, 2.0, math.inf], [3.0, math.nan, 5.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert masked_mean(values, mask) == 2.0


def test_latents_are_drawn_anew_from_mean_and_std():
    batch = random_batch(episodes=1, steps=1)
    many = batch._replace(mean=batch.mean.expand(20_000, 2, 3), std=batch.std.expand(20_000, 2, 3))
    draw = generator()
    z = sample_latents(many, draw)
    torch.testing.assert_close(z.mean(0), batch.mean[0], atol=0.03, rtol=0)
    torch.testing.assert_close(z.std(0), batch.std[0], atol=0.02, rtol=0)
    assert not torch.equal(z, sample_latents(many, draw))
    assert torch.equal(z, sample_latents(many, generator()))
    memory = make()
    first, second = memory.loss(random_batch(), generator(1))[0], memory.loss(random_batch(), generator(2))[0]
    assert first != second and torch.equal(first, memory.loss(random_batch(), generator(1))[0])


def test_persistence_is_the_best_gaussian_around_this_latent():
    batches = [random_batch(episodes=200, steps=50, seed=seed) for seed in (0, 1)]
    std = fit_persistence(batches)
    z = torch.cat([sample_latents(batch, generator(3)) for batch in batches])
    torch.testing.assert_close(std, z.diff(dim=1).square().mean((0, 1)).sqrt(), rtol=0.02, atol=0)
    figures = baselines(make(), batches[0], generator(4), std)
    best = (torch.log(std) + 0.5 * math.log(2 * math.pi) + 0.5).mean()
    assert figures["nll_persistence"] == pytest.approx(best.item(), rel=0.01)


def test_shuffled_actions_are_those_of_another_episode_at_another_time():
    # Episode e's action at t is 10 e + t; episode 1 is 2 steps long, the others 4.
    action = (10.0 * torch.arange(3)[:, None] + torch.arange(4))[..., None]
    mask = torch.ones(3, 4, dtype=torch.bool)
    mask[1, 2:] = False
    seen = set()
    for seed in range(10):
        shuffled = shuffle_actions(action, mask, generator(seed))[..., 0]
        donors = tuple(int(row[0]) // 10 for row in shuffled)
        seen.add(donors)
        for row, donor in zip(shuffled, donors, strict=True):
            expected = [11, 10, 11, 10] if donor == 1 else [10 * donor + t for t in (2, 3, 0, 1)]
            assert row.tolist() == expected
    assert seen == {(1, 2, 0), (2, 0, 1)}
    alone = shuffle_actions(action[:1], mask[:1], generator())
    assert alone[0, :, 0].tolist() == [2, 3, 0, 1]


def test_what_cannot_be_told_is_not_a_number():
    memory, batch = make(), random_batch()
    plain = batch._replace(termination=torch.zeros(4, 6), reward=torch.full((4, 6), -0.1))
    figures = baselines(memory, plain, generator(), fit_persistence([plain]))
    assert figures["termination_auroc"] == figures["termination_auprc"] == "n/a"
    assert figures["reward_explained"] == "n/a"
    metrics = memory.loss(plain, generator())[1]
    assert metrics["reward_explained"] == 0 and metrics["termination_positives"] == 0
    headless = make(dataclasses.replace(SMALL, reward=False, termination=False))
    figures = baselines(headless, batch, generator(), fit_persistence([batch]))
    assert figures["reward_explained"] == figures["termination_auroc"] == "n/a"
    told = baselines(memory, batch, generator(), fit_persistence([batch]))
    assert all(isinstance(value, float) and math.isfinite(value) for value in told.values())


def test_heads_can_be_left_out():
    memory, batch = make(dataclasses.replace(SMALL, reward=False, termination=False)), random_batch()
    loss, metrics = memory.loss(batch, generator())
    assert set(metrics) == {"nll"} and torch.equal(loss, metrics["nll"])
    prediction, _ = memory.step(batch.mean[:, 0], batch.action[:, 0], memory.initial(4))
    assert torch.isnan(prediction.reward).all()
    assert torch.equal(torch.sigmoid(prediction.termination_logit), torch.zeros(4))


@pytest.mark.slow
def test_the_density_of_a_constant_latent_stays_finite():
    config = MDNRNNConfig(latent=1, action=1, hidden=8, mixtures=2)
    memory, batch = make(config), action_world(8, 16, seed=0)
    batch = batch._replace(mean=torch.zeros(8, 17, 1), std=torch.zeros(8, 17, 1))
    nll = train(memory, [batch], epochs=250)["nll"]
    prediction, _ = memory.forward_sequence(batch.mean[:, :-1], batch.action)
    assert prediction.mixture.log_std.exp().min() >= STD_FLOOR
    floor = math.log(STD_FLOOR) + 0.5 * math.log(2 * math.pi)
    assert floor <= nll < floor + 1.5


def test_gradients_are_finite_for_far_latents_and_reach_every_parameter():
    memory, batch = make(), random_batch()
    for scale in (1.0, 1e3):
        memory.zero_grad()
        memory.loss(batch._replace(mean=batch.mean * scale), generator())[0].backward()
        for name, parameter in memory.named_parameters():
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.abs().sum() > 0, name


def test_temperature_scales_the_spread():
    memory = make(dataclasses.replace(SMALL, mixtures=1))
    prediction, _ = memory.step(torch.zeros(1, 3), torch.zeros(1, 2), memory.initial(1))
    uniform, normal = torch.zeros(1, 3), torch.ones(1, 3)
    centre = prediction.sample(0.0, uniform, normal)
    torch.testing.assert_close(centre, prediction.mixture.mean[..., 0])
    one, four = (prediction.sample(value, uniform, normal) - centre for value in (1.0, 4.0))
    torch.testing.assert_close(one, prediction.mixture.log_std.exp()[..., 0])
    torch.testing.assert_close(four, 2 * one)


def test_the_scales_are_saved_with_the_weights():
    memory, same = make(), make(seed=1)
    memory.set_reward_scale(0.5, 2.0)
    same.load_state_dict(memory.state_dict())
    prediction, _ = same.step(torch.zeros(1, 3), torch.zeros(1, 2), same.initial(1))
    assert isinstance(same.reward_head, nn.Linear)
    output = same.reward_head(memory.advance(torch.zeros(1, 3), torch.zeros(1, 2), memory.initial(1))[0])
    torch.testing.assert_close(prediction.reward, 2.0 * output[:, 0] + 0.5)


def test_scales_are_refused_for_the_other_kind_of_target():
    with pytest.raises(ValueError, match="use set_reward_scale"):
        make().set_event_scale(1.0, 0.0)
    with pytest.raises(ValueError, match="use set_event_scale"):
        make(dataclasses.replace(SMALL, reward_target="event-rate")).set_reward_scale(0.0, 1.0)
    with pytest.raises(ValueError, match=r"std=0\.0: "):
        make().set_reward_scale(0.0, 0.0)


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": 0},
        {"mixtures": 0},
        {"input_noise": math.nan},
        {"latent": -1},
    ],
)
def test_a_bad_config_names_field_and_value(options):
    (name, value), *_ = options.items()
    with pytest.raises(ValueError, match=f"{name}={value}: "):
        dataclasses.replace(SMALL, **options)


def test_an_unknown_choice_is_told_the_choices():
    config = dataclasses.replace(SMALL)
    object.__setattr__(config, "reward_target", "mean")  # while testing, the annotations already refuse it at the door
    with pytest.raises(ValueError, match="reward_target=mean: unknown; choose one of "):
        config.__post_init__()


def test_an_unassembled_config_says_what_is_missing():
    with pytest.raises(ValueError, match="latent=0, action=3: fill in both"):
        MDNRNN(MDNRNNConfig(action=3))


def test_ends_that_count_more_in_training_are_not_likelier_for_it():
    """One step in twenty ends the episode, whatever is seen: that is the chance that is predicted."""
    memory = make()
    with torch.no_grad():
        memory.termination_head.weight.zero_()
    optimiser = torch.optim.LBFGS([memory.termination_head.bias], max_iter=50)
    ends = (torch.arange(400) % 20 == 0).float().view(20, 20)
    batch = random_batch(20, 20)._replace(termination=ends)

    def closure():
        optimiser.zero_grad()
        loss = memory.loss(batch, torch.Generator().manual_seed(0))[0]
        loss.backward()
        return loss

    optimiser.step(closure)
    prediction, _ = memory.forward_sequence(batch.mean[:, :-1], batch.action)
    assert torch.sigmoid(prediction.termination_logit).mean().item() == pytest.approx(0.05, abs=0.005)
