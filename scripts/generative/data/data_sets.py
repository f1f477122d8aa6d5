"""Data sets by name: which there are, where their files lie, and how one is opened."""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from generative import ComponentError, config_from_mapping, config_to_mapping
from generative.core.facts import Facts
from generative.data import DATA, Data
from generative.data.drawn.keeping import Drawings, Drawn
from generative.runs.run_folder import Choice, TrainingConfig
from generative.runs.run_reference import references, run_fields, with_pinned_runs
from generative.runs.versions import usable_cores
from scripts.generative.runs.folders import run_path
from scripts.generative.runs.preflight import check_data_options
from worldmodels.run.folder import Progress

# Which only this layer can read.
DATA.add("car-racing", "scripts.generative.data.car_racing:CarRacingConfig")
DATA.add("car-racing-pairs", "scripts.generative.data.car_racing_pairs:CarRacingPairsConfig")

WORTH_IT = 2000
"""Images from which on a few seconds for new processes are worth it."""


def path_options(name: str) -> tuple[str, ...]:
    """Return which options of a data set say where its files lie; none for data that are drawn."""
    return tuple(getattr(DATA.find(name), "path_options", ()))


def settled(choice: Choice) -> Choice:
    """Return a data set with its paths written out, so that they mean the same in every folder, and its runs pinned.

    Raises:
        ComponentError: it names a run that is not there.
    """
    given = {name: choice.options.get(name) for name in path_options(choice.type)}
    whole: Facts = {name: os.path.abspath(os.path.expanduser(str(path))) for name, path in given.items() if path}
    config: Any = config_from_mapping(DATA.find(choice.type), {**choice.options, **whole}, "data")
    named = references(with_pinned_runs(config, run_path))
    whole |= {name: config_to_mapping(reference) for name, reference in named}
    return dataclasses.replace(choice, options={**choice.options, **whole})


def moved(choice: Choice, places: Mapping[str, str]) -> Choice:
    """Return a data set whose files or runs lie elsewhere by now; the runs must still have the weights they had."""
    runs = run_fields(DATA.find(choice.type))
    new: Facts = {name: {**choice.options[name], "path": place} if name in runs else place
                  for name, place in places.items()}  # fmt: skip
    return settled(dataclasses.replace(choice, options={**choice.options, **new}))


def places_of(choice: Choice) -> list[str]:
    """Return the options of a data set that say where something lies: files, or another run."""
    names = [*path_options(choice.type), *run_fields(DATA.find(choice.type))]
    return [name for name in names if choice.options.get(name)]


def load(choice: Choice) -> Data:
    """Return a data set by name; errors as of `generative.data.load_data`, and a RunError for more than fits."""
    config: Any = config_from_mapping(DATA.find(choice.type), choice.options, "data")
    check_data_options(config)
    return config.load()


def load_again(path: Path, choice: Choice) -> Data:
    """Return the data of a run folder; raise ComponentError where they have gone, and say how to name them anew."""
    for name in places_of(choice):
        place = choice.options[name]
        place = place["path"] if isinstance(place, Mapping) else place
        if place and not Path(place).exists():
            raise ComponentError(
                f"{place}: no such file or folder, and {path} was begun on it; if it has moved, say "
                f"`generative train --out {path} --data.{name} NEW`"
            )
    return load(choice)


def draw_ahead(config: TrainingConfig, data: Data, taken: int) -> Iterator[Progress]:
    """Draw what a training reads and the user's cache lacks, on all cores, so that it never waits; yield how many.

    Args:
        config: of the training.
        data: its data.
        taken: how many items the training reads.
    """
    chosen: Any = config_from_mapping(DATA.find(config.data.type), config.data.options, "data")
    if not isinstance(chosen, Drawn):
        return
    order = np.random.default_rng([config.seed, 0]).permutation(len(data))  # that of the first epoch
    drawings = Drawings(chosen)
    missing = drawings.missing(data.items[order[:taken]])
    if len(missing) < WORTH_IT:
        return
    done = 0
    for count in drawings.draw_ahead(missing, usable_cores()):
        done += count
        yield Progress("draw", done, len(missing), config.data.type)
