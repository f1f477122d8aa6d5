"""Batches in a given order: every order is a pure function of the seed and the step, so a training goes on anywhere."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Int64
from torch import Tensor

Items = Int64[np.ndarray, " N"]
Order = Literal["shuffled", "contiguous", "unpaired"]
"""shuffled: every epoch is a new permutation. contiguous: row b of a batch goes on where row b of the batch before
ended, for a state that is carried on. unpaired: as shuffled, but every field has a permutation of its own."""


@dataclass(frozen=True)
class Batches:
    """An endless stream of batches, a pure function of the seed; call it with the step to start at.

    What is left at the end of an epoch and does not fill a batch is dropped. Taking the stream up at step 1,000,000
    costs no more than at step 0.
    """

    readers: tuple[Callable[[Items], Tensor], ...]
    """Return a field of the items at some positions; one for each tensor of a batch."""
    count: int
    """Number of items."""
    batch: int
    """Items in a batch."""
    seed: int
    """Determines the order; of contiguous batches, where they begin."""
    order: Order = "shuffled"
    """Which items make a batch; see `Order`."""

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"batch={self.batch}: must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must not be negative; give 0 or more")
        if self.count < self.batch:
            raise ValueError(f"batch={self.batch}: the data has {self.count} items; lower batch or give more data")

    def __call__(self, start_step: int = 0) -> Iterator[Any]:
        """Yield batches from number `start_step` on: a tensor for one field, else a tuple."""
        places = self._contiguous(start_step) if self.order == "contiguous" else self._shuffled(start_step)
        return (self._read(each) for each in places)

    def once(self) -> Iterator[Any]:
        """Yield every item exactly once, in the order of the first epoch; the last batch may be smaller."""
        orders = self._permutations(0)
        for start in range(0, self.count, self.batch):
            yield self._read([order[start : start + self.batch] for order in orders])

    def _read(self, places: Sequence[Items]) -> Any:
        found = tuple(read(each) for read, each in zip(self.readers, places, strict=True))
        return found[0] if len(found) == 1 else found

    def _shuffled(self, start_step: int) -> Iterator[Sequence[Items]]:
        epoch, position = divmod(start_step, self.count // self.batch)
        while True:
            orders = self._permutations(epoch)
            for start in range(position * self.batch, self.count - self.batch + 1, self.batch):
                yield [order[start : start + self.batch] for order in orders]
            epoch, position = epoch + 1, 0

    def _permutations(self, epoch: int) -> list[Items]:
        first = np.random.default_rng([self.seed, epoch]).permutation(self.count)
        if self.order != "unpaired":
            return [first] * len(self.readers)
        own = range(1, len(self.readers))
        return [first, *(np.random.default_rng([self.seed, epoch, each]).permutation(self.count) for each in own)]

    def _contiguous(self, start_step: int) -> Iterator[Sequence[Items]]:
        """Yield neighbours in time: a row walks through all items, and the next row is a segment ahead of it."""
        begin = int(np.random.default_rng(self.seed).integers(self.count))
        rows = begin + self.count // self.batch * np.arange(self.batch)
        for step in itertools.count(start_step):
            yield [(rows + step) % self.count] * len(self.readers)
