"""Figures of models of tokens: how well they predict, how their texts look, how often their answers are right."""

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from generative import offers
from generative.capabilities import dials
from generative.data import Data, Field
from generative.data.text.padded import MASK, until_end
from generative.metrics.figure import NOTHING, Figure, against
from generative.metrics.registry import METRICS, metrics_that_need
from generative.metrics.sequences.context import effective_context, nats_by_context
from generative.metrics.sequences.texts import Texts
from generative.metrics.sequences.tokens import longest_order, neighbour_guesses, token_baselines
from scripts.generative.runs.items import Items, answered, field_of, places, take
from scripts.generative.runs.pictures import chosen

TEXTS = 200
"""Texts that are written for figures of texts, at most."""
DRAWS = 8
"""Draws of held-out texts."""
LEARNT_FROM = 20_000
"""Training items that a baseline of answers looks through, at most."""


@torch.no_grad()
def of_tokens(module: nn.Module, data: Data, samples: int, seed: int, asked: tuple[str, ...] = ()) -> Iterator[Figure]:
    """Yield how well a model predicts or fills in held-out text or tells where it comes from, and how it writes.

    Of a stream the first held-out items are read as one text: so much is read from its beginning, and a model with a
    window goes on from piece to piece. Else items are texts of their own, taken at even distances over the held-out
    part. Baselines read alike, and count in the whole training part.
    """
    if offers(module, "log_prob") and not asked:
        yield from _predicted(module, data, samples)
        if data.main + MASK not in data.fields:
            yield _reach(module, data, samples)
    if offers(module, "fill") and not asked:
        yield _filled(module, data, samples, seed)
    if hasattr(module, "goes_on") and offers(module, "fill") and not asked:
        yield _joined(module, data, samples)
    if offers(module, "classify") and not asked:
        yield _told(module, data, samples)
    if offers(module, "sample"):
        yield from _written(module, data, min(samples, TEXTS), seed, asked)


def _predicted(module: nn.Module, data: Data, samples: int) -> Iterator[Figure]:
    held, name, size = data.held_out(), data.main, data.item.sizes[0]
    rows = np.arange(min(samples, len(held))) if data.stream else places(held, samples)
    read, mask = _texts(held, rows)
    train, train_mask = _texts(data, np.arange(len(data)))
    text = read[mask]
    given = (read, mask) if name + MASK in data.fields else (read,)
    parts = zip(*(torch.from_numpy(each).split(256) for each in given), strict=True)
    nats = -sum(float(cast(Any, module).log_prob(*part).sum()) for part in parts)
    nothing = token_baselines(train, read, size, order=longest_order(size), train_mask=train_mask, held_out_mask=mask)
    bits = nats / (math.log(2) * len(text))
    known = NOTHING if data.log_prob is None else -float(data.log_prob(read).sum()) / (math.log(2) * len(text))
    yield Figure("bits per token", bits, known, NOTHING, NOTHING, nothing, "lower", None, len(text))
    lengths = np.array([len(each) for each in data.item.names])
    if name + MASK not in data.fields and (lengths != 1).any():
        each = len(text) / lengths[text].sum()  # tokens of a character
        said = {key: value * each for key, value in nothing.items()}
        yield Figure("bits per character", bits * each, NOTHING, NOTHING, NOTHING, said, "lower", None, len(text))
    said = {key: 2**value for key, value in nothing.items()}
    yield Figure("perplexity", 2**bits, 2**known, NOTHING, NOTHING, said, "lower", None, len(text))


def _reach(module: nn.Module, data: Data, samples: int) -> Figure:
    """Return how many tokens back a model uses what it has read."""
    held = data.held_out()
    texts = torch.from_numpy(held.get(data.main, places(held, samples)))
    found = effective_context(nats_by_context(cast(Any, module).log_prob, texts))
    return Figure("effective context", found, NOTHING, NOTHING, NOTHING, {}, "higher", None, len(texts))


def _filled(module: nn.Module, data: Data, samples: int, seed: int) -> Figure:
    """Return how often hidden tokens are guessed, beside guesses by their neighbours, which are never hidden there."""
    held = take(module, data.held_out(), samples).values
    hidden = chosen(held, seed)
    parts = zip(held.split(256), hidden.split(256), strict=True)
    guessed = torch.cat([cast(Any, module).fill(*part).argmax(2)[part[1]] for part in parts])
    train, truth = data.get(data.main, np.arange(len(data))), held[hidden].numpy()
    guesses = neighbour_guesses(train, held.numpy(), hidden.numpy(), data.item.sizes[0])
    nothing = {name: float((guess == truth).mean()) for name, guess in guesses.items()}
    right = float((guessed.numpy() == truth).mean())
    return Figure("hidden tokens right", right, 1.0, NOTHING, NOTHING, nothing, "higher", None, len(truth))


def _joined(module: nn.Module, data: Data, samples: int) -> Figure:
    """Return how often it is told whether a half goes on with the other one, or is that of another text."""
    held = take(module, data.held_out(), samples).values
    first, second = held.tensor_split(2, dim=1)
    mixed = torch.cat([first, second.roll(len(held) // 2, 0)], 1)
    said = [torch.cat([cast(Any, module).goes_on(part) > 0 for part in texts.split(256)]) for texts in (held, mixed)]
    right = float((said[0].double().mean() + (~said[1]).double().mean()) / 2)
    return Figure("next sentence right", right, 1.0, NOTHING, NOTHING, {"chance": 0.5}, "higher", None, 2 * len(held))


def _told(module: nn.Module, data: Data, samples: int) -> Figure:
    """Return how often the label of a text is right, beside the commonest one and naive Bayes by its tokens."""
    held, train = take(module, data.held_out(), samples), take(module, data, LEARNT_FROM)
    truth, known = (field_of(module, items, "label") for items in (held, train))
    said = torch.cat([cast(Any, module).classify(part).argmax(1) for part in held.values.split(256)])
    classes, size = len(data.names("label")), data.item.sizes[0]
    counts = torch.bincount((known[:, None] * size + train.values).flatten(), minlength=classes * size) + 1.0
    counts = counts.view(classes, size)
    common = torch.bincount(known, minlength=classes) + 1.0
    scores = (counts / counts.sum(1, keepdim=True)).log()[:, held.values].sum(2) + common.log()[:, None]  # (K N)
    nothing = {
        "naive Bayes": float((scores.argmax(0) == truth).double().mean()),
        "commonest class": float((common.argmax() == truth).double().mean()),
    }
    right = float((said == truth).double().mean())
    return Figure("accuracy", right, 1.0, NOTHING, NOTHING, nothing, "higher", None, len(truth))


def _written(module: nn.Module, data: Data, count: int, seed: int, asked: tuple[str, ...]) -> Iterator[Figure]:
    """Yield figures of texts as long as the items, beside draws of held-out items and tokens in any order."""
    sampling: Any = dials(module)()
    if hasattr(sampling, "length"):
        sampling = dataclasses.replace(sampling, length=data.item.shape[0])
    held = data.held_out()
    count = max(1, min(count, len(held) // 2))  # as many of each, and draws that differ
    made: Tensor = cast(Any, module).sample(count, sampling, torch.Generator().manual_seed(seed))
    generator = np.random.default_rng(seed)
    draws = [generator.choice(len(held), count, replace=False) for _ in range(DRAWS)]
    real = [held.get(held.main, np.sort(rows)) for rows in draws]
    texts, *others = (_named(data.item, rows) for rows in (made.numpy(), *real))
    shuffled = _shuffled(others[0], generator)
    for name in metrics_that_need("texts", asked):
        metric = METRICS.find(name)
        said = {"tokens in any order": metric(shuffled)}
        yield against(name, metric(texts), [metric(each) for each in others], said, metric.better, len(texts))
    if data.log_prob is not None and not asked:
        valid = float(np.isfinite(data.log_prob(made.numpy())).mean())
        wrong = float(np.isfinite(data.log_prob(generator.permuted(real[0].ravel()).reshape(real[0].shape))).mean())
        yield against(
            "valid", valid, [1.0] * DRAWS, {"tokens in any order": wrong}, "higher", count, resolution=1 / count
        )


@torch.no_grad()
def of_answers(module: nn.Module, data: Data, samples: int, seed: int, asked: tuple[str, ...] = ()) -> Iterator[Figure]:
    """Yield how right answers to held-out sources are, beside the commonest answer and that to the nearest source."""
    target = data.fields["target"]
    names = metrics_that_need("replies", asked)
    held = take(module, data.held_out(), samples)
    answers = _named(target, answered(module, held, dials(module)(), seed).numpy())
    right = _named(target, field_of(module, held, "target").numpy())
    train = take(module, data, LEARNT_FROM)
    known = _named(target, field_of(module, train, "target").numpy())
    commonest = max(Counter(map(tuple, known)).items(), key=lambda pair: pair[1])[0]
    near = _nearest(field_of(module, train, "source"), field_of(module, held, "source"))
    said = {
        "commonest answer": [list(commonest)] * len(right),
        "answer to the nearest source": [known[each] for each in near.tolist()],
    }
    if "answer" in data.fields:
        said["sentence with a question word"] = _templates(module, data, train, held)
    for name in names:
        metric = METRICS.find(name)
        nothing = {baseline: metric(each, right) for baseline, each in said.items()}
        perfect = metric(right, right)
        if "lag" in data.fields and name == "exact match":
            yield from _by_lag(data, answers, right, said, samples)
        yield Figure(name, metric(answers, right), perfect, NOTHING, NOTHING, nothing, metric.better, None, len(right))


def _by_lag(data: Data, answers: Texts, right: Texts, said: Mapping[str, Texts], samples: int) -> Iterator[Figure]:
    """Yield the share of right answers by how far back in the source what they need stands, near and far."""
    held = data.held_out()
    lags = held.get("lag", places(held, samples))
    border = int(np.median(lags))
    for name, asked in ((f"lag up to {border}", lags <= border), (f"lag above {border}", lags > border)):
        rows = np.flatnonzero(asked).tolist()

        def share(texts: Texts, rows: Sequence[int] = rows) -> float:
            return float(np.mean([list(texts[row]) == list(right[row]) for row in rows])) if rows else NOTHING

        nothing = {baseline: share(each) for baseline, each in said.items()}
        yield Figure(f"right, {name}", share(answers), 1.0, NOTHING, NOTHING, nothing, "higher", None, len(rows))


def _templates(module: nn.Module, data: Data, train: Items, held: Items) -> list[list[str]]:
    """Return a question for each marked word: its sentence without it, behind the question word usual for it."""

    def stories(items: Items) -> Iterator[tuple[list[str], int, str]]:
        rows = (field_of(module, items, name).tolist() for name in ("source", "answer", "target"))
        for source, marks, target in zip(*rows, strict=True):
            yield until_end(data.names("source"), source), marks.index(1), data.names("target")[target[0]]

    usual: dict[str, Counter[str]] = defaultdict(Counter)
    for words, place, first in stories(train):
        usual[words[place]][first] += 1
    found = []
    for words, place, _ in stories(held):
        begin = max((at + 1 for at in range(place) if words[at] == "."), default=0)
        end = next((at for at in range(place, len(words)) if words[at] == "."), len(words))
        question_word = max(usual[words[place]], key=usual[words[place]].__getitem__, default=words[place])
        found.append([question_word, *words[begin:place], *words[place + 1 : end], "?"])
    return found


def _nearest(train: Int[Tensor, "N T"], held: Int[Tensor, "M T"]) -> Int[Tensor, " M"]:
    """Return which training source has most tokens in the same places."""
    return torch.stack([(train == row).sum(1).argmax() for row in held])


def _texts(data: Data, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return items as texts, those of a stream as one, and which of their tokens are no padding."""
    read, name = data.get(data.main, rows), data.main + MASK
    read = read.reshape(1, -1) if data.stream else read
    return read, data.get(name, rows) if name in data.fields else np.ones(read.shape, bool)


def _named(item: Field, rows: np.ndarray) -> list[list[str]]:
    return [until_end(item.names, row) for row in rows.tolist()]


def _shuffled(texts: Texts, generator: np.random.Generator) -> list[Sequence[str]]:
    """Return texts of the same lengths whose tokens come in any order from all of them."""
    tokens = np.array([token for text in texts for token in text])
    mixed = generator.permutation(tokens).tolist()
    places = np.cumsum([0, *map(len, texts)])
    return [mixed[start:end] for start, end in pairwise(places)]
