"""Noise on what a memory reads and dropout of what its heads read: only in training, and what they do there."""

import dataclasses

import pytest
import torch

from tests.worldmodels.memories.batches import generator, random_batch, train
from worldmodels.memories import SequenceBatch
from worldmodels.memories.registry import MEMORIES

SIZES = {"latent": 3, "action": 2, "hidden": 24}


def standing_world(episodes: int, seed: int) -> SequenceBatch:
    """One step in which a latent of unit variance stays where it is."""
    place = torch.randn(episodes, 1, 1, generator=generator(seed)).expand(-1, 2, -1)
    return SequenceBatch(
        mean=place.clone(),
        std=torch.zeros_like(place),
        action=torch.zeros(episodes, 1, 1),
        reward=place[:, :1, 0].clone(),
        termination=torch.zeros(episodes, 1),
        mask=torch.ones(episodes, 1, dtype=torch.bool),
    )


def slope(memory) -> float:
    """How far the expected next latent moves with the latent, about 0."""
    z = torch.tensor([[-0.5], [0.5]])
    low, high = memory.eval().step(z, torch.zeros(2, 1), memory.initial(2))[0].expected_latent()
    return (high - low).item()


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "expected"), [(0.0, 1.0), (1.0, 0.5)])
def test_who_reads_noise_believes_half_of_what_it_reads(noise, expected):
    options = {"latent": 1, "action": 1, "hidden": 16, "layers": 1, "mixtures": 1, "input_noise": noise}
    memory = MEMORIES.create("feed-forward", options, seed=0)
    train(memory.train(), [standing_world(512, seed) for seed in range(4)], epochs=150)
    assert slope(memory) == pytest.approx(expected, abs=0.12)  # the best guess of z from z + noise: z / (1 + noise^2)


@pytest.mark.parametrize("name", ["mdn-rnn", "lstm", "feed-forward", "transformer"])
@pytest.mark.parametrize("option", [{"input_noise": 0.3}, {"dropout": 0.4}])
def test_only_training_is_disturbed(name, option):
    sizes = {**SIZES, **({"heads": 2} if name == "transformer" else {})}
    disturbed, plain = (MEMORIES.create(name, {**sizes, **more}, seed=0) for more in (option, {}))
    batch = random_batch(episodes=4, steps=6)
    for memory in (disturbed, plain):
        memory.eval()
    assert disturbed.loss(batch, generator())[0] == plain.loss(batch, generator())[0]
    for memory in (disturbed, plain):
        memory.train()
    assert disturbed.loss(batch, generator())[0] != plain.loss(batch, generator())[0]
    assert disturbed.loss(batch, generator())[0] == disturbed.loss(batch, generator())[0]


def test_dropout_keeps_the_features_size_on_average():
    memory = MEMORIES.create("mdn-rnn", {**SIZES, "dropout": 0.4}, seed=0).train()
    hidden = torch.full((2000, 3, 24), 2.0)
    thinned = memory._thinned(hidden, generator())
    assert thinned.mean() == pytest.approx(2.0, abs=0.02)
    assert (thinned == 0).float().mean() == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("name", ["diffusion", "frame-diffusion"])
def test_dropout_spares_the_latent_that_a_change_is_added_to(name):
    sizes = {"latent": 64, "action": 2, "hidden": 24, "width": 8, **({"side": 8} if "frame" in name else {})}
    memory = MEMORIES.create(name, {**sizes, "dropout": 0.5}, seed=0).train()
    batch = random_batch(episodes=2, steps=3, latent=64)
    hidden, _ = memory.unroll(batch.mean[:, :-1], batch.action, None)
    thinned = memory._thinned(hidden, generator())
    assert (thinned[..., :24] == 0).any()
    assert torch.equal(thinned[..., 24:], hidden[..., 24:])
    assert torch.equal(memory.predict(thinned).before, batch.mean[:, :-1])


@pytest.mark.parametrize(("option", "value"), [("input_noise", -0.1), ("dropout", 1.0), ("dropout", -0.1)])
def test_wrong_values_are_refused(option, value):
    with pytest.raises(ValueError, match=f"{option}={value}"):
        dataclasses.replace(MEMORIES.create("mdn-rnn", SIZES, seed=0).config, **{option: value})
