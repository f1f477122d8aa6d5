import itertools
import math

import pytest
import torch

from generative import FitConfig, fit
from generative.models.checks import check_tokens
from generative.models.writing import lstm
from generative.models.writing.language_model import TextSampling
from generative.models.writing.lstm import LSTM, LanguageLSTMConfig


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(**options) -> LSTM:
    torch.manual_seed(0)
    sizes = {"vocabulary": 3, "embedding": 8, "hidden": 16, "dropout": 0.0, "rows": 4}
    return LSTM(LanguageLSTMConfig(**{**sizes, **options})).eval()


def texts(n: int, length: int, vocabulary: int = 3) -> torch.Tensor:
    return torch.randint(0, vocabulary, (n, length), generator=noise(5))


every = pytest.mark.parametrize("options", [{}, {"layers": 2}, {"tied": True}])


@every
def test_probabilities_of_all_texts_sum_to_one(options):
    module = made(**options)
    everything = torch.tensor(list(itertools.product(range(3), repeat=4)))
    assert module.log_prob(everything).double().exp().sum().item() == pytest.approx(1.0, abs=1e-5)


@every
def test_training_in_pieces_reads_one_long_text(options):
    module = made(**options).train()
    text = texts(2, 12)
    losses = [module.loss(piece, noise())[0] for piece in text.split(4, 1)]
    assert not module.state.requires_grad and not module.state[:, :, 2:].any()
    whole = module.eval().log_prob(text)
    torch.testing.assert_close(-torch.stack(losses).sum() * 4 * 2, whole.sum())


def test_the_carried_state_is_of_the_training_alone():
    module = made().train()
    places = {name: each.data_ptr() for name, each in module.named_buffers()}
    module.loss(texts(2, 5), noise())
    assert module.state.any() and module.last[:2].tolist() == texts(2, 5)[:, -1].tolist()
    assert {name: each.data_ptr() for name, each in module.named_buffers()} == places  # a recorded step knows these
    assert not {"state", "last"} & module.state_dict().keys()


def test_a_loss_outside_training_begins_anew_and_changes_nothing():
    module = made().train()
    module.loss(texts(2, 5), noise())
    before = {name: each.clone() for name, each in module.named_buffers()}
    loss, metrics = module.eval().loss(texts(2, 6), noise())
    assert all(torch.equal(each, before[name]) for name, each in module.named_buffers())
    expected = -made().log_prob(texts(2, 6)).sum().item() / 12
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert metrics["bits_per_token"].item() == pytest.approx(expected / math.log(2), rel=1e-5)
    assert module.bits_per_token(texts(2, 6)) == pytest.approx(expected / math.log(2), rel=1e-5)


def test_more_rows_than_states_are_refused():
    with pytest.raises(ValueError, match="rows=4: the batch has 5"):
        made().train().loss(texts(5, 3), noise())


def test_a_long_text_is_read_in_pieces(monkeypatch):
    module, text = made(), texts(2, 11)
    whole = module.log_prob(text)
    went_on = module.generate(text, 6, TextSampling(), noise())
    monkeypatch.setattr(lstm, "PIECE", 4)
    torch.testing.assert_close(module.log_prob(text), whole)
    assert torch.equal(module.generate(text, 6, TextSampling(), noise()), went_on)


def doubled(step: int) -> torch.Tensor:
    """0 0 1 1 0 0 1 1 ..., two tokens at a time: which comes next the last token does not tell, the last two do."""
    return torch.tensor([[(2 * step + row + place) // 2 % 2 for place in range(2)] for row in range(4)])


def trained(carry: bool = True) -> LSTM:
    module = made(vocabulary=2)
    if not carry:
        module.register_forward_pre_hook(lambda _, given: (given[0], torch.zeros_like(given[1])))
    config = FitConfig(steps=250, learning_rate=1e-2)
    *_, row = fit(module, lambda start: map(doubled, itertools.count(start)), config, seed=0, log_every=50)
    assert row["bits_per_token"] < 0.1 if carry else row["bits_per_token"] > 0.4  # every second token is a guess
    return module


@pytest.mark.slow
def test_the_carried_state_tells_what_the_last_token_does_not():
    trained(carry=False)
    module = trained()
    prompt = torch.tensor([0, 0, 1, 1, 0, 0, 1, 1, 0, 0])
    stream = module.stream(prompt, TextSampling(temperature=0.0), noise())
    assert list(itertools.islice(stream, 6)) == [1, 1, 0, 0, 1, 1]


def test_a_stream_gives_the_tokens_of_generate_one_by_one():
    module, prompt, dials = made(), texts(1, 4), TextSampling(temperature=1.5, top_k=2)
    at_once = module.generate(prompt, 8, dials, noise(3))
    stream = module.stream(prompt[0], dials, noise(3))
    assert [next(stream) for _ in range(8)] == at_once[0].tolist()
    assert not torch.equal(at_once, module.generate(prompt, 8, dials, noise(4)))
    with pytest.raises(ValueError, match=r"7 to 7: expected \(B, T\), 0 to 2"):
        module.stream(torch.tensor([7]), dials, noise())
    with pytest.raises(ValueError, match="steps=0"):
        module.generate(prompt, 0, dials, noise())


def test_samples_come_as_often_as_their_probability_says():
    module = made()
    with torch.no_grad():
        module.head.weight.mul_(10)
    everything = torch.tensor(list(itertools.product(range(3), repeat=2)))
    drawn = module.sample(4000, TextSampling(length=2), noise())
    counts = (drawn[:, None] == everything).all(2).float().mean(0)
    assert (counts - module.log_prob(everything).exp()).abs().max() < 4 * math.sqrt(0.25 / 4000)


def test_dials_reach_the_draws():
    module = made()
    greedy = module.sample(2, TextSampling(temperature=0.0, length=5), noise())
    for dials in ({"top_k": 1}, {"top_p": 1e-6}):
        assert torch.equal(module.sample(2, TextSampling(length=5, **dials), noise(7)), greedy)
    assert not torch.equal(module.sample(2, TextSampling(length=5), noise(7)), greedy)


def test_tied_weights_are_shared():
    def numbers(**options) -> int:
        return sum(each.numel() for each in made(vocabulary=50, **options).parameters())

    assert numbers(tied=True) == numbers() - 16 * 50 + 16 * 8 + 8
    module = made(tied=True)
    scores, _ = module(texts(1, 2), module.recurrent.first_state(1))
    with torch.no_grad():
        module.embedding.weight[2] += 1.0
    again, _ = module(texts(1, 2).clamp(max=1), module.recurrent.first_state(1))
    assert not torch.equal(scores[..., 2], again[..., 2])


@pytest.mark.parametrize("options", [{"vocabulary": 0}, {"hidden": 0}, {"dropout": 1.0}, {"rows": 0}])
def test_a_senseless_option_is_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        LanguageLSTMConfig(**options)


def test_a_senseless_dial_is_refused():
    for dials in ({"length": 0}, {"top_k": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(dials))}="):
            TextSampling(**dials)


@pytest.mark.parametrize("tokens", [torch.zeros(2, 3), torch.zeros(3, dtype=torch.int64)])
def test_what_is_no_text_is_refused(tokens):
    with pytest.raises(ValueError, match=r"expected integers \(B, T\)"):
        check_tokens(tokens, 3)


@every
def test_what_is_behind_an_end_counts_for_nothing(options):
    module, text = made(masked=True, **options), texts(4, 9)
    mask = torch.arange(9) < torch.tensor([[9], [5], [1], [7]])
    assert module.inputs == ("tokens", "tokens_mask") and module.order == "shuffled" and made().order == "contiguous"
    other = text.where(mask, (text + 1) % 3)
    loss, again = (module.loss((each, mask), noise())[0] for each in (text, other))
    assert loss.item() == again.item() and not torch.equal(text, other)
    short = [module.log_prob(row[None, : int(kept.sum())]) for row, kept in zip(text, mask, strict=True)]
    assert loss.item() == pytest.approx(-sum(short).item() / mask.sum().item(), rel=1e-5)
    assert module.train().loss((text, mask), noise())[0].item() == pytest.approx(loss.item(), rel=1e-5)
    assert not module.state.any()


def test_numbers_of_parameters_are_those_of_the_book():
    """1,853,901 in Foster's first edition; PyTorch's second bias adds 1,024, the token that begins texts 100."""
    with torch.device("meta"):
        module = LSTM(LanguageLSTMConfig(vocabulary=4169, embedding=100, hidden=256))
    counts = {name: each.numel() for name, each in module.named_parameters()}
    second_bias = counts["recurrent.lstm.bias_hh_l0"]
    assert second_bias == 4 * 256 and sum(counts.values()) - second_bias - 100 == 1_853_901
