"""Attention as a picture: a row for each token that is written, a column for each that is looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from generative.core.views import Picture, Source
from generative.data.text.padded import until_end
from generative.sampling.decoding import AnswerDecoding

ITEMS = 64
"""Held-out items to choose from."""
CELL = 24
"""Pixels of a cell's side."""


@dataclass(frozen=True)
class AnswerAttention:
    """Where a model looks in a held-out source while it writes its answer, token by token: the whiter the more."""

    makes: ClassVar[type[Picture]] = Picture
    item: int = 0
    """Which of 64 held-out items, counted from 0."""
    layer: int = 0
    """Layer, counted from 1; 0 for the mean of all."""
    head: int = 0
    """Head of the layer, counted from 1; 0 for the mean of all."""

    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return the shares of attention of the likeliest answer.

        Raises:
            ValueError: the model does not look back.
        """
        *given, target, _ = _one(source, self.item)
        generator = torch.Generator().manual_seed(seed)
        answer = model.answer(*given, sampling=AnswerDecoding(length=target.shape[1]), generator=generator)
        read, said = (_up_to_end(source.names(name), each) for name, each in (("source", given[0]), ("target", answer)))
        shares = shares_of(model.maps(given, answer), self.layer, self.head)
        if not shares.any():
            raise ValueError("attention=none: this model does not look back; train one with --model.attention dot")
        return attention_picture(shares[: len(said), : len(read)], said, read)


@dataclass(frozen=True)
class TextAttention:
    """Where a model looks in a held-out text while it reads each of its tokens: the whiter the more."""

    makes: ClassVar[type[Picture]] = Picture
    item: int = 0
    """Which of 64 held-out items, counted from 0."""
    length: int = 24
    """Tokens of it that are read."""
    layer: int = 0
    """Layer, counted from 1; 0 for the mean of all."""
    head: int = 0
    """Head of the layer, counted from 1; 0 for the mean of all."""

    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return the shares of attention within the beginning of a text."""
        (tokens, *_) = _one(source, self.item)
        if self.length < 1:
            raise ValueError(f"length={self.length}: give 1 or more")
        tokens = tokens[:, : min(self.length, model.config.context - 1)]
        names = [source.names("tokens")[each] for each in tokens[0].tolist()]
        with torch.no_grad():
            shares = shares_of(model.maps(tokens), self.layer, self.head)
        names = [*["<start>"] * (len(shares) - len(names)), *names]
        return attention_picture(shares, names, names)


@dataclass(frozen=True)
class NoteAttention:
    """Where a model looks back in a held-out melody before it writes each of its notes: the whiter the more."""

    makes: ClassVar[type[Picture]] = Picture
    item: int = 0
    """Which of 64 held-out items, counted from 0."""
    length: int = 16
    """Notes of it that are read."""

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return the shares of attention within the beginning of a melody, pitches above and beside them."""
        (notes, *_) = _one(source, self.item)
        if self.length < 1:
            raise ValueError(f"length={self.length}: give 1 or more")
        notes = notes[:, : self.length]
        names = ["<start>", *(source.names("notes")[each] for each in notes[0, :, 0].tolist())]
        return attention_picture(model.shares(notes)[0], names, names)


def shares_of(maps: Sequence[Float[Tensor, "1 heads T S"]], layer: int, head: int) -> Float[Tensor, "T S"]:
    """Return the shares of a layer's head, both counted from 1, or their mean for 0.

    Raises:
        ValueError: there is no such layer or head.
    """
    for name, number, count in (("layer", layer, len(maps)), ("head", head, maps[0].shape[1])):
        if not 0 <= number <= count:
            raise ValueError(f"{name}={number}: give 1 to {count}, or 0 for the mean of all")
    found = torch.stack([each[0] for each in maps])  # (layers heads T S)
    found = found[layer - 1 : layer] if layer else found
    found = found[:, head - 1 : head] if head else found
    return found.mean((0, 1))


def attention_picture(shares: Float[Tensor, "T S"], rows: Sequence[str], columns: Sequence[str]) -> Picture:
    """Return shares as cells, black for 0 and white for 1, with tokens beside and above them."""
    cells = shares[:, :, None, None, None].expand(-1, -1, 1, CELL, CELL)
    return Picture(cells, [each.strip() or "_" for each in rows], [each.strip() or "_" for each in columns])


def _one(source: Source, item: int) -> tuple[Tensor, ...]:
    """Return the fields of a held-out item, as a batch of one."""
    held = source.held_out(ITEMS)
    if not 0 <= item < len(held[0]):
        raise ValueError(f"item={item}: give 0 to {len(held[0]) - 1}")
    return tuple(each[item : item + 1] for each in held)


def _up_to_end(names: Sequence[str], numbers: Tensor) -> list[str]:
    """Return the names of a row's tokens up to its end, which is left in where there is one."""
    row = numbers[0].tolist()
    found = until_end(names, row)
    return [*found, names[0]] if len(found) < len(row) else found
