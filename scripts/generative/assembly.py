"""A run's model and data put together: sizes follow from the data, and what is begun is found again."""

import dataclasses
from pathlib import Path
from typing import Any, cast

from torch import nn

from generative import MODELS, config_from_mapping, config_to_mapping, load_component
from generative.core.facts import Facts
from generative.core.run_folder import Choice, TrainingConfig, TrainingRun
from generative.data import Data, ImageData, RowData, check_data
from generative.data.identity import compare_data
from scripts.generative.data_sets import absolute, data_config, load, load_again, path_options
from scripts.generative.items import beside


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
