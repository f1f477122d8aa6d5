import dataclasses

import numpy as np
import pytest
import torch

from tests.worldmodels.memories.batches import ACTION, LATENT, generator, random_batch
from worldmodels.memories import MDNRNN, Ensemble, EnsembleConfig, agent_memory
from worldmodels.memories.registry import MEMORIES

CONFIG = EnsembleConfig(members=3, options={"hidden": 8, "mixtures": 2}, latent=LATENT, action=ACTION)


def make(**options) -> Ensemble:
    return MEMORIES.create("ensemble", dataclasses.replace(CONFIG, **options), seed=0)


def predictions(ensemble, batch):
    z = batch.mean[:, :-1]
    return ensemble.forward_sequence(z, batch.action)[0], [
        member.forward_sequence(z, batch.action)[0] for member in ensemble.members
    ]


def test_members_have_the_same_shape_and_other_weights():
    first, second, third = make().members
    assert {type(member) for member in (first, second, third)} == {MDNRNN}
    assert first.config.hidden == 8 and first.config.latent == LATENT
    for one, two in ((first, second), (second, third), (first, third)):
        assert all((a != b).any() for a, b in zip(one.parameters(), two.parameters(), strict=True))
    again = make()
    assert all(torch.equal(a, b) for a, b in zip(make().parameters(), again.parameters(), strict=True))


def test_what_it_predicts_is_the_mean_of_what_its_members_do():
    ensemble, batch = make(), random_batch()
    whole, each = predictions(ensemble, batch)
    density = torch.stack([one.log_prob(batch.mean[:, 1:]).exp() for one in each]).mean(0)
    torch.testing.assert_close(whole.log_prob(batch.mean[:, 1:]), density.log())
    torch.testing.assert_close(whole.reward, torch.stack([one.reward for one in each]).mean(0))
    end = torch.stack([torch.sigmoid(one.termination_logit) for one in each]).mean(0)
    torch.testing.assert_close(torch.sigmoid(whole.termination_logit), end)
    torch.testing.assert_close(whole.expected_latent(), torch.stack([one.expected_latent() for one in each]).mean(0))
    joint = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=whole.mixture.logits),
        torch.distributions.Normal(whole.mixture.mean, whole.mixture.log_std.exp()),
    )
    torch.testing.assert_close(joint.log_prob(batch.mean[:, 1:]), density.log())


def test_without_a_termination_head_it_never_ends():
    ensemble = make(options={"hidden": 8, "termination": False})
    prediction, _ = ensemble.step(torch.zeros(2, LATENT), torch.zeros(2, ACTION), ensemble.initial(2))
    assert torch.equal(torch.sigmoid(prediction.termination_logit), torch.zeros(2))


def test_a_sample_is_one_members_with_equal_chances():
    ensemble = make(options={"hidden": 8, "mixtures": 1})
    z, action = torch.zeros(1, LATENT), torch.zeros(1, ACTION)
    prediction, _ = ensemble.step(z, action, ensemble.initial(1))
    means = torch.stack(
        [member.step(z, action, member.initial(1))[0].expected_latent()[0] for member in ensemble.members]
    )
    found = []
    for first in np.linspace(0, 1, 99, endpoint=False) + 0.001:
        uniform = torch.tensor([[first, 0.9, 0.1]], dtype=torch.float32)
        drawn = prediction.sample(1.0, uniform, torch.zeros(1, LATENT))[0]
        whose = (means - drawn).abs().amax(1)
        assert whose.min() < 1e-6  # all dimensions are of the same member
        found.append(int(whose.argmin()))
    assert np.bincount(found).tolist() == [33, 33, 33]


def test_the_loss_is_the_mean_of_the_members():
    ensemble, batch = make(bootstrap=False), random_batch()
    batch = batch._replace(std=torch.zeros_like(batch.std))
    losses = [member.loss(batch, generator())[0] for member in ensemble.members]
    loss, metrics = ensemble.loss(batch, generator())
    torch.testing.assert_close(loss, torch.stack(losses).mean())
    nll = torch.stack([member.loss(batch, generator())[1]["nll"] for member in ensemble.members]).mean()
    torch.testing.assert_close(metrics["nll"], nll)


def test_each_member_is_given_other_sequences_while_training(monkeypatch):
    ensemble, batch = make(), random_batch(episodes=8)
    seen = []

    def loss(self, batch, generator):
        seen.append(sorted(batch.reward[:, 0].tolist()))
        return batch.reward.sum(), {}

    monkeypatch.setattr(MDNRNN, "loss", loss)
    ensemble.loss(batch, generator(1))
    ensemble.loss(batch, generator(1))
    every = sorted(batch.reward[:, 0].tolist())
    assert seen[:3] == seen[3:]  # seeded
    assert len({tuple(rows) for rows in seen[:3]}) == 3
    for rows in seen:
        assert len(rows) == 8 and set(rows) < set(every)
    seen.clear()
    ensemble.eval().loss(batch, generator(1))
    make(bootstrap=False).train().loss(batch, generator(1))
    assert all(rows == every for rows in seen) and len(seen) == 6


def test_an_agent_carries_member_0():
    ensemble = make()
    assert agent_memory(ensemble) is ensemble.members[0] and agent_memory(ensemble.members[1]) is ensemble.members[1]
    batch = random_batch()
    _, state = ensemble.forward_sequence(batch.mean[:, :-1], batch.action)
    _, own = ensemble.members[0].forward_sequence(batch.mean[:, :-1], batch.action)
    assert torch.equal(ensemble.feature(state), ensemble.members[0].feature(own))


def test_the_event_scale_reaches_every_member():
    ensemble = make(reward_target="event-rate")
    ensemble.set_event_scale(6.0, -0.5)
    assert [float(member.event_value) for member in ensemble.members] == [6.0] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": 1}, "members=1: an ensemble has 2 or more; for one take memory.type=mdn-rnn"),
        ({"member": "mdn-rn"}, "did you mean 'mdn-rnn'"),
        ({"member": "ensemble"}, "no such memory component"),
        ({"options": {"hiden": 8}}, "options.hiden: MDNRNNConfig has no such option; did you mean 'hidden'"),
        ({"options": {"hidden": 0}}, "options.hidden=0: a size"),
    ],
)
def test_a_bad_config_is_explained(options, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **options)
