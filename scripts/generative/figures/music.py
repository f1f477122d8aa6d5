"""Figures of models of music: how well they predict held-out pieces, and how their own are beside real ones."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float64, Int
from torch import Tensor, nn

from generative import offers
from generative.capabilities import dials
from generative.core.component import LatentSpec
from generative.core.facts import Facts
from generative.data import Data
from generative.data.music.pieces import bar_steps
from generative.data.music.rolls import sounding, struck
from generative.metrics.figure import NOTHING, Figure, against
from generative.metrics.registry import METRICS, metrics_that_need
from generative.metrics.sequences.music import copied, nearest_pieces
from generative.metrics.sequences.tokens import KneserNey, longest_order
from generative.report.media import as_roll
from scripts.generative.runs.items import inputs, places, take

PIECES = 250
"""Pieces that are composed for figures, at most."""
DRAWS = 8
"""Draws of held-out pieces."""
BEATS = 4
"""Of a bar."""
WITHOUT_BARS = ("pitch-class entropy", "scale consistency", "polyphony", "motif recurrence")
Rolls = Sequence[Int[np.ndarray, "_ _"]]


@runtime_checkable
class Exchanges(Protocol):
    """Makes pieces of latents of which one part can come from another piece."""

    latent_spec: LatentSpec

    def decode(self, z: Tensor) -> Tensor:
        """Return the pieces of latents."""

    def exchanged(self, z: Tensor, other: Tensor, part: str, voice: int = 0) -> Tensor:
        """Return latents with a part of a voice from others."""


@torch.no_grad()
def of_music(module: nn.Module, data: Data, samples: int, seed: int, asked: tuple[str, ...] = ()) -> Iterator[Figure]:
    """Yield how well a model predicts held-out pieces, and figures of its own beside draws of held-out ones."""
    if offers(module, "log_prob") and not asked:
        yield from _predicted(module, data, samples)
    if not offers(module, "sample"):
        return
    count = max(1, min(samples, PIECES, len(data.held_out()) // 2))
    written = composed(module, data, count, seed)
    generator = np.random.default_rng(seed)
    held = data.held_out()
    rows = [np.sort(generator.choice(len(held), count, replace=False)) for _ in range(DRAWS)]
    draws = [held.get(data.main, each) for each in rows]
    made, *real = (_rolls(data, each, module) for each in (written, *draws))
    training = data.get(data.main, generator.integers(len(data), size=count))
    nothing = _for_nothing(_rolls(data, training, module), generator)
    bar = _bar(data)
    for name in metrics_that_need("rolls", asked):
        metric = METRICS.find(name)
        options = {} if name in WITHOUT_BARS else {"bar": bar}
        value, *others = (metric(each, **options) for each in (made, *real))
        said = {each: metric(rolls, **options) for each, rolls in nothing.items()}
        yield against(name, value, others, said, metric.better, count)
    if not asked:
        yield from _near(data, module, written, draws)
    if not asked and isinstance(module, Exchanges):
        yield from _exchanged(module, data, count, seed)


def composed(module: nn.Module, data: Data, count: int, seed: int) -> np.ndarray:
    """Return pieces of a model that are as long as the items, in their numbers."""
    sampling: Any = dials(module)()
    if hasattr(sampling, "length"):
        length = int(np.prod(data.item.shape)) if data.item.kind == "roll" else data.item.shape[0]
        sampling = dataclasses.replace(sampling, length=length)
    made: Tensor = cast(Any, module).sample(count, sampling, torch.Generator().manual_seed(seed))
    return made.numpy()


@torch.no_grad()
def copies_of(module: nn.Module, data: Data, samples: int, seed: int) -> Facts:
    """Return which shares of a model's pieces and of held-out ones copy a training piece, for a diagnosis."""
    if not offers(module, "sample"):
        return {}
    held = data.held_out()
    count = max(1, min(samples, PIECES, len(held)))
    pieces = composed(module, data, count, seed), held.get(data.main, places(held, count))
    made, known = (float(copied(_nearest(data, module, each)).mean()) for each in pieces)
    return {"copies": (made, known)}


def _predicted(module: nn.Module, data: Data, samples: int) -> Iterator[Figure]:
    """Yield nats per step of all voices, or per note, beside counts of runs of tokens in the training part."""
    held = data.held_out()
    items = take(module, held, samples)
    parts = zip(*(each.split(64) for each in (items.values, *items.condition)), strict=True)
    nats = -sum(float(cast(Any, module).log_prob(*part).sum()) for part in parts)
    where = places(held, samples)
    read, train = held.get(data.main, where), data.get(data.main, np.arange(len(data)))
    steps = read.shape[0] * read.shape[1]
    known = NOTHING if data.log_prob is None else -float(data.log_prob(read).sum()) / steps
    if data.log_prob is not None and "label" in inputs(module):  # a piece is of one style, which the model is told
        styles = data.get("label", np.arange(len(data)))
        shares = np.bincount(styles, minlength=len(data.names("label"))) / len(styles)
        known += float(np.log(shares[held.get("label", where)]).sum()) / steps
    said = _counted(train, read, data)
    what = "nats per step" if data.item.kind == "roll" else "nats per note"
    yield Figure(what, nats / steps, known, NOTHING, NOTHING, said, "lower", None, steps)


def _counted(train: np.ndarray, held: np.ndarray, data: Data) -> Mapping[str, float]:
    """Return nats per step, or note, under counts of what follows what, by name of the baseline.

    Runs are counted within pieces, what overlapping pieces share once, and in every key that there is to train on.
    """
    first = np.ones(train.shape[:2], bool) if data.first_seen is None else data.first_seen(data.items)
    columns = [(train[..., each], held[..., each]) for each in range(train.shape[-1])]
    if data.item.kind == "roll":
        size = data.item.sizes[0]
        said = {
            f"{name} in each voice": sum(_nats(one, other, size, order, first) for one, other in columns)
            for name, order in (("unigram", 1), ("Markov chain", 2), ("Kneser-Ney 4-gram", 4))
        }
        voices = train.shape[2]
        order = longest_order(size, voices + 1)
        in_a_row = _nats(_in_a_row(train), _in_a_row(held), size, order, first.repeat(voices, 1))
        return {**said, f"Kneser-Ney {order}-gram of all voices": voices * in_a_row}
    sizes = data.item.sizes
    return {
        name: sum(_nats(*each, size, order, first) for each, size in zip(columns, sizes, strict=True))
        for name, order in (("unigram", 1), ("Markov chain", 2), ("Kneser-Ney 4-gram", 4))
    }


def _in_a_row(rolls: np.ndarray) -> np.ndarray:
    return rolls.reshape(len(rolls), -1)


def _nats(train: np.ndarray, held: np.ndarray, size: int, order: int, first: np.ndarray) -> float:
    return KneserNey.of(train, size, order, first).bits(held) * math.log(2)


def _exchanged(model: Exchanges, data: Data, count: int, seed: int) -> Iterator[Figure]:
    """Yield how much a groove from another piece moves the rhythm of its voice, and how little its pitch classes.

    Rhythm is moved by the share of steps at which only one of both strikes, pitch classes by the total variation of
    their shares. Beside it stand a melody from the other piece, and the other piece itself.
    """
    generator = torch.Generator().manual_seed(seed)
    z, other = torch.randn(2, count, model.latent_spec.size, generator=generator)
    module = cast(nn.Module, model)
    before, others = (np.stack(_rolls(data, model.decode(each).numpy(), module)) for each in (z, other))
    moved: dict[str, list[tuple[float, float]]] = {"groove": [], "melody": [], "another piece": []}
    for voice in range(before.shape[2]):
        for part, found in moved.items():
            if part == "another piece":
                after = others
            else:
                mixed = model.exchanged(z, other, part, voice)
                after = np.stack(_rolls(data, model.decode(mixed).numpy(), module))
            found.append(_moved(before[:, :, voice], after[:, :, voice]))
    (rhythm, tones), *known = (np.mean(each, 0).tolist() for each in moved.values())
    names = ("a melody exchanged", "another piece")
    alike = {name: each[1] for name, each in zip(names, known, strict=True)}
    none = (NOTHING, NOTHING, NOTHING)
    yield Figure("groove moves rhythm", rhythm, *none, {names[0]: known[0][0]}, "higher", None, count)
    yield Figure("groove moves pitch classes", tones, *none, alike, "lower", None, count)


def _moved(before: Int[np.ndarray, "N T"], after: Int[np.ndarray, "N T"]) -> tuple[float, float]:
    shares = []
    for voices in (before, after):
        counts = np.stack([((voices >= 0) & (voices % 12 == each)).sum(1) for each in range(12)], 1)
        shares.append(counts / np.maximum(1, counts.sum(1, keepdims=True)))
    rhythm = ((before >= 0) != (after >= 0)).mean()
    return float(rhythm), float(np.abs(shares[0] - shares[1]).sum(1).mean() / 2)


def _near(data: Data, module: nn.Module, made: np.ndarray, real: Sequence[np.ndarray]) -> Iterator[Figure]:
    """Yield how far pieces are from the nearest training piece, and how many copy one."""
    away, *others = (_nearest(data, module, each) for each in (made, *real))
    draws = [float(each.mean()) for each in others]
    yield against("distance to training", float(away.mean()), draws, {"copies": 0.0}, "near", len(made))
    shares = [float(copied(each).mean()) for each in others]
    name = f"memorisation[{'rolls' if data.item.kind == 'roll' else 'notes'}]"
    yield against(
        name, float(copied(away).mean()), shares, {"copies": 1.0}, "lower", len(made), resolution=1 / len(made)
    )


def _nearest(data: Data, module: nn.Module, numbers: np.ndarray) -> Float64[np.ndarray, " M"]:
    """Return how far pieces are from the nearest training piece, in what is struck, held or silent, or in notes."""
    train = data.get(data.main, np.arange(len(data)))
    if data.item.kind == "notes":
        return nearest_pieces(train, numbers)
    return nearest_pieces(*(np.stack(_rolls(data, each, module)) for each in (train, numbers)))


def _rolls(data: Data, numbers: np.ndarray, module: nn.Module) -> Rolls:
    """Return pieces as rolls; for a model that writes down no strikes, equal pitches in a row are one note in all."""
    found = [as_roll(each, data.item) for each in numbers]
    return found if getattr(module, "strikes", True) else [struck(sounding(each)) for each in found]


def _for_nothing(real: Rolls, generator: np.random.Generator) -> Mapping[str, Rolls]:
    """Return training pieces whose steps come in any order, and such as have each voice from another piece."""
    found: dict[str, Rolls] = {"steps in any order": [struck(generator.permutation(sounding(each))) for each in real]}
    if real[0].shape[1] > 1:
        order = [np.roll(np.arange(len(real)), voice) for voice in range(real[0].shape[1])]
        found["voices of other pieces"] = [
            np.stack([real[rows[place]][:, voice] for voice, rows in enumerate(order)], 1) for place in range(len(real))
        ]
    return found


def _bar(data: Data) -> int:
    return bar_steps(data.item.rate) if data.item.kind == "roll" else 16
