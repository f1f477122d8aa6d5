"""How a model takes data: which sizes, which numbers, what beside the images. The one place that asks the model."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors
import safetensors.torch
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from generative import MODELS, ComponentError, config_from_mapping, config_to_mapping, load_component, offers, require
from generative.data import Data, ImageData, RowData, check_data, data_class, data_names, in_values
from generative.data.contract import Beside
from generative.data.registry import DATA
from generative.facts import Facts
from generative.files import write_bytes
from generative.identity import compare_data, data_facts
from generative.latent.interpolation import encode_means
from generative.run import Choice, TrainingConfig, TrainingRun
from scripts.generative.car_racing import CarRacingConfig
from scripts.generative.preflight import check_data_options

OURS = {"car-racing": CarRacingConfig}
"""Data sets that only this layer can read."""
STARTS = "codes.safetensors"
"""File of a run with codes of held-out images, and their labels, to start pictures from."""
MOST_STARTS = 1024
"""How many of them."""


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


def known_data() -> list[str]:
    """Return the names of all data sets."""
    return [*DATA, *OURS, *(name for name in data_names() if name not in DATA)]


def data_config(name: str) -> type:
    """Return the config dataclass of a data set; raise ComponentError when there is none."""
    return OURS[name] if name in OURS else data_class(name)


def path_options(name: str) -> tuple[str, ...]:
    """Return which options of a data set say where its files lie; none for data that are drawn."""
    return tuple(getattr(data_config(name), "path_options", ()))


def absolute(choice: Choice) -> Choice:
    """Return a data set with its paths written out, so that they mean the same in every folder."""
    given = {name: choice.options.get(name) for name in path_options(choice.type)}
    whole = {name: os.path.abspath(os.path.expanduser(str(path))) for name, path in given.items() if path}
    return dataclasses.replace(choice, options={**choice.options, **whole})


def begin(path: Path, config: TrainingConfig, data: Data) -> TrainingRun:
    """Make a run folder or opens the one that is there; its data may have moved, but not changed.

    Raises:
        ComponentError: the folder is something else, or was made with another configuration or other data.
    """
    places = {f"data.options.{name}" for name in path_options(config.data.type)}
    if (path / "config.yaml").is_file():
        run = TrainingRun(path)
        if run.config.data.type == config.data.type and (run.path / "data.json").is_file():
            compare_data(run, data)
    return TrainingRun.create(path, config, places)


def load(choice: Choice) -> Data:
    """Return a data set by name; errors as of `generative.data.load_data`, and a RunError for more than fits."""
    config: Any = config_from_mapping(data_config(choice.type), choice.options, "data")
    check_data_options(config)
    return config.load()


def sizes(model: str, data: Data) -> Facts:
    """Return the options of a model that the data decide, those that its config has."""
    names = {each.name for each in dataclasses.fields(MODELS.config_class(model))}
    found: Facts = {}
    if isinstance(data, ImageData):
        found = {"image_size": data.shape[0], "channels": data.shape[2]}
    elif isinstance(data, RowData):
        found = {"categories": data.categories}
    else:
        found = {"dimensions": data.shape[0], "layout": "points"} if "dimensions" in names else {}
    if data.classes:
        found["classes"] = len(data.classes)
    return {name: value for name, value in found.items() if name in names}


def resolve(config: TrainingConfig) -> TrainingConfig:
    """Return a configuration with every option of data and model written out, as it stands in a run folder.

    Raises:
        ComponentError: unknown model, data or option.
        ValueError: an option has a wrong value.
    """
    chosen: Any = config_from_mapping(data_config(config.data.type), config.data.options, "data")
    options = {**sizes(config.model.type, load(config.data)), **config.model.options}
    model: Any = config_from_mapping(MODELS.config_class(config.model.type), options, "model")
    return dataclasses.replace(
        config,
        data=absolute(Choice(config.data.type, config_to_mapping(chosen))),
        model=Choice(config.model.type, config_to_mapping(model)),
    )


def beside(module: nn.Module) -> Beside | None:
    """Return what a model is trained with besides the items: labels where it has classes."""
    config = cast(Any, module).config
    return "labels" if getattr(config, "classes", 0) else None


def shape(module: nn.Module) -> tuple[int, ...] | None:
    """Return the shape of the items that a model takes, as data sets give theirs; None where it does not say."""
    config = cast(Any, module).config
    if hasattr(config, "dimensions") and getattr(config, "layout", "points") == "points":
        return (config.dimensions,)
    if getattr(config, "categories", ()):
        return (len(config.categories),)
    return (config.image_size, config.image_size, config.channels) if hasattr(config, "image_size") else None


def build(config: TrainingConfig, data: Data) -> nn.Module:
    """Return the new model of a run; what its options leave open the data decide.

    Raises:
        ComponentError: unknown model or option.
        ValueError: an option has a wrong value, or the data do not fit the model.
    """
    options = {**sizes(config.model.type, data), **config.model.options}
    module = MODELS.create(config.model.type, options, config.seed)
    check_data(data, batch=config.batch, shape=shape(module), beside=beside(module))
    return module


def stream(module: nn.Module, data: Data, batch: int, seed: int) -> Callable[[int], Iterator[Any]]:
    """Return the batches that a model trains on."""
    if isinstance(data, ImageData):
        return data.batches(batch, seed, "unit", beside(module))
    if isinstance(data, RowData):
        return data.batches(batch, seed)
    return data.batches(batch, seed, "labels" if beside(module) else None)


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


def open_run(run: TrainingRun) -> tuple[nn.Module, Data]:
    """Return a trained model and its data.

    Raises:
        ComponentError: the training has not ended, or a file is missing or damaged.
    """
    return open_model(run), open_data(run)


def open_model(run: TrainingRun) -> nn.Module:
    """Return a trained model, without its data; raise ComponentError where the training has not ended."""
    run.require_trained()
    return load_component(run.model, MODELS)


def open_data(run: TrainingRun) -> Data:
    """Return the data that a run was trained on; raise ComponentError where they are gone or others by now."""
    data = load_again(run.path, run.config.data)
    compare_data(run, data)
    return data


def load_again(path: Path, choice: Choice) -> Data:
    """Return the data of a run folder; raise ComponentError where they have gone, and say how to name them anew."""
    for name in path_options(choice.type):
        place = choice.options.get(name)
        if place and not Path(place).exists():
            raise ComponentError(
                f"{place}: no such file or folder, and {path} was begun on it; if it has moved, say "
                f"`generative train --out {path} --data.{name} NEW`"
            )
    return load(choice)


@torch.no_grad()
def keep_starts(run: TrainingRun, module: nn.Module, data: Data) -> None:
    """Write codes of held-out images and their labels into a run folder, for pictures that need no data then."""
    if not (isinstance(data, ImageData) and offers(module, "decode")):
        return
    items = take(module, data.held_out(), MOST_STARTS)
    kept = {} if items.labels is None else {"labels": items.labels}
    if offers(module, "encode"):
        kept["codes"] = encode_means(module, items.values, items.condition).contiguous()
    write_bytes(run.path / STARTS, safetensors.torch.save(kept))


def starts(run: TrainingRun, module: nn.Module, count: int, seed: int, command: str) -> Items:
    """Return latents to start from, as `codes` does, of what the run folder keeps: it asks for no data.

    Raises:
        ComponentError: the model cannot decode, its data are no images, or the file is missing or damaged.
    """
    require(module, "decode")
    facts, path = data_facts(run), run.path / STARTS
    if facts["kind"] != "images":
        raise ComponentError(_no_images(command, facts["name"], facts["kind"]))
    try:
        kept = safetensors.torch.load(path.read_bytes())
    except (OSError, safetensors.SafetensorError) as error:
        raise ComponentError(f"{path}: cannot be read ({error}); train anew with --out") from error
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(min(MOST_STARTS, facts["held_out"]), generator=generator)[:count]
    labels = kept["labels"][order] if "labels" in kept else None
    if "codes" in kept:
        return Items(kept["codes"][order], labels)
    number = count if labels is None else len(order)
    return Items(torch.randn(number, cast(Any, module).latent_spec.size, generator=generator), labels)


def require_images(data: Data, command: str) -> ImageData:
    """Return data of images; raise ComponentError for rows and points."""
    if not isinstance(data, ImageData):
        raise ComponentError(_no_images(command, data.name, "rows" if isinstance(data, RowData) else "points"))
    return data


def _no_images(command: str, name: str, kind: str) -> str:
    return f"`{command}` shows images, and {name} has {kind}; use `evaluate` or `report`"
