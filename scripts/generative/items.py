"""Items of a data set as a model takes them: the values, what goes beside them, and the codes that they get."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from generative import ComponentError, offers, require
from generative.data import Data, ImageData, RowData, in_values
from generative.data.contract import Batches, Beside
from generative.latent.interpolation import encode_means
from generative.training.batches import each_tensor


@dataclass(frozen=True)
class Items:
    """Some items of a data set as a model takes them."""

    values: Tensor
    """Images (N C H W) in [0, 1], rows of categories (N F) or points (N D)."""
    labels: Tensor | None
    """Class numbers (N), for models that take them."""

    @property
    def condition(self) -> tuple[Tensor, ...]:
        """What the model's methods take besides the values."""
        return () if self.labels is None else (self.labels,)

    def first(self, count: int) -> "Items":
        """Return the first items."""
        return Items(self.values[:count], None if self.labels is None else self.labels[:count])


def beside(module: nn.Module) -> Beside | None:
    """Return what a model is trained with besides the items: labels where it has classes."""
    config = cast(Any, module).config
    return "labels" if getattr(config, "classes", 0) else None


def stream(module: nn.Module, data: Data, batch: int, seed: int) -> Batches:
    """Return the batches that a model trains on, images as they are stored; see `as_input`."""
    if isinstance(data, ImageData):
        return data.batches(batch, seed, "stored", beside(module))
    if isinstance(data, RowData):
        return data.batches(batch, seed)
    return data.batches(batch, seed, "labels" if beside(module) else None)


def as_input(batch: Any) -> Any:
    """Return a batch of `stream` as a model takes it: images in [0, 1], all else as it is."""
    return each_tensor(batch, lambda part: in_values(part, "unit") if part.dtype == torch.uint8 else part)


def values_stream(data: Data, batch: int, seed: int) -> Iterator[Tensor]:
    """Return batches without labels, as `estimate` takes them."""
    return (data.batches(batch, seed, "unit") if isinstance(data, ImageData) else data.batches(batch, seed))(0)


def places(data: Data, count: int) -> Int64[np.ndarray, " N"]:
    """Return positions at even distances over a part of the data, at most `count`."""
    return np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).astype(np.int64))


def take(module: nn.Module, data: Data, count: int) -> Items:
    """Return the items at `places`."""
    where = places(data, count)
    if isinstance(data, RowData):
        return Items(torch.from_numpy(data.rows(where)), None)
    if isinstance(data, ImageData):
        values = in_values(torch.from_numpy(data.images(where)), "unit")
    else:
        values = torch.from_numpy(data.points(where))
    labels = torch.from_numpy(data.labels(where)) if beside(module) else None
    return Items(values, labels)


def says_classes(module: nn.Module) -> bool:
    """Return whether a model is a classifier: it has classes and ends in a score for each."""
    return hasattr(module, "head") and beside(module) is not None


@torch.no_grad()
def codes(module: nn.Module, data: Data, count: int, seed: int) -> Items:
    """Return latents to start from, with the labels they stand for: of held-out items, in an order by seed.

    Of a model that cannot encode they are drawn from its prior N(0, 1).

    Raises:
        ComponentError: the model cannot decode, so that nothing could be seen of them; says which models can.
    """
    require(module, "decode")
    generator = torch.Generator().manual_seed(seed)
    items = take(module, data.held_out(), max(1024, count))
    order = torch.randperm(len(items.values), generator=generator)[:count]
    labels = None if items.labels is None else items.labels[order]
    if not offers(module, "encode"):
        return Items(torch.randn(len(order), cast(Any, module).latent_spec.size, generator=generator), labels)
    chosen = Items(items.values[order], labels)
    return Items(encode_means(module, chosen.values, chosen.condition), labels)


def decoder(module: nn.Module, condition: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
    """Return a model's decoder; what it takes besides latents is that of the first item, for all of them."""
    model: Any = module
    return lambda z: model.decode(z, *(each[:1].expand(len(z)) for each in condition))


def require_images(data: Data, command: str) -> ImageData:
    """Return data of images; raise ComponentError for rows and points."""
    if not isinstance(data, ImageData):
        raise ComponentError(no_images(command, data.name, "rows" if isinstance(data, RowData) else "points"))
    return data


def no_images(command: str, name: str, kind: str) -> str:
    """Say that a command shows images, and what these data are instead."""
    return f"`{command}` shows images, and {name} has {kind}; use `evaluate` or `report`"
