"""The card's dreams and predictions happen where the latents are.

Without a GPU, tensors on torch's device `meta` stand in for those on one: they have no numbers, and do not mix with
others.
"""

import numpy as np
import pytest
import torch

from worldmodels.accuracy.config import CardConfig
from worldmodels.accuracy.data import HeldOut, pad, remember
from worldmodels.accuracy.measures.dreams import HeldOutStarts, at_horizons, dream_on
from worldmodels.accuracy.measures.one_step import Guess
from worldmodels.accuracy.measures.open_loop import energy_score
from worldmodels.accuracy.measures.reconstruction import pixel_error
from worldmodels.memories import MDNRNN, MDNRNNConfig

STEPS, LATENT, ACTION = 12, 4, 2
CONFIG = CardConfig(warmup=2, horizons=(1, 3))
GPU = torch.device("meta")


def held_out(device):
    """An episode of which only latents and actions are asked for."""
    episode = object.__new__(HeldOut)
    latents = {name: torch.rand(STEPS + 1, LATENT, device=device) for name in ("mean", "std")}
    vars(episode).update(latents, action=torch.rand(STEPS, ACTION, device=device))
    return episode


def memory_on(device):
    return MDNRNN(MDNRNNConfig(latent=LATENT, action=ACTION, hidden=8)).eval().to(device)


def starts():
    return HeldOutStarts(np.array([0, 0, 1]), np.array([2, 5, 4]))


@pytest.mark.slow
def test_dreams_are_dreamt_where_the_latents_are():
    episodes, memory = [held_out(GPU), held_out(GPU)], memory_on(GPU)
    dreams = dream_on(memory, episodes, starts(), CONFIG, 0)
    for part in (dreams.z, dreams.expected, dreams.feature, dreams.returns):
        assert part.device == GPU
    true = at_horizons([one.mean for one in episodes], starts(), CONFIG.horizons)
    score = energy_score(dreams.z, true, torch.ones(LATENT, device=GPU))
    assert score.device == true.device == GPU


def test_one_step_ahead_is_predicted_where_the_latents_are(monkeypatch):
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", False)  # which looks at numbers
    episodes, memory = [held_out(GPU), held_out(GPU)], memory_on(GPU)
    z, action, mask = pad([one.sampled(0) for one in episodes], [one.action for one in episodes])
    prediction, _ = memory.forward_sequence(z[:, :-1], action)
    guess = Guess(torch.zeros(LATENT + ACTION + 1, LATENT, dtype=torch.float64), torch.ones(LATENT))
    for values in (prediction.log_prob(z[:, 1:]), guess.log_prob(z[:, :-1], action, z[:, 1:])):
        assert torch.where(mask, values.mean(-1), 0.0).device == GPU
    assert all(part.device == GPU for part in remember(memory, episodes))


def test_pictures_are_compared_where_they_are_decoded():
    class Decoder:
        latent_spec = None

        def decode(self, z):
            return z.new_zeros(len(z), 3, 2, 2)

    errors = pixel_error(Decoder(), torch.zeros(5, LATENT, device=GPU), torch.zeros(5, 3, 2, 2))
    assert errors.device == GPU


@pytest.mark.gpu
def test_a_gpu_dreams_what_a_processor_does():
    torch.manual_seed(0)
    memory, episodes = memory_on("cpu"), [held_out("cpu"), held_out("cpu")]
    here = dream_on(memory, episodes, starts(), CONFIG, 0)
    for one in episodes:
        vars(one).update({name: getattr(one, name).cuda() for name in ("mean", "std", "action")})
    there = dream_on(memory.cuda(), episodes, starts(), CONFIG, 0)
    for mine, theirs in zip(here, there, strict=True):
        torch.testing.assert_close(theirs.cpu(), mine, rtol=1e-3, atol=1e-4, equal_nan=True)
