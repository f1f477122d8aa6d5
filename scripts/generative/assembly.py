"""A run's model and data put together: sizes follow from the data, and what is begun is found again."""

import dataclasses
from pathlib import Path
from typing import Any, cast

from torch import nn

from generative import MODELS, ComponentError, config_from_mapping, config_to_mapping, load_component
from generative.core.facts import Facts
from generative.core.run_folder import Choice, TrainingConfig, TrainingRun
from generative.data import Data, check_data
from generative.data.identity import compare_data
from generative.data.needs import FitsData
from scripts.generative.data_sets import DATA, absolute, load, load_again, path_options
from scripts.generative.items import inputs


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
    """Return the options of a model that the data decide; raise ComponentError where the data do not fit it."""
    model_class = MODELS.component_class(model)
    if not hasattr(model_class, "sizes"):
        raise ComponentError(f"{model}: does not say which data it takes; give its class `inputs` and `sizes`")
    return cast(type[FitsData], model_class).sizes(data.fields)


def resolve(config: TrainingConfig) -> TrainingConfig:
    """Return a configuration with every option of data and model written out, as it stands in a run folder.

    Raises:
        ComponentError: unknown model, data or option.
        ValueError: an option has a wrong value.
    """
    chosen: Any = config_from_mapping(DATA.find(config.data.type), config.data.options, "data")
    options = {**sizes(config.model.type, load(config.data)), **config.model.options}
    model: Any = config_from_mapping(MODELS.config_class(config.model.type), options, "model")
    return dataclasses.replace(
        config,
        data=absolute(Choice(config.data.type, config_to_mapping(chosen))),
        model=Choice(config.model.type, config_to_mapping(model)),
    )


def build(config: TrainingConfig, data: Data) -> nn.Module:
    """Return the new model of a run; what its options leave open the data decide.

    Raises:
        ComponentError: unknown model or option, or data without what the model needs.
        ValueError: an option has a wrong value, or the data do not fit the model.
    """
    decided = sizes(config.model.type, data)
    module = MODELS.create(config.model.type, {**decided, **config.model.options}, config.seed)
    chosen = config_to_mapping(cast(Any, module).config)
    for name, value in decided.items():
        if chosen[name] != (list(value) if isinstance(value, tuple) else value):
            raise ValueError(
                f"{data.name}: the data has {name}={value}, but the model takes {chosen[name]}; "
                f"leave out model.{name}, or choose other data"
            )
    check_data(data, batch=config.batch, names=inputs(module))
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
