"""Data sets by name: which there are, where their files lie, and how one is opened."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from generative import ComponentError, config_from_mapping
from generative.core.run_folder import Choice
from generative.data import DATA, Data
from scripts.generative.preflight import check_data_options

# Which only this layer can read.
DATA.add("car-racing", "scripts.generative.car_racing:CarRacingConfig")
DATA.add("car-racing-pairs", "scripts.generative.car_racing_pairs:CarRacingPairsConfig")


def path_options(name: str) -> tuple[str, ...]:
    """Return which options of a data set say where its files lie; none for data that are drawn."""
    return tuple(getattr(DATA.find(name), "path_options", ()))


def absolute(choice: Choice) -> Choice:
    """Return a data set with its paths written out, so that they mean the same in every folder."""
    given = {name: choice.options.get(name) for name in path_options(choice.type)}
    whole = {name: os.path.abspath(os.path.expanduser(str(path))) for name, path in given.items() if path}
    return dataclasses.replace(choice, options={**choice.options, **whole})


def load(choice: Choice) -> Data:
    """Return a data set by name; errors as of `generative.data.load_data`, and a RunError for more than fits."""
    config: Any = config_from_mapping(DATA.find(choice.type), choice.options, "data")
    check_data_options(config)
    return config.load()


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
