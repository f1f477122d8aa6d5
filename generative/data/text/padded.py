"""Sequences of unequal lengths as rows of one length: what stands behind an end is padding, and a mask says so.

A model leaves padding out of everything that it computes; see `mask` of each field.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Int64

from generative.data.draws import held_out_by_digest
from generative.data.fields import Data, Field, Reader
from generative.data.orders import Items

END = "<end>"
"""Token number 0 of every padded field: ends a sequence."""
MASK = "_mask"
"""Ends the name of the field that says where a padded field holds a sequence, its end included."""


def padded(
    sequences: Sequence[Sequence[str]], names: Sequence[str]
) -> tuple[Int64[np.ndarray, "N T"], Bool[np.ndarray, "N T"]]:
    """Return sequences of tokens as numbers, each with its end and then padding, and where they are no padding."""
    number = {name: place for place, name in enumerate(names)}
    longest = max(map(len, sequences)) + 1
    rows = np.full((len(sequences), longest), number[END], np.int64)
    for row, sequence in zip(rows, sequences, strict=True):
        row[: len(sequence)] = [number[each] for each in sequence]
    lengths = np.array([len(each) for each in sequences])
    return rows, np.arange(longest) <= lengths[:, None]


def sequence_data(name: str, columns: Mapping[str, Sequence[Sequence[str]]], names: Sequence[str]) -> Data:
    """Return a data set of sequences, about a tenth held out: by the content of the first, so that none is in both.

    Args:
        name: of the data set.
        columns: sequences of tokens by field; each gives a field of tokens and one of its mask.
        names: of all tokens; `END` is the first.
    """
    fields: dict[str, Field] = {}
    readers: dict[str, Reader] = {}
    masks: dict[str, Field] = {}
    for field, sequences in columns.items():
        rows, mask = padded(sequences, names)
        fields[field] = Field("tokens", rows.shape[1:], "int64", tuple(names), (len(names),))
        masks[field + MASK] = Field("mask", mask.shape[1:], "bool")
        readers |= {field: _reader(rows), field + MASK: _reader(mask)}
    first = next(iter(columns.values()))
    digests = [hashlib.sha256("\0".join(each).encode()).hexdigest() for each in first]
    held = held_out_by_digest(digests)
    training = np.setdiff1d(np.arange(len(first)), held)
    return Data(name, {**fields, **masks}, readers, training, held)


def until_end(names: Sequence[str], numbers: Sequence[int]) -> list[str]:
    """Return the names of tokens up to the first end, which is left out."""
    found = []
    for number in numbers:
        if names[number] == END:
            break
        found.append(names[number])
    return found


def _reader(rows: np.ndarray) -> Reader:
    def read(items: Items) -> np.ndarray:
        return rows[items]

    return read
