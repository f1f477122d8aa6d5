"""What every data set is to a trainer: items by number, seeded batches from any step on, a part held out.

A data set is its training part; `held_out()` gives the rest, and nobody trains on that by accident. Images are uint8
(N H W C) wherever they are stored or passed on; `in_values` is the one place where they become a model's input.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int, Int64, Shaped, UInt8
from torch import Tensor
from torch.nn import functional

from generative.data.draws import split
from generative.data.origin import Origin
from generative.networks.convolutions import to_float

Values = Literal["stored", "unit", "signed"]
"""stored: uint8 (B H W C). unit: float32 (B C H W) in [0, 1]. signed: the same in [-1, 1], for tanh generators."""
Beside = Literal["labels", "factors", "attributes"]
Items = Int64[np.ndarray, " N"]
Rows = Int64[np.ndarray, "N F"]

T = TypeVar("T")


@dataclass(frozen=True)
class Batches:
    """An endless stream of shuffled batches, a pure function of the seed; call it with the step to start at.

    Every epoch is a new permutation; what is left at its end and does not fill a batch is dropped. Taking the stream
    up at step 1,000,000 costs no more than at step 0.
    """

    read: Callable[[Items], object]
    """Return the batch of some item numbers."""
    count: int
    """Number of items."""
    batch: int
    """Items in a batch."""
    seed: int
    """Determines the order."""

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"batch={self.batch}: must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must not be negative; give 0 or more")
        if self.count < self.batch:
            raise ValueError(f"batch={self.batch}: the data has {self.count} items; lower batch or give more data")

    def __call__(self, start_step: int = 0) -> Iterator[Any]:
        """Yield batches from number `start_step` on."""
        epoch, position = divmod(start_step, self.count // self.batch)
        while True:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.count)
            for start in range(position * self.batch, self.count - self.batch + 1, self.batch):
                yield self.read(order[start : start + self.batch])
            epoch, position = epoch + 1, 0


@dataclass(frozen=True)
class ImageSource:
    """All images of a data set, by number, and what is known about them; each function takes item numbers."""

    shape: tuple[int, int, int]
    """Height, width and channels."""
    count: int
    """Number of images, held-out ones included."""
    images: Callable[[Items], UInt8[np.ndarray, "N H W C"]]
    """Return images."""
    classes: tuple[str, ...] = ()
    """Names of the classes; empty where there are none."""
    labels: Callable[[Items], Int64[np.ndarray, " N"]] | None = None
    """Return class numbers."""
    factor_names: tuple[str, ...] = ()
    """Names of the true factors of variation, a column each."""
    factors: Callable[[Items], Float32[np.ndarray, "N F"]] | None = None
    """Return true factors in their own units."""
    attribute_names: tuple[str, ...] = ()
    """Names of the yes-or-no attributes, a column each."""
    attributes: Callable[[Items], UInt8[np.ndarray, "N A"]] | None = None
    """Return attributes as 0 and 1."""
    origin: Origin = field(default_factory=Origin)
    """Where the images come from, and what was left out."""


@dataclass(frozen=True)
class ImageData:
    """Images to train on, and through `held_out()` those to test with."""

    name: str
    """As in the registry or given by the user; begins error messages."""
    source: ImageSource
    """All images."""
    items: Int64[np.ndarray, " T"] = field(repr=False)
    """Numbers of the images in this part."""
    others: Int64[np.ndarray, " E"] | None = field(default=None, repr=False)
    """Numbers of the held-out images; None in the held-out part itself."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.source.shape

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty where there are none."""
        return self.source.classes

    @property
    def factor_names(self) -> tuple[str, ...]:
        """Names of the true factors; empty where none are known."""
        return self.source.factor_names

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Names of the yes-or-no attributes; empty where none are known."""
        return self.source.attribute_names

    @property
    def origin(self) -> Origin:
        """Where the images come from, and what was left out."""
        return self.source.origin

    def __len__(self) -> int:
        return len(self.items)

    def held_out(self) -> "ImageData":
        """Return the images kept away from training; raise ValueError when this is that part already."""
        return replace(self, items=_other_part(self.name, self.others), others=None)

    def images(self, positions: Items) -> UInt8[np.ndarray, "N H W C"]:
        """Return the images at positions 0 to len - 1 of this part."""
        return self.source.images(self.items[positions])

    def labels(self, positions: Items) -> Int64[np.ndarray, " N"]:
        """Return class numbers; raise ValueError when the data has no classes."""
        return _known(self.name, "labels", self.source.labels)(self.items[positions])

    def factors(self, positions: Items) -> Float32[np.ndarray, "N F"]:
        """Return the columns of `factor_names`; raise ValueError when no factors are known."""
        return _known(self.name, "factors", self.source.factors)(self.items[positions])

    def attributes(self, positions: Items) -> UInt8[np.ndarray, "N A"]:
        """Return the columns of `attribute_names` as 0 and 1; raise ValueError when none are known."""
        return _known(self.name, "attributes", self.source.attributes)(self.items[positions])

    def batches(self, batch: int, seed: int, values: Values = "stored", beside: Beside | None = None) -> Batches:
        """Return the stream of shuffled batches; call it with the step to start at.

        Args:
            batch: images in a batch.
            seed: determines the order, 0 or more.
            values: which numbers stand for colours.
            beside: None yields images, a name yields tuples (images, that).

        Raises:
            ValueError: the data does not fill a batch or has no such thing to give beside.
        """
        if beside is not None:
            _known(self.name, beside, getattr(self.source, beside))

        def read(positions: Items) -> Any:
            images = in_values(torch.from_numpy(self.images(positions)), values)
            return images if beside is None else (images, torch.from_numpy(getattr(self, beside)(positions)))

        return Batches(read, len(self), batch, seed)


@dataclass(frozen=True)
class RowData:
    """Rows of categories, the same features in each: a description of something in a few words."""

    name: str
    """As in the registry or given by the user; begins error messages."""
    features: Mapping[str, tuple[str, ...]] = field(repr=False)
    """Names of the features in the order of the columns, and of the values that each can have."""
    read: Callable[[Items], Rows] = field(repr=False)
    """Return rows, each number below the count of its feature's values."""
    items: Int64[np.ndarray, " T"] = field(repr=False)
    """Numbers of the rows in this part."""
    others: Int64[np.ndarray, " E"] | None = field(default=None, repr=False)
    """Numbers of the held-out rows; None in the held-out part itself."""
    log_prob: Callable[[Rows], Float64[np.ndarray, " N"]] | None = field(default=None, repr=False)
    """Return the true log-probability of rows in nats, for data whose distribution is known."""
    draw: Callable[[Rows], UInt8[np.ndarray, "N H W C"]] | None = field(default=None, repr=False)
    """Return pictures of rows, for data that can be looked at."""
    origin: Origin = field(default_factory=Origin, repr=False)
    """Where the items come from, and what was left out."""

    @property
    def shape(self) -> tuple[int]:
        """Number of features."""
        return (len(self.features),)

    @property
    def categories(self) -> tuple[int, ...]:
        """How many values each feature has."""
        return tuple(map(len, self.features.values()))

    @property
    def classes(self) -> tuple[str, ...]:
        """None: a row is all that is known."""
        return ()

    def __len__(self) -> int:
        return len(self.items)

    def held_out(self) -> "RowData":
        """Return the rows kept away from training; raise ValueError when this is that part already."""
        return replace(self, items=_other_part(self.name, self.others), others=None)

    def rows(self, positions: Items) -> Rows:
        """Return the rows at positions 0 to len - 1 of this part."""
        return self.read(self.items[positions])

    def batches(self, batch: int, seed: int) -> Batches:
        """Return the stream of shuffled int64 batches (B F)."""
        return Batches(lambda positions: torch.from_numpy(self.rows(positions)), len(self), batch, seed)


@dataclass(frozen=True)
class PointData:
    """Points around known modes, to see at a glance which of them a model covers."""

    name: str
    """As in the registry; begins error messages."""
    modes: Float32[np.ndarray, "M D"] = field(repr=False)
    """Centres of the modes."""
    spread: float
    """Standard deviation of every mode in every direction."""
    read: Callable[[Items], tuple[Float32[np.ndarray, "N D"], Int64[np.ndarray, " N"]]] = field(repr=False)
    """Return points and the numbers of their modes."""
    items: Int64[np.ndarray, " T"] = field(repr=False)
    """Numbers of the points in this part."""
    others: Int64[np.ndarray, " E"] | None = field(default=None, repr=False)
    """Numbers of the held-out points; None in the held-out part itself."""
    origin: Origin = field(default_factory=Origin, repr=False)
    """Where the items come from, and what was left out."""

    def log_prob(self, points: Float[np.ndarray, "N D"]) -> Float64[np.ndarray, " N"]:
        """Return the true log-density of points in nats."""
        apart = np.square(points[:, None] - self.modes.astype(np.float64)).sum(2) / self.spread**2  # (N M)
        scale = math.log(len(self.modes)) + self.modes.shape[1] * math.log(self.spread * math.sqrt(2 * math.pi))
        return np.logaddexp.reduce(-apart / 2, 1) - scale

    @property
    def shape(self) -> tuple[int]:
        """Dimensions of a point."""
        return (self.modes.shape[1],)

    @property
    def classes(self) -> tuple[str, ...]:
        """One class per mode."""
        return tuple(str(number) for number in range(len(self.modes)))

    def __len__(self) -> int:
        return len(self.items)

    def held_out(self) -> "PointData":
        """Return the points kept away from training; raise ValueError when this is that part already."""
        return replace(self, items=_other_part(self.name, self.others), others=None)

    def points(self, positions: Items) -> Float32[np.ndarray, "N D"]:
        """Return the points at positions 0 to len - 1 of this part."""
        return self.read(self.items[positions])[0]

    def labels(self, positions: Items) -> Int64[np.ndarray, " N"]:
        """Return the numbers of the modes those points come from."""
        return self.read(self.items[positions])[1]

    def batches(self, batch: int, seed: int, beside: Literal["labels"] | None = None) -> Batches:
        """Return the stream of shuffled float32 batches (B D), with labels beside them where asked for."""

        def read(positions: Items) -> Any:
            points, labels = (torch.from_numpy(each) for each in self.read(self.items[positions]))
            return points if beside is None else (points, labels)

        return Batches(read, len(self), batch, seed)


Data = ImageData | RowData | PointData


def image_data(
    name: str,
    source: ImageSource,
    *,
    held: Int64[np.ndarray, " E"] | None = None,
    groups: Shaped[np.ndarray, " N"] | None = None,
) -> ImageData:
    """Split a source into its training part and the rest.

    Args:
        name: begins error messages.
        source: all images.
        held: numbers of the images to hold out, for data that comes with a test set; about one in ten by default.
        groups: one entry per image; those of a group stay on one side. Not together with `held`.

    Raises:
        ValueError: one of the parts would be empty.
    """
    try:
        if held is None:
            training, held = split(source.count, groups)
        else:
            training = np.setdiff1d(np.arange(source.count), held)
        if not (len(training) and len(held)):
            raise ValueError(f"{len(training)} images to train on and {len(held)} to hold out; give some of both")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return ImageData(name, source, training, held)


def in_values(images: UInt8[Tensor, "B H W C"], values: Values) -> Shaped[Tensor, "B _ _ _"]:
    """Return stored images as the numbers a model asks for; see `Values`."""
    if values == "stored":
        return images
    scaled = to_float(images)  # (B C H W)
    return scaled if values == "unit" else scaled.mul_(2).sub_(1)


def one_hot(rows: Int[Tensor, "N F"], categories: Sequence[int]) -> Float[Tensor, "N K"]:
    """Return rows as zeros and ones, a column for each value of each feature: as many differ as features do, twice."""
    parts = [functional.one_hot(column.long(), size) for column, size in zip(rows.T, categories, strict=True)]
    return torch.cat(parts, 1).float()


def _known(name: str, what: str, function: Callable[[Items], T] | None) -> Callable[[Items], T]:
    if function is None:
        raise ValueError(f"{name}: this data has no {what}; choose data that has, or a model that needs none")
    return function


def _other_part(name: str, others: Int64[np.ndarray, " E"] | None) -> Int64[np.ndarray, " E"]:
    if others is None:
        raise ValueError(f"{name}: this is the held-out part already; call held_out() on the data set itself")
    return others
