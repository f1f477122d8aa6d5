"""Figures of models of tokens: how well they predict, how their texts look, how often their answers are right."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Sequence
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
from generative.metrics.texts import Texts
from generative.metrics.tokens import MOST_GRAMS, ORDER, token_baselines
from scripts.generative.runs.items import answered, field_of, take

TEXTS = 200
"""Texts that are written for figures of texts, at most."""
DRAWS = 8
"""Draws of held-out texts."""
LEARNT_FROM = 20_000
"""Training items that a baseline of answers looks through, at most."""


@torch.no_grad()
def of_tokens(module: nn.Module, data: Data, samples: int, seed: int, asked: tuple[str, ...] = ()) -> Iterator[Figure]:
    """Yield how well a model predicts held-out text, and how the texts that it writes look.

    A stream is read as one text, padded texts one by one. Baselines count in the whole training part.
    """
    if offers(module, "log_prob") and not asked:
        yield from _predicted(module, data, samples)
    if offers(module, "sample"):
        yield from _written(module, data, min(samples, TEXTS), seed, asked)


def _predicted(module: nn.Module, data: Data, samples: int) -> Iterator[Figure]:
    held, name, size = data.held_out(), data.main, data.item.sizes[0]
    rows = np.arange(min(samples, len(held)))
    read, mask = held.get(name, rows), _mask(held, rows)
    train = data.get(name, np.arange(len(data)))[_mask(data, np.arange(len(data)))]
    text = read[mask]
    if name + MASK in data.fields:
        parts = zip(*(torch.from_numpy(each).split(256) for each in (read, mask)), strict=True)
        nats = -sum(float(cast(Any, module).log_prob(*part).sum()) for part in parts)
    else:
        nats = -float(cast(Any, module).log_prob(torch.from_numpy(text)[None]))
    order = min(ORDER, int(math.log(MOST_GRAMS - 1) / math.log(size)))
    nothing = token_baselines(train, text, size, order=order)
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
    for name in names:
        metric = METRICS.find(name)
        nothing = {baseline: metric(each, right) for baseline, each in said.items()}
        perfect = metric(right, right)
        yield Figure(name, metric(answers, right), perfect, NOTHING, NOTHING, nothing, metric.better, None, len(right))


def _nearest(train: Int[Tensor, "N T"], held: Int[Tensor, "M T"]) -> Int[Tensor, " M"]:
    """Return which training source has most tokens in the same places."""
    return torch.stack([(train == row).sum(1).argmax() for row in held])


def _mask(data: Data, rows: np.ndarray) -> np.ndarray:
    name = data.main + MASK
    return data.get(name, rows) if name in data.fields else np.ones((len(rows), *data.item.shape), bool)


def _named(item: Field, rows: np.ndarray) -> list[list[str]]:
    return [until_end(item.names, row) for row in rows.tolist()]


def _shuffled(texts: Texts, generator: np.random.Generator) -> list[Sequence[str]]:
    """Return texts of the same lengths whose tokens come in any order from all of them."""
    tokens = np.array([token for text in texts for token in text])
    mixed = generator.permutation(tokens).tolist()
    places = np.cumsum([0, *map(len, texts)])
    return [mixed[start:end] for start, end in pairwise(places)]
