"""The file of a study: which base, which cells, which seeds, how they are measured.

    preset: quick-real       # or config: a run's config.yaml, or run: a run folder that has done some of it
    set: {evolve.world: dream}
    cells:                   # or grid: {dream.temperature: [1.0, 1.3]}, every combination
      mdn-rnn: {}
      lstm: {memory.type: lstm}
    seeds: [0, 1, 2]

Fields are those of a run's configuration, dotted or nested.
"""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from generative import ComponentError, config_from_mapping, config_to_mapping
from generative.core.facts import Facts, FactsView
from generative.core.options import did_you_mean
from generative.core.strict_yaml import read_yaml, write_yaml
from worldmodels.config import RunConfig, check_acting, config_from
from worldmodels.config_files import FORMAT_VERSION, preset, read_config, read_mapping
from worldmodels.errors import RunError
from worldmodels.files import write_text
from worldmodels.study.study import EXAMPLE, Study, flat, nested

BASES = ("preset", "config", "set")
MADE = ("base", "cells")
"""Fields of a study that the file says in its own way."""


def read_study(path: Path) -> Study:
    """Read a study's YAML file.

    Raises:
        RunError: it cannot be read, or has an unknown field or a wrong value.
    """
    mapping = read_mapping(path, "study")
    try:
        return study_from(mapping)
    except RunError as error:
        raise RunError(f"{path}: {error}") from error


def study_from(mapping: object) -> Study:
    """Build a study from plain types: `preset` or `config` (a file or fields), `set`, `grid` or `cells`, and the rest.

    Raises:
        RunError: an unknown field or a wrong value.
    """
    if not isinstance(mapping, Mapping):
        raise RunError(f"a study is a YAML mapping, {EXAMPLE}")
    given = dict(mapping)
    version = given.pop("format_version", FORMAT_VERSION)
    if version != FORMAT_VERSION:
        raise RunError(f"the study has format {version}, this version reads {FORMAT_VERSION}: start a new one")
    known = (*BASES, "grid", *(name for name in Study.__dataclass_fields__ if name != "base"))
    for name in given:
        if name not in known:
            raise RunError(f"unknown field `{name}`;{did_you_mean(str(name), known)}")
    if ("grid" in given) == ("cells" in given):
        raise RunError(f"give either `grid` or `cells`, {EXAMPLE}")
    base = _base(given)
    cells = _grid(given["grid"]) if "grid" in given else _cells(given["cells"])
    rest = {name: value for name, value in given.items() if name not in (*BASES, *MADE, "grid")}
    try:
        study = config_from_mapping(Study, {"seeds": [base.seed], **rest, "base": base, "cells": cells})
    except (ComponentError, ValueError) as error:
        raise RunError(f"study: {error}") from error
    _check_set(flat(given.get("set") or {}, "set"), [cell.config for cell in study.expand()])
    return study


def _check_set(fields: Iterable[str], configs: Sequence[RunConfig]) -> None:
    """Refuse a field of `set` that does nothing in any cell."""
    for field in fields:
        refusals = []
        for config in configs:
            try:
                check_acting(config, [field])
            except RunError as error:
                refusals.append(error)
        if len(refusals) == len(configs):
            raise RunError(f"set: {refusals[0]}")


def _base(given: FactsView) -> RunConfig:
    if "preset" in given and "config" in given:
        raise RunError("give `preset` or `config`, not both: a config is complete in itself")
    if "preset" in given and "run" in given:
        raise RunError("give `preset` or `run`, not both: a run has a configuration of its own")
    chosen = given.get("config") or (given.get("run") and Path(str(given["run"])) / "config.yaml")
    if isinstance(chosen, Mapping):
        base = config_from(chosen)
    else:
        base = read_config(Path(str(chosen))) if chosen else preset(str(given.get("preset", "default")))
    try:
        return config_from(nested(flat(given.get("set") or {}, "set")), base)
    except RunError as error:
        raise RunError(f"set: {error}") from error


def _cells(cells: object) -> dict[str, Facts]:
    if not isinstance(cells, Mapping):
        raise RunError(f"cells={cells!r}: expected a mapping of names to fields, {EXAMPLE}")
    return {str(name): flat(fields or {}, f"cells.{name}") for name, fields in cells.items()}


def _grid(grid: object) -> dict[str, Facts]:
    """Return a cell for every combination of values, the last field's values changing fastest."""
    if not isinstance(grid, Mapping) or not all(isinstance(values, list) and values for values in grid.values()):
        raise RunError(f"grid={grid!r}: expected a list of values for each field, {EXAMPLE}")
    fields = [str(field) for field in grid]
    last = [field.rpartition(".")[2] for field in fields]
    titles = [field if last.count(short) > 1 else short for field, short in zip(fields, last, strict=True)]
    cells: dict[str, Facts] = {}
    for values in itertools.product(*grid.values()):
        name = "_".join(f"{title}={_label(value)}" for title, value in zip(titles, values, strict=True))
        if name in cells:
            raise RunError(f"grid: two cells would be named {name}: name them yourself under `cells`")
        cells[name] = dict(zip(fields, values, strict=True))
    return cells


def _label(value: object) -> str:
    text = "-".join(map(str, value)) if isinstance(value, list) else str(value)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)


def write_study(path: Path, study: Study) -> None:
    """Write a study in full, as a file that `read_study` reads.

    Raises:
        RunError: it could not be read again, as a learning rate of infinity; nothing is written.
    """
    plain = config_to_mapping(study)
    base = plain.pop("base")
    text = write_yaml({"format_version": FORMAT_VERSION, "config": base, **plain})
    study_from(read_yaml(text, "study"))
    write_text(path, text)
