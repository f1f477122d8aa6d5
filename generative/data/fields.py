"""What every data set is to a trainer: items of named fields by number, seeded batches, a part held out.

A field is what there is to know of an item: the image itself, its label, its true factors. A data set says which fields
its items have, a model says which it needs. The first field is the item itself. A data set is its training part;
`held_out()` gives the rest, and nobody trains on that by accident. Images are uint8 (N H W C) wherever they are stored
or passed on; `as_input` is the one place where they become a model's input.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64, Shaped
from torch import Tensor

from generative.data.orders import Batches, Items, Order
from generative.data.origin import Origin
from generative.networks.convolutions import to_float

Reader = Callable[[Items], np.ndarray]
"""Returns a field of some items, first axis N."""


@dataclass(frozen=True)
class Field:
    """What there is of every item under one name."""

    kind: str
    """image (uint8, H W C), point, row, tokens, roll, notes, label, attributes, factors, mask, or one of
    your own."""
    shape: tuple[int, ...]
    """Of one item; () for a single number."""
    dtype: str
    """Type of the numbers, as NumPy names it."""
    names: tuple[str, ...] = ()
    """Of the classes of a label, of the columns of a row, of factors and attributes, of the tokens of a vocabulary."""
    sizes: tuple[int, ...] = ()
    """How many values a number can have, from 0 on: one count for all, or one for each column. Empty where the type
    alone is the limit."""
    rate: float = 0.0
    """Steps or beats per second of what is heard; 0 where nothing is."""

    def __post_init__(self) -> None:
        if any(each < 1 for each in self.shape):
            raise ValueError(f"shape={self.shape}: sizes; give 1 or more each")
        try:
            np.dtype(self.dtype)
        except TypeError as error:
            raise ValueError(f"dtype={self.dtype!r}: no type of numbers; give one such as float32") from error
        if self.kind == "image" and (len(self.shape) != 3 or self.dtype != "uint8"):
            raise ValueError(f"an image of {self.dtype} {self.shape}: give uint8 and (height, width, channels)")
        if len(self.sizes) > 1 and self.shape[-1:] != (len(self.sizes),):
            raise ValueError(f"sizes={self.sizes}: give one, or one for each column of shape {self.shape}")
        if any(each < 1 for each in self.sizes):
            raise ValueError(f"sizes={self.sizes}: numbers of values; give 1 or more each")

    def problem(self, values: np.ndarray) -> str | None:
        """Return what is wrong with the values of some items, or None."""
        if values.dtype != self.dtype or values.shape[1:] != self.shape:
            said = f"{values.dtype} {values.shape[1:]}"
            return f"{self.kind} of {said}, but the data says {self.dtype} {self.shape}; correct its reader"
        if self.sizes and ((values < 0).any() or (values >= np.array(self.sizes)).any()):
            least, most = values.min(), values.max()
            return f"{self.kind} from {least} to {most}, but numbers lie below {_few(self.sizes)}; correct its reader"
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            return f"{self.kind}: some values are NaN or infinite; repair or leave out those items"
        if self.kind == "image" and values.max() <= 1:
            return f"no value above {values.max()} of 255, which is black to the eye; scale the images to 0 to 255"
        return None


@dataclass(frozen=True)
class Modes:
    """Gaussians that points are drawn from, all as wide and as common as each other."""

    centres: Float32[np.ndarray, "M D"] = field(repr=False)
    """Their means."""
    spread: float
    """Standard deviation of each in every direction."""

    def log_prob(self, points: Float[np.ndarray, "N D"]) -> Float64[np.ndarray, " N"]:
        """Return the log-density of points in nats."""
        count, dimensions = self.centres.shape
        apart = np.square(points[:, None] - self.centres.astype(np.float64)).sum(2) / self.spread**2  # (N M)
        scale = math.log(count) + dimensions * math.log(self.spread * math.sqrt(2 * math.pi))
        return np.logaddexp.reduce(-apart / 2, 1) - scale


@dataclass(frozen=True)
class Data:
    """Items to train on, and through `held_out()` those to test with."""

    name: str
    """As in the registry or given by the user; begins error messages."""
    fields: Mapping[str, Field] = field(repr=False)
    """What there is of every item; the first one is the item itself."""
    readers: Mapping[str, Reader] = field(repr=False)
    """Return a field of items by their numbers, those of both parts."""
    items: Int64[np.ndarray, " T"] = field(repr=False)
    """Numbers of the items in this part."""
    others: Int64[np.ndarray, " E"] | None = field(default=None, repr=False)
    """Numbers of the held-out items; None in the held-out part itself."""
    origin: Origin = field(default_factory=Origin, repr=False)
    """Where the items come from, and what was left out."""
    log_prob: Callable[[Any], Float64[np.ndarray, " N"]] | None = field(default=None, repr=False)
    """Return the true log-probability or log-density of items in nats, where the distribution is known."""
    modes: Modes | None = field(default=None, repr=False)
    """The Gaussians that points are drawn from, where they are."""
    draw: Callable[[np.ndarray], Any] | None = field(default=None, repr=False)
    """Return what a person sees of items, also of a model's: images uint8 (N H W C), one picture (H W 3), or texts."""
    twins: tuple[str, ...] = ()
    """Fields whose images of one item show the same thing in several domains: what a translation should be."""
    stream: bool = False
    """Whether items are pieces of one sequence, each of which goes on where the one before it ends."""
    first_seen: Reader | None = None
    """Return at which steps (N T) items have what no item before them has, where items overlap."""

    def __post_init__(self) -> None:
        if not self.fields or set(self.fields) != set(self.readers):
            have = f"fields {', '.join(self.fields)}, readers {', '.join(self.readers)}"
            raise ValueError(f"{self.name}: {have}; give a reader for each field, and at least one")
        if not set(self.twins) <= set(self.fields):
            raise ValueError(f"{self.name}: twins={self.twins}, fields {', '.join(self.fields)}; name fields")

    @property
    def main(self) -> str:
        """Name of the first field, the item itself."""
        return next(iter(self.fields))

    @property
    def item(self) -> Field:
        """The first field."""
        return self.fields[self.main]

    def names(self, name: str) -> tuple[str, ...]:
        """Return the names in a field, such as those of the classes; none where there is no such field."""
        return self.fields[name].names if name in self.fields else ()

    def __len__(self) -> int:
        return len(self.items)

    def held_out(self) -> "Data":
        """Return the items kept away from training; raise ValueError when this is that part already."""
        if self.others is None:
            raise ValueError(f"{self.name}: this is the held-out part already; call held_out() on the data set itself")
        return replace(self, items=self.others, others=None)

    def read(self, positions: Items, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Return fields of the items at positions 0 to len - 1 of this part; ValueError for one that is not there."""
        return {name: self._reader(name)(self.items[positions]) for name in names}

    def get(self, name: str, positions: Items) -> np.ndarray:
        """Return one field; see `read`."""
        return self.read(positions, [name])[name]

    def tensor(self, name: str, positions: Items, stored: bool = False) -> Tensor:
        """Return one field as a model takes it (see `as_input`), or as it is stored."""
        values = torch.from_numpy(self.get(name, positions))
        return values if stored else as_input(values, self.fields[name])

    def batches(
        self, batch: int, seed: int, names: str | Iterable[str] = (), order: Order = "shuffled", stored: bool = False
    ) -> Batches:
        """Return the stream of batches; call it with the step to start at.

        Args:
            batch: items in a batch.
            seed: determines the order, 0 or more.
            names: fields, the item itself by default; one gives tensors, several give tuples.
            order: which items make a batch.
            stored: hand out numbers as they are stored, images as bytes (B H W C), and not as a model takes them.

        Raises:
            ValueError: the data does not fill a batch or has no such field.
        """
        chosen = (names,) if isinstance(names, str) else tuple(names) or (self.main,)
        for name in chosen:
            self._reader(name)
        readers = tuple(partial(self.tensor, name, stored=stored) for name in chosen)
        return Batches(readers, len(self), batch, seed, order)

    def _reader(self, name: str) -> Reader:
        if name not in self.readers:
            raise ValueError(
                f"{self.name}: this data has no field {name!r}, it has {', '.join(self.fields)}; "
                "choose data that has, or a model that needs none"
            )
        return self.readers[name]


def as_input(values: Shaped[Tensor, "B ..."], field: Field) -> Shaped[Tensor, "B ..."]:
    """Return stored values as a model takes them: images as float32 (B C H W) in [0, 1], all else as it is."""
    return to_float(values) if field.kind == "image" else values


def _few(sizes: tuple[int, ...]) -> str:
    return str(sizes[0]) if len(sizes) == 1 else str(sizes)
