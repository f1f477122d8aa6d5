"""How a model takes data: which sizes, which numbers, what beside the images. The one place that asks the model."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from generative import MODELS, ComponentError, config_from_mapping, config_to_mapping, load_component, offers, require
from generative.data import Data, ImageData, RowData, check_data, data_class, data_names, in_values
from generative.data.contract import Beside
from generative.data.registry import DATA
from generative.latent.interpolation import encode_means
from generative.run import Choice, Run, RunConfig
from scripts.generative.car_racing import CarRacingConfig

OURS = {"car-racing": CarRacingConfig}
"""Data sets that only this layer can read."""


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
        """Returns the first items."""
        return Items(self.values[:count], None if self.labels is None else self.labels[:count])


def known_data() -> list[str]:
    """Returns the names of all data sets."""
    return [*DATA, *OURS, *(name for name in data_names() if name not in DATA)]


def data_config(name: str) -> type:
    """Returns the config dataclass of a data set; raises ComponentError when there is none."""
    return OURS[name] if name in OURS else data_class(name)


def load(choice: Choice) -> Data:
    """Returns a data set by name; errors as of `generative.data.load_data`."""
    config: Any = config_from_mapping(data_config(choice.type), choice.options, "data")
    return config.load()


def sizes(model: str, data: Data) -> dict[str, Any]:
    """Returns the options of a model that the data decide, those that its config has."""
    names = {each.name for each in dataclasses.fields(MODELS.config_class(model))}
    found: dict[str, Any] = {}
    if isinstance(data, ImageData):
        found = {"image_size": data.shape[0], "channels": data.shape[2]}
    elif isinstance(data, RowData):
        found = {"categories": data.categories}
    else:
        found = {"dimensions": data.shape[0], "layout": "points"} if "dimensions" in names else {}
    if data.classes:
        found["classes"] = len(data.classes)
    return {name: value for name, value in found.items() if name in names}


def resolve(config: RunConfig) -> RunConfig:
    """Returns a configuration with every option of data and model written out, as it stands in a run folder.

    Raises:
        ComponentError: unknown model, data or option.
        ValueError: an option has a wrong value.
    """
    chosen: Any = config_from_mapping(data_config(config.data.type), config.data.options, "data")
    options = {**sizes(config.model.type, chosen.load()), **config.model.options}
    model: Any = config_from_mapping(MODELS.config_class(config.model.type), options, "model")
    return dataclasses.replace(
        config,
        data=Choice(config.data.type, config_to_mapping(chosen)),
        model=Choice(config.model.type, config_to_mapping(model)),
    )


def beside(module: nn.Module) -> Beside | None:
    """Returns what a model is trained with besides the items: labels where it has classes."""
    config = cast(Any, module).config
    return "labels" if getattr(config, "classes", 0) else None


def shape(module: nn.Module) -> tuple[int, ...] | None:
    """Returns the shape of the items that a model takes, as data sets give theirs; None where it does not say."""
    config = cast(Any, module).config
    if hasattr(config, "dimensions") and getattr(config, "layout", "points") == "points":
        return (config.dimensions,)
    if getattr(config, "categories", ()):
        return (len(config.categories),)
    return (config.image_size, config.image_size, config.channels) if hasattr(config, "image_size") else None


def build(config: RunConfig, data: Data) -> nn.Module:
    """Returns the new model of a run; what its options leave open the data decide.

    Raises:
        ComponentError: unknown model or option.
        ValueError: an option has a wrong value, or the data do not fit the model.
    """
    options = {**sizes(config.model.type, data), **config.model.options}
    module = MODELS.create(config.model.type, options, config.seed)
    check_data(data, batch=config.batch, shape=shape(module), beside=beside(module))
    return module


def stream(module: nn.Module, data: Data, batch: int, seed: int) -> Callable[[int], Iterator[Any]]:
    """Returns the batches that a model trains on."""
    if isinstance(data, ImageData):
        return data.batches(batch, seed, "unit", beside(module))
    if isinstance(data, RowData):
        return data.batches(batch, seed)
    return data.batches(batch, seed, "labels" if beside(module) else None)


def values_stream(data: Data, batch: int, seed: int) -> Iterator[Tensor]:
    """Returns batches without labels, as `estimate` takes them."""
    return (data.batches(batch, seed, "unit") if isinstance(data, ImageData) else data.batches(batch, seed))(0)


def places(data: Data, count: int) -> Int64[np.ndarray, " N"]:
    """Returns positions at even distances over a part of the data, at most `count`."""
    return np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).astype(np.int64))


def take(module: nn.Module, data: Data, count: int) -> Items:
    """Returns the items at `places`."""
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
    """Returns whether a model is a classifier: it has classes and ends in a score for each."""
    return hasattr(module, "head") and beside(module) is not None


@torch.no_grad()
def codes(module: nn.Module, data: Data, count: int, seed: int) -> Items:
    """Returns latents to start from, with the labels they stand for: of held-out items, in an order by seed.

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
    """Returns a model's decoder; what it takes besides latents is that of the first item, for all of them."""
    model: Any = module
    return lambda z: model.decode(z, *(each[:1].expand(len(z)) for each in condition))


def open_run(run: Run) -> tuple[nn.Module, Data]:
    """Returns a trained model and its data.

    Raises:
        ComponentError: the training has not ended, or a file is missing or damaged.
    """
    run.require_trained()
    return load_component(run.model, MODELS), load(run.config.data)


def require_images(data: Data, command: str) -> ImageData:
    """Returns data of images; raises ComponentError for rows and points."""
    if not isinstance(data, ImageData):
        what = "rows" if isinstance(data, RowData) else "points"
        raise ComponentError(f"`{command}` shows images, and {data.name} has {what}; use `evaluate` or `report`")
    return data
