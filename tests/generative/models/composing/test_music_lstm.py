import itertools
import math

import pytest
import torch

from generative import FitConfig, fit
from generative.models.composing.music_lstm import MelodySampling, MusicLSTM, MusicLSTMConfig


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(**options) -> MusicLSTM:
    torch.manual_seed(0)
    sizes = {"pitches": 3, "durations": 2, "embedding": 4, "hidden": 8, "context": 6}
    return MusicLSTM(MusicLSTMConfig(**{**sizes, **options})).eval()


def melodies(n: int, length: int) -> torch.Tensor:
    return torch.stack([torch.randint(each, (n, length), generator=noise(each)) for each in (3, 2)], 2)


every = pytest.mark.parametrize("attention", ["pooling", "dot-product", "none"])


def test_it_has_the_weights_of_the_book():
    """387 pitches and 18 durations in Foster 2019: 1,138,122 numbers, the start among the pitches.

    PyTorch adds two biases to the gates of an LSTM where Keras adds one: 4 x 256 more in each of two layers. Our start
    has a row of its own in both embeddings, 2 x 100 more.
    """
    module = MusicLSTM(MusicLSTMConfig(pitches=387, durations=18))
    second_bias, start = 2 * 4 * 256, 2 * 100
    assert sum(each.numel() for each in module.parameters()) == 1_138_122 + second_bias + start


@every
def test_probabilities_of_all_melodies_sum_to_one(attention):
    module = made(attention=attention)
    notes = list(itertools.product(range(3), range(2)))
    everything = torch.tensor(list(itertools.product(notes, repeat=2)))
    assert module.log_prob(everything).double().exp().sum().item() == pytest.approx(1.0, abs=1e-5)


def test_the_heads_see_the_mean_of_all_steps_under_shares_that_grow_step_by_step():
    module, notes = made(), melodies(2, 5)
    shares = module.shares(notes)
    torch.testing.assert_close(shares.sum(2), torch.ones(2, 6))
    assert not shares.triu(1).any()
    begun = torch.cat([module._start(2), notes], 1)
    embedded = torch.cat([module.pitch(begun[..., 0]), module.duration(begun[..., 1])], 2)
    features, _ = module.recurrent(embedded, module.recurrent.first_state(2))
    energy = module.energy(features).tanh()[..., 0].exp()  # the book's formula on a window that ends at step t
    for step in range(6):
        context = (energy[:, : step + 1, None] * features[:, : step + 1]).sum(1) / energy[:, : step + 1].sum(1)[:, None]
        torch.testing.assert_close(module(begun)[0][:, step], module.pitch_head(context))


def test_pooling_gives_no_step_more_than_the_bound_says():
    module = made()
    with torch.no_grad():
        module.energy.weight.mul_(1e4)
    shares = module.shares(melodies(4, 31))[:, -1]
    assert shares.max() <= math.e**2 / (math.e**2 + 31) + 1e-6


def test_a_note_depends_on_those_before_it_alone():
    for attention in ("pooling", "dot-product", "none"):
        module, notes = made(attention=attention), melodies(1, 5)
        other = notes.clone()
        other[:, 3] = (other[:, 3] + 1) % torch.tensor([3, 2])
        same = (module(notes)[0] == module(other)[0]).all(2)[0]
        assert same.tolist() == [True, True, True, False, False]


def test_composing_sees_the_last_notes_and_the_dials_reach_it():
    module, prompt = made(), melodies(2, 9)
    calm = MelodySampling(temperature=0.0)
    went_on = module.generate(prompt, 3, calm, noise())
    assert torch.equal(module.generate(prompt[:, -5:], 3, calm, noise(1)), went_on)
    assert not torch.equal(module.sample(4, MelodySampling(length=9), noise(1)), module.sample(
        4, MelodySampling(length=9), noise(2)))  # fmt: skip
    with pytest.raises(ValueError, match="steps=0"):
        module.generate(prompt, 0, calm, noise())


@every
def test_enough_beams_find_the_likeliest_melody(attention):
    module, prompt = made(attention=attention), melodies(3, 3)
    with torch.no_grad():
        for each in module.parameters():
            each.mul_(5)  # else all melodies are nearly alike
    notes = list(itertools.product(range(3), range(2)))
    everything = torch.tensor(list(itertools.product(notes, repeat=2)))
    for row in prompt:  # with two more notes as long as the context: `log_prob` sees what composing sees
        whole = torch.cat([row.expand(len(everything), -1, -1), everything], 1)
        best = everything[module.log_prob(whole).argmax()]
        assert torch.equal(module.generate(row[None], 2, MelodySampling(beams=36), noise())[0], best)


@torch.no_grad()
def test_beams_keep_their_own_notes_past_the_context():
    module, prompt = made(attention="dot-product"), melodies(2, 9)
    for each in module.parameters():
        each.mul_(5)
    found = module.generate(prompt, 6, MelodySampling(beams=3), noise())
    for row, text in zip(prompt, found, strict=True):
        kept = [(0.0, row)]
        for _ in range(6):
            longer = []
            for total, notes in kept:
                scores = module(torch.cat([module._start(1), notes[None, -5:]], 1))
                pitch, duration = (each[0, -1].log_softmax(0) for each in scores)
                longer += [
                    (total + float(pitch[one] + duration[two]), torch.cat([notes, torch.tensor([[one, two]])]))
                    for one, two in itertools.product(range(3), range(2))
                ]
            kept = sorted(longer, key=lambda pair: -pair[0])[:3]
        assert torch.equal(text, kept[0][1][9:])


def test_a_dot_product_asks_and_pooling_does_not():
    """How much more one step is looked at than another depends on who looks, or not."""
    notes = melodies(1, 5)
    for attention, alike in (("pooling", True), ("dot-product", False)):
        shares = made(attention=attention).shares(notes)[0]
        ratios = shares[2:, 0] / shares[2:, 1]
        assert torch.allclose(ratios, ratios[0].expand(4)) is alike


def test_a_model_without_attention_has_no_shares_to_show():
    with pytest.raises(ValueError, match="attention=none: this model looks nowhere"):
        made(attention="none").shares(melodies(1, 5))


@pytest.mark.slow
def test_a_melody_is_learnt():
    """Up the scale in long notes, down in short ones: the pitch alone does not tell which comes next."""

    def scales(start: int):
        for seed in itertools.count(start):
            places = torch.randint(0, 4, (16, 1), generator=noise(seed)) + torch.arange(6)
            pitches = torch.tensor([0, 1, 2, 1])[places % 4]
            yield torch.stack([pitches, torch.tensor([0, 0, 1, 1])[places % 4]], 2)

    module = made(hidden=24, layers=1, attention="none")
    *_, row = fit(module, scales, FitConfig(steps=120, learning_rate=1e-2), seed=0, log_every=120)
    assert row["loss"] < 0.45  # where it begins is a guess, 0.23; by pitches alone 0.52
    first = torch.tensor([[[0, 0], [1, 0], [2, 1]]])
    went_on = module.eval().generate(first, 3, MelodySampling(temperature=0.0), noise())
    assert went_on[0].tolist() == [[1, 1], [0, 0], [1, 0]]


def test_the_data_decide_the_sizes_and_what_is_no_melody_is_refused():
    for options in ({"pitches": 0}, {"hidden": 0}, {"dropout": 1.0}):
        with pytest.raises(ValueError, match=f"{next(iter(options))}="):
            MusicLSTMConfig(**options)
    for wrong in (torch.zeros(2, 3, 2), melodies(2, 3)[..., 0], melodies(2, 3).flip(2) + 2):
        with pytest.raises(ValueError, match=r"expected integers \(B, T, 2\)"):
            made()._check(wrong)
