"""A study: cells, each a configuration that differs from a base in some fields, times seeds.

What cells have in common is made once. The result of a stage follows from the sections of the configuration that it
and the stages before it use, so their hash names it: cells whose hashes agree share rollouts, vision, memory and
controller. With `seeds` the whole recipe is repeated; with `optimiser_seeds` only evolution is.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from generative import ComponentError
from generative.core.facts import Facts, FactsView
from generative.core.options import differences
from worldmodels.config import RunConfig, check_acting, config_from, config_mapping, nested
from worldmodels.errors import RunError
from worldmodels.evolution.rounds import LEARNT
from worldmodels.run.folder import DEPENDS
from worldmodels.run.preflight import check_plan
from worldmodels.seeds import TEST, VALIDATION

TRACKS = VALIDATION[500:]
"""Validation tracks of studies: no controller and no round is chosen on them."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]*")
EXAMPLE = "for example `cells: {mdn-rnn: {}, lstm: {memory.type: lstm}}` or `grid: {dream.temperature: [1.0, 1.3]}`"


@dataclass(frozen=True)
class Study:
    """What is compared, how often, and how it is measured."""

    base: RunConfig
    """The configuration that cells differ from."""
    cells: Mapping[str, FactsView]
    """Each cell's fields, dotted, by its name; the first cell is what the others are compared with."""
    seeds: tuple[int, ...]
    """Of the whole recipe, from the rollouts on."""
    optimiser_seeds: tuple[int, ...] = ()
    """Of evolution alone, for each of `seeds`; none: evolution follows the recipe's seed."""
    run: str = ""
    """A run folder, or a round of a loop, whose finished stages count for cells that would do them the same way."""
    evaluate: Literal["validation", "test"] = "validation"
    """Which tracks the chosen controllers are measured on; the test tracks are for the last look."""
    tracks: int = 32
    """How many of them."""
    accuracy: bool = True
    """Whether the accuracy card of every cell is made."""
    accuracy_on: Literal["random", "on-policy", "mixed"] = "random"
    """Held-out episodes whose figures are drawn against return; `random` are the same for all cells."""

    def __post_init__(self) -> None:
        if not self.cells:
            raise ValueError(f"cells={{}}: name at least one, {EXAMPLE}")
        for name in self.cells:
            if not _NAME.fullmatch(name):
                raise ValueError(f"cells.{name}: the name is also a folder's; use letters, digits and . _ = -")
        for name in ("seeds", "optimiser_seeds"):
            seeds = getattr(self, name)
            if len(set(seeds)) < len(seeds) or min(seeds, default=0) < 0:
                raise ValueError(f"{name}={list(seeds)}: give different numbers, none negative")
        if not self.seeds:
            raise ValueError("seeds=[]: give at least one, for example [0, 1, 2]")
        most = len(TRACKS if self.evaluate == "validation" else TEST)
        if not 2 <= self.tracks <= most:
            raise ValueError(f"tracks={self.tracks}: must be between 2 and {most}")

    def expand(self) -> "list[Cell]":
        """Return every cell with every seed, cell by cell.

        Raises:
            RunError: an unknown field or a wrong value.
        """
        return [
            _cell(self, name, overrides, seed, again)
            for name, overrides in self.cells.items()
            for seed in self.seeds
            for again in (self.optimiser_seeds or (None,))
        ]


@dataclass(frozen=True)
class Cell:
    """A cell of a study with one seed: a run."""

    name: str
    seed: int
    optimiser_seed: int | None
    overrides: FactsView
    config: RunConfig

    @property
    def folder(self) -> str:
        """The name of its run folder."""
        return f"{self.name}-s{self.seed}" + ("" if self.optimiser_seed is None else f"-o{self.optimiser_seed}")


class Step(NamedTuple):
    """A stage with the hash of all that its result follows from."""

    stage: str
    key: str

    @property
    def folder(self) -> str:
        """The name of the run folder in which this is made, for all cells that need it."""
        return f"{self.stage}-{self.key}"


def _cell(study: Study, name: str, overrides: FactsView, seed: int, again: int | None) -> Cell:
    for field, instead in (("seed", "seeds"), ("evolve.seed", "optimiser_seeds")):
        if field in overrides:
            raise RunError(f"cells.{name}: {field} is not for cells, give the study's `{instead}`")
    try:
        config = replace(config_from(nested(overrides), study.base), seed=seed)
        check_acting(config, overrides)
    except RunError as error:
        raise RunError(f"cells.{name}: {error}") from error
    if again is not None:
        config = replace(config, evolve=replace(config.evolve, seed=again))
    if study.evaluate == "test":
        config = replace(config, evaluate=replace(config.evaluate, tracks=study.tracks))
    return Cell(name, seed, again, overrides, config)


def impossible(cell: Cell) -> str | None:
    """Return why a cell cannot be run, or None; nothing is trained for it."""
    places = cell.config.evolve.validation.top_k_places
    if cell.config.loop.rounds and cell.optimiser_seed is not None:
        return "a loop records what it evolves, so evolution alone cannot be repeated: use seeds"
    again = cell.config.loop.rounds or cell.config.evolve.validation.top_k > 1
    driven = places.stop if again else cell.config.evolve.validation.tracks
    if driven > TRACKS.start - VALIDATION.start:
        return "evolve.validation.tracks and top_k_tracks reach into the tracks that studies measure on: lower them"
    try:
        check_plan(cell.config)
    except (RunError, ComponentError, ValueError) as error:
        return str(error)
    return None


def steps(config: RunConfig) -> list[Step]:
    """Return the stages that lead to a configuration's controller, each with its key; a loop is one step."""
    stages = ("loop",) if config.loop.rounds else LEARNT
    return [Step(stage, stage_key(config, stage)) for stage in stages]


def stage_key(config: RunConfig, stage: str) -> str:
    """Return the hash of all fields that a stage's result follows from, its inputs' included; 12 hexadecimal digits."""
    mapping = config_mapping(config)
    before = (*LEARNT, "loop") if stage == "loop" else LEARNT[: LEARNT.index(stage) + 1]
    used: Facts = {section: mapping[section] for section, first in DEPENDS.items() if first in before}
    used["envs"] = config.executor.envs  # the width of batches decides the last bits
    if "random-agent" in config.collect.policies:  # networks drive, by their sizes
        vision, memory = ({name: mapping[part][name] for name in ("type", "options")} for part in ("vision", "memory"))
        used["random agent"] = [vision, memory, mapping["memory"]["reward"], mapping["controller"]]
    return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()[:12]


def flat(fields: object, where: str) -> Facts:
    """Return nested fields as dotted ones: `{memory: {type: lstm}}` as `{"memory.type": "lstm"}`.

    Raises:
        RunError: they are no mapping.
    """
    if not isinstance(fields, Mapping):
        raise RunError(f"{where}={fields!r}: expected a mapping of fields, for example {{memory.type: lstm}}")
    found: Facts = {}
    for name, value in fields.items():
        if isinstance(value, Mapping) and value:
            found |= {f"{name}.{inner}": each for inner, each in flat(value, f"{where}.{name}").items()}
        else:
            found[str(name)] = value
    return found


def refuse_changes(old: Study, new: Study) -> None:
    """Refuse a study that is not the old one with further cells or seeds, or with other measures.

    Raises:
        RunError: with every difference.
    """
    changed = [
        f"  {name}: {before!r} -> {now!r}"
        for name, before, now in differences(old.base, new.base)
        if name.split(".")[0] in DEPENDS and name != "seed"
    ]
    for name, fields in old.cells.items():
        if new.cells.get(name) != fields:
            now = dict(new.cells[name]) if name in new.cells else "missing"
            changed.append(f"  cells.{name}: {dict(fields)!r} -> {now!r}")
    for name in ("seeds", "optimiser_seeds"):
        before, after = getattr(old, name), getattr(new, name)
        if not set(before) <= set(after) or bool(before) != bool(after):
            changed.append(f"  {name}: {list(before)} -> {list(after)}")
    if changed:
        raise RunError(
            "the study was begun otherwise:\n"
            + "\n".join(changed)
            + "\nAdd new cells or seeds beside the old ones, or start a new study in another folder"
        )
