"""What follows on a text, for models that write token by token: ends, beams, and a stream that says the same."""

import itertools

import pytest
import torch

from generative.models.composing.muse_net import MuseNet, MuseNetConfig, MuseNetSampling
from generative.models.writing.gpt2 import GPT2, GPT2Config
from generative.models.writing.language_model import TextSampling
from generative.models.writing.lstm import LSTM, LanguageLSTMConfig

KINDS = 3
SIZES = {"vocabulary": KINDS, "width": 8, "layers": 2, "heads": 2, "dropout": 0.0}
MADE = {
    "gpt-2": (31, lambda: GPT2(GPT2Config(**SIZES, context=16))),
    "gpt-2 past its window": (15, lambda: GPT2(GPT2Config(**SIZES, context=4))),
    "lstm": (34, lambda: LSTM(LanguageLSTMConfig(vocabulary=KINDS, embedding=8, hidden=16, layers=2))),
    "muse-net": (17, lambda: MuseNet(MuseNetConfig(**SIZES, context=4, classes=2, voices=2, bar=4))),
}
"""Each with a seed of weights under which the likeliest texts differ, and depend on whose text was read before."""
every = pytest.mark.parametrize("name", MADE)


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rough(name: str):
    """With weights so large that every token matters, long after it was read."""
    seed, make = MADE[name]
    module, generator = make().eval(), noise(seed)
    with torch.no_grad():
        for key, weight in module.named_parameters():
            if weight.ndim > 1:  # vectors that score tokens, too, are smaller, else the last token comes again
                small = key == "embedding.weight" and name != "lstm"
                weight.copy_(torch.randn(weight.shape, generator=generator) * (0.5 if small else 1.0))
    return module


def prompts(n: int = 3, length: int = 5) -> torch.Tensor:
    return torch.randint(0, KINDS, (n, length), generator=noise(5))


@torch.no_grad()
def log_probs(module, prompt: torch.Tensor, texts: list[tuple[int, ...]], steps: int) -> list[float]:
    """What texts of one length have after a prompt (T), each read anew as a whole."""
    whole = torch.cat([prompt.expand(len(texts), -1), torch.tensor(texts)], 1)
    given = ()
    if isinstance(module, MuseNet):  # of one style, in a piece that ends with the text
        given = (torch.zeros(len(texts), dtype=torch.int64), torch.tensor([0, -(-(len(prompt) + steps) // 2)]))
        given = (given[0], given[1].expand(len(texts), 2))
    before = module.log_prob(prompt[None], *(each[:1] for each in given))
    return (module.log_prob(whole, *given) - before).tolist()


def searched(module, prompt, steps: int, beams: int, penalty: float, stop: tuple[int, ...]) -> tuple[int, ...]:
    """Beams as they are told on paper, each text read anew; with enough of them all texts are tried."""
    kept = [((), 0.0)]
    for _ in range(steps):
        ended = [(text, total) for text, total in kept if text and text[-1] in stop]
        longer = [(*text, each) for text, _ in kept if not text or text[-1] not in stop for each in range(KINDS)]
        if not longer:
            break
        kept = ended + list(zip(longer, log_probs(module, prompt, longer, steps), strict=True))
        kept = sorted(kept, key=lambda pair: -pair[1] / ((5 + len(pair[0])) / 6) ** penalty)[:beams]
    return kept[0][0]


def dials(module, **options):
    return MuseNetSampling(style=0, **options) if isinstance(module, MuseNet) else TextSampling(**options)


def filled(text: tuple[int, ...], length: int) -> list[int]:
    return [*text, *[text[-1]] * (length - len(text))]


@every
@pytest.mark.parametrize("stop", [(), (0,), (1, 2)])
def test_enough_beams_find_the_likeliest_of_all_texts(name, stop):
    module, prompt, lengths = rough(name), prompts(), set()
    for penalty in (0.0, 9.0) if stop else (0.6,):
        found = module.generate(
            prompt, 4, dials(module, beams=KINDS**4, length_penalty=penalty), noise(), stop=stop
        ).tolist()
        for row, text in zip(prompt, found, strict=True):
            best = searched(module, row, 4, KINDS**4, penalty, stop)
            assert text == filled(best, len(text))
            lengths.add(len(best))
        assert len(found[0]) == max(len(searched(module, row, 4, KINDS**4, penalty, stop)) for row in prompt)
    assert len(lengths) > 1 if stop else lengths == {4}


@every
@pytest.mark.parametrize("beams", [1, 3])
def test_few_beams_go_on_from_the_texts_that_they_keep(name, beams):
    module, prompt, steps = rough(name), prompts(), 7
    temperature = {"temperature": 0.0} if beams == 1 else {}
    for stop in ((), (0,)):
        found = module.generate(prompt, steps, dials(module, beams=beams, **temperature), noise(), stop=stop)
        for row, text in zip(prompt, found.tolist(), strict=True):
            assert text == filled(searched(module, row, steps, beams, 0.6, stop), len(text))
        again = module.generate(prompt, steps, dials(module, beams=beams, **temperature), noise(7), stop=stop)
        assert torch.equal(found, again)


@every
def test_beams_find_what_one_token_after_the_other_does_not(name):
    module, prompt = rough(name), prompts(12)
    greedy, beamed = (
        module.generate(prompt, 6, dials(module, **each), noise()) for each in ({"temperature": 0.0}, {"beams": 9})
    )
    totals = []
    for texts in (greedy.tolist(), beamed.tolist()):
        found = [log_probs(module, row, [tuple(text)], 6) for row, text in zip(prompt, texts, strict=True)]
        totals.append(torch.tensor(found))
    assert (totals[1] >= totals[0] - 1e-5).all() and (totals[1] > totals[0] + 1e-2).any()


@every
def test_a_text_ends_at_the_first_stop_token_which_fills_it_up(name):
    module, prompt = rough(name), prompts(6)
    whole = module.generate(prompt, 30, dials(module, temperature=6.0), noise(3)).tolist()
    found = module.generate(prompt, 30, dials(module, temperature=6.0), noise(3), stop=(0, 2)).tolist()
    ends = [next(place for place, token in enumerate(row) if token in (0, 2)) for row in whole]
    assert len(found[0]) == max(ends) + 1 < 30 and len(set(ends)) > 1  # all have ended before the 30th
    assert {row[end] for row, end in zip(whole, ends, strict=True)} == {0, 2}
    for row, end, text in zip(whole, ends, found, strict=True):
        assert text == filled(tuple(row[: end + 1]), len(text))


@every
def test_a_stream_ends_where_generate_does(name):
    module, ends = rough(name), set()
    given = (torch.tensor([[0, 2]]),) if isinstance(module, MuseNet) else ()  # a stream is of a piece of one window
    for options in ({"temperature": 6.0, "top_k": 2}, {"temperature": 0.0}, {"beams": 3, "length_penalty": 4.0}):
        sampling = TextSampling(length=9, **options)
        for row, stop in itertools.product(prompts(), ((), (0,), (1,), (2,))):
            at_once = module.generate(row[None], 9, sampling, noise(3), *given, stop=stop)[0].tolist()
            stream = module.stream(row, sampling, noise(3), stop)
            assert list(itertools.islice(stream, 9)) == at_once
            ended = len(at_once) < 9
            ends.add((ended, "beams" in options))
            if ended:
                assert next(stream, None) is None and at_once[-1] in stop
    assert len(ends) == 4


@every
def test_a_token_that_does_not_exist_ends_nothing(name):
    module = rough(name)
    for token in (KINDS, -1):
        with pytest.raises(ValueError, match=f"stop={token}: there is no such token; give numbers from 0 to 2"):
            module.generate(prompts(), 3, TextSampling(), noise(), stop=(0, token))
        with pytest.raises(ValueError, match=f"stop={token}: there is no such token"):
            module.stream(prompts()[0], TextSampling(), noise(), (token,))
