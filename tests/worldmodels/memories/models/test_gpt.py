import dataclasses
import math

import pytest
import torch

from generative import MODELS, VQVAE, component_bytes, component_from_bytes
from tests.worldmodels.memories.batches import action_world, generator, train
from worldmodels.memories import MEMORIES
from worldmodels.memories.baselines import baselines, fit_persistence
from worldmodels.memories.fit import check_dream, check_memory, set_codes
from worldmodels.memories.models.gpt import PEAK, Codebook, PredictedCodes

SIZES = {"latent": 6, "action": 2, "hidden": 16, "heads": 2, "layers": 2, "context": 4, "codes": 5, "code": 3}


def made(**options):
    memory = MEMORIES.create("gpt", {**SIZES, **options}, 0).eval()
    positions = memory.config.latent // memory.config.code
    memory.set_codes(torch.randn(positions, memory.config.codes, memory.config.code, generator=generator(9)))
    return memory


def frames(memory, *shape: int) -> torch.Tensor:
    positions, codes, _ = memory.book.table.shape
    return memory.book.latent(torch.randint(0, codes, (*shape, positions), generator=generator(3)))


@torch.no_grad()
def test_codes_are_those_of_the_vision():
    torch.manual_seed(0)
    vision = VQVAE(VQVAE.Config(image_size=16, width=4, codes=7, code=3, grid=2)).eval()
    images = torch.rand(40, 3, 16, 16, generator=generator())
    vision.codebook.copy_(torch.randn(7, 3, generator=generator(1)))
    vision.estimate(iter([images]), generator())
    book = Codebook(4, 7, 3)
    book.table.copy_(vision.code_table())
    z = vision.encode(images)[0]
    assert torch.equal(book.numbers(z), vision.codes(images).flatten(1))
    torch.testing.assert_close(book.latent(vision.codes(images).flatten(1)), z)
    memory = made(latent=12, codes=7, code=3)
    set_codes(vision, memory)
    assert torch.equal(memory.book.table, vision.code_table())


@torch.no_grad()
def test_steps_equal_the_sequence_and_look_back_past_the_window():
    memory = made()
    z, action = frames(memory, 3, 12), torch.randn(3, 12, 2, generator=generator())
    whole, end = memory.forward_sequence(z, action)
    state = memory.initial(3)
    for step in range(12):
        prediction, state = memory.step(z[:, step], action[:, step], state)
        torch.testing.assert_close(prediction.logits, whole.logits[:, step], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(prediction.reward, whole.reward[:, step], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(state, end, atol=1e-5, rtol=1e-5)
    assert whole.log_prob(z).shape == z.shape


@torch.no_grad()
def test_draws_are_codes_as_often_as_scores_say():
    memory = made()
    scores = torch.randn(2, 5, generator=generator()).expand(4000, 2, 5)
    nothing = torch.zeros(4000)
    prediction = PredictedCodes(scores, memory.book, nothing, nothing)
    uniform = torch.rand(4000, 6, generator=generator(1))
    for temperature in (1.0, 0.5):
        drawn = prediction.sample(temperature, uniform, torch.randn(4000, 6))
        numbers = memory.book.numbers(drawn)
        assert torch.equal(memory.book.latent(numbers), drawn)
        for position in range(2):
            share = torch.bincount(numbers[:, position], minlength=5) / 4000
            torch.testing.assert_close(share, (scores[0, position] / temperature).softmax(0), atol=0.03, rtol=0)
    likeliest = memory.book.numbers(prediction.sample(0.0, uniform, uniform))
    assert (likeliest == scores.argmax(2)).all()
    mean = prediction.sample(1.0, uniform, uniform).mean(0)
    torch.testing.assert_close(mean, prediction.expected_latent()[0], atol=0.08, rtol=0)


@torch.no_grad()
def test_densities_are_of_narrow_gaussians_around_codes():
    memory = made()
    scores, nothing = torch.randn(1, 2, 5, generator=generator()), torch.zeros(1)
    prediction = PredictedCodes(scores, memory.book, nothing, nothing)
    z = memory.book.latent(torch.tensor([[2, 4]]))
    wanted = scores.log_softmax(2)[0, [0, 1], [2, 4]].sum() + 6 * PEAK
    assert prediction.log_prob(z).sum().item() == pytest.approx(wanted.item(), rel=1e-5)
    assert PEAK == pytest.approx(torch.distributions.Normal(0.0, 0.01).log_prob(torch.zeros(())).item(), rel=1e-5)
    off = prediction.log_prob(z + 0.02)
    torch.testing.assert_close(off, prediction.log_prob(z) - 2, atol=1e-2, rtol=0)


def coded(batch):
    """The world where the action decides, in codes: z = (-1, 0) or (1, 0) at one position."""
    z = torch.stack([batch.mean[..., 0].sign() + (batch.mean[..., 0] == 0), torch.zeros(batch.mean.shape[:2])], 2)
    return batch._replace(mean=z, std=torch.zeros_like(z))


def test_learns_a_world_where_the_action_decides():
    memory = made(latent=2, action=1, codes=2, code=2)
    memory.set_codes(torch.tensor([[[-1.0, 0.0], [1.0, 0.0]]]))
    memory.set_reward_scale(-1.0, 3.0)
    batches = [coded(action_world(16, 24, seed)) for seed in range(2)]
    train(memory, batches, epochs=12)
    memory.eval()
    figures = baselines(memory, coded(action_world(16, 24, seed=99)), generator(5), fit_persistence(batches))
    assert figures["nll"] == pytest.approx(-PEAK, abs=0.1)  # it knows every code
    assert figures["nll_shuffled_action"] > figures["nll"] + 0.5
    assert figures["termination_auroc"] == 1.0


def test_every_parameter_is_reached_and_it_comes_back_with_its_codes():
    memory, batch = made(), action_world(4, 6, 0)
    batch = batch._replace(
        mean=frames(memory, 4, 7), std=torch.zeros(4, 7, 6), action=torch.randn(4, 6, 2, generator=generator())
    )
    loss, metrics = memory.loss(batch, generator())
    loss.backward()
    assert all(each.grad is not None and each.grad.any() for each in memory.parameters())
    density = memory.forward_sequence(batch.mean[:, :-1], batch.action)[0].log_prob(batch.mean[:, 1:])
    assert metrics["nll"].item() == pytest.approx(-density.mean().item(), rel=1e-4)
    same = component_from_bytes(component_bytes(memory), MEMORIES)
    assert torch.equal(same.book.table, memory.book.table)
    check_memory(memory, 6, 2)
    check_dream(memory, 6, 2)


def test_a_vision_without_codes_or_with_others_is_refused():
    with pytest.raises(ValueError, match=r"VAE has none; choose vision\.type vq-vae"):
        set_codes(MODELS.create("vae", {"latent": 2, "width": 4}), made())
    with pytest.raises(ValueError, match=r"codes=5, code=3: the vision has 9 codes of 3 numbers; set memory\.options"):
        made().set_codes(torch.zeros(2, 9, 3))
    with pytest.raises(ValueError, match="code=4: latents have 6 numbers"):
        dataclasses.replace(made().config, code=4)
    assert math.isfinite(PEAK)
