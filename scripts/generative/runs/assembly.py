"""A run's model and data put together: sizes follow from the data, and what is begun is found again."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from torch import nn

from generative import MODELS, ComponentError, config_from_mapping, config_to_mapping, load_component
from generative.core.facts import Facts
from generative.data import Data, check_data
from generative.data.identity import compare_data, data_facts, fields_of
from generative.data.needs import FitsData
from generative.data.origin import counted
from generative.runs.run_folder import Choice, TrainingConfig, TrainingRun
from generative.runs.run_reference import RunReference, references, run_fields, with_pinned_runs
from generative.training.start import TakenOver, take_over
from scripts.generative.data.data_sets import DATA, load, load_again, path_options, settled
from scripts.generative.runs.folders import run_path
from scripts.generative.runs.items import inputs


def begin(path: Path, config: TrainingConfig, data: Data) -> TrainingRun:
    """Make a run folder or opens the one that is there; its data and the runs it names may have moved, not changed.

    Raises:
        ComponentError: the folder is something else, or was made with another configuration, other data or other runs.
    """
    places = {f"data.options.{name}" for name in path_options(config.data.type)}
    for field, reference in named_runs(config):
        places.add(f"{field}.path")
        if not (path / "trained.json").is_file():
            reference.check()
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
    return with_model(
        dataclasses.replace(config, data=settled(Choice(config.data.type, config_to_mapping(chosen)))), model
    )


def with_model(config: TrainingConfig, options: Any) -> TrainingConfig:
    """Return a configuration with these options of its model, and with the runs pinned that it and they name.

    Raises:
        ComponentError: there is no such run.
    """
    chosen = config_to_mapping(with_pinned_runs(options, run_path))
    return dataclasses.replace(with_pinned_runs(config, run_path), model=Choice(config.model.type, chosen))


def named_runs(config: TrainingConfig) -> Iterator[tuple[str, RunReference]]:
    """Yield the runs that a configuration names, each with its dotted field."""
    yield from references(config)
    for name, choice, kind in (
        ("data", config.data, DATA.find(config.data.type)),
        ("model", config.model, MODELS.config_class(config.model.type)),
    ):
        if run_fields(kind):
            chosen: Any = config_from_mapping(kind, choice.options, name)
            yield from ((f"{name}.options.{field}", reference) for field, reference in references(chosen))


def options_of_start(model: str, start: str | None, decided: Facts) -> Facts:
    """Return the options that a model has from the run it starts with, so that its weights fit.

    Args:
        model: name of the model.
        start: the run, if any; one of another model says nothing of the options.
        decided: options that the new data decide.

    Raises:
        ComponentError: there is no such run.
    """
    if start is None:
        return {}
    other: Any = RunReference(start).pinned(run_path).component(MODELS)
    options = config_to_mapping(other.config) if other.type_name == model else {}
    return {name: value for name, value in options.items() if name not in decided}


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


def start(run: TrainingRun, module: nn.Module, data: Data) -> TakenOver | None:
    """Give a new model the weights that its training starts with, and say which; None where it starts with drawn ones.

    Raises:
        ComponentError: the run they come from is missing, is not what it was, or fits in nothing.
    """
    reference = run.config.start
    if not reference:
        return None
    found = take_over(module, reference.component(MODELS))
    folder = Path(reference.path)
    if not (folder / "data.json").is_file():
        return found
    theirs = fields_of(data_facts(TrainingRun(folder)))
    other = [
        f"{name}, whose numbers stand for {_few(data.names(name))}, and there for {_few(theirs[name].names)}"
        for name in inputs(module)
        if name in theirs and theirs[name].names != data.names(name)
    ]
    return found._replace(meanings=tuple(other))


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


def _few(names: tuple[str, ...]) -> str:
    return counted([repr(name) for name in names]) if names else "no names"
