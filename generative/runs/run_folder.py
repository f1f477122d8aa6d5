"""The folder of one training: what was asked for, the model, what it made on the way, its figures.

    config.yaml  versions.json       what was run, resolved in full, and on what
    data.json                        which data: files by digest, what was used and what left out
    model/                           the component; checkpoints/<step>/ while it trains
    samples/<step>.png               the same draws, over and over while the model learns
    metrics.jsonl  tensorboard/      a row each time metrics are averaged; seconds of every session
    trained.json                     written last: steps, seconds, numbers
    evaluation.json  report/         figures with reference and baseline; one HTML page

Nothing in it is executable, every file is whole or not there, and the same configuration takes a training up where it
was.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from generative.core.facts import Facts
from generative.core.files import half_made, read_json, read_whole, seal_fits, under_seal, write_json, write_text
from generative.core.options import (
    ComponentError,
    check_numbers,
    config_from_mapping,
    config_to_mapping,
    did_you_mean,
    differences,
)
from generative.core.strict_yaml import read_yaml, write_yaml
from generative.runs.run_reference import RunReference
from generative.runs.trackers import Curves
from generative.runs.versions import versions
from generative.runs.work_folder import WorkFolder
from generative.training.fit_config import FitConfig

FORMAT_VERSION = 1
PROGRAM = "generative"
"""Whose seal is on a configuration."""
PACKAGES = ("torch", "numpy", "opencv-python-headless", "pillow", "scikit-learn", "safetensors")
"""Whose versions stand in versions.json."""
FREE = ("device", "preset", "shown", "show_every", "fit.steps", "tracker")
"""Fields that may change from one session to the next; `fit` itself refuses more steps under a cosine schedule."""


@dataclass(frozen=True)
class Choice:
    """A model or a data set by name."""

    type: str
    """Its name in the registry."""
    options: Facts = field(default_factory=dict)
    """Those of its own config, as JSON types."""


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that determines a training."""

    model: Choice
    """What is trained."""
    data: Choice
    """What on."""
    fit: FitConfig = field(default_factory=FitConfig)
    """How long and how fast."""
    start: RunReference = field(default_factory=RunReference)
    """A run whose weights the training starts with, as far as they fit; none for weights that are drawn."""
    batch: int = 64
    """Items in a batch."""
    seed: int = 0
    """Of weights, order of the data, noise and samples."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:<index> or mps."""
    tracker: str = "tensorboard"
    """Where figures go besides metrics.jsonl: tensorboard, trackio, wandb or none."""
    preset: str = "fast"
    """The preset that this configuration began as."""
    shown: int = 64
    """Samples in a grid."""
    show_every: int = 200
    """Steps between grids; one is drawn before the first step and one after the last."""

    def __post_init__(self) -> None:
        for name in ("batch", "shown", "show_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least 1")
        check_numbers(self)


def preset_names(model: str) -> dict[str, str]:
    """Return the presets of a model, each with what its `about` says; none for a model without a file."""
    return {name: str(each.get("about", "")) for name, each in _presets(model).items()}


def preset(model: str, name: str = "fast") -> TrainingConfig:
    """Return a model's preset.

    Raises:
        ComponentError: the model has none of this name, or an option in it is unknown.
    """
    found = _presets(model)
    if name not in found:
        known = did_you_mean(name, found) if found else " known: none; give --data and --fit.steps yourself"
        raise ComponentError(f"{model} has no preset {name!r};{known}")
    values = {key: value for key, value in found[name].items() if key not in ("about", "options")}
    chosen = {"type": model, "options": found[name].get("options") or {}}
    return config_from_mapping(TrainingConfig, {"preset": name, "model": chosen, **values})


def _presets(model: str) -> dict[str, Facts]:
    file = resources.files("generative.presets").joinpath(f"{model}.yaml")
    if not file.is_file():
        return {}
    return dict(read_yaml(file.read_bytes(), f"{model}.yaml") or {})


class TrainingRun(WorkFolder):
    """A run folder, open for reading or for a training to fill."""

    shown_by = "generative.report.trained"

    def __init__(self, path: str | os.PathLike[str]):
        super().__init__(path)
        file = self.path / "config.yaml"
        if not file.is_file():
            raise ComponentError(
                f"{self.path} is no run folder (it has no config.yaml); start one with `generative train MODEL "
                f"--out {self.path}`, or name an existing folder"
            )
        text = read_whole(file, "restore it or start a new run")
        if not seal_fits(text, PROGRAM):
            raise ComponentError(
                f"{file} is not what was written (edited, or damaged): restore it, or start a new run with "
                "`generative train MODEL --out NEW`"
            )
        content = read_yaml(text.decode(errors="replace"), str(file))
        version = content.pop("format_version", None) if isinstance(content, dict) else None
        if version != FORMAT_VERSION:
            raise ComponentError(
                f"{file}: format_version is {version!r}, this program reads {FORMAT_VERSION}; "
                "use the version of the program that wrote it, or start a new run"
            )
        self.config = config_from_mapping(TrainingConfig, content)

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], config: TrainingConfig, movable: Collection[str] = ()
    ) -> "TrainingRun":
        """Make a run folder, or opens the one that is there if its configuration is the same.

        Args:
            path: the folder.
            config: what to run.
            movable: dotted names of fields that say where something lies: data, or a run that this one names. They may
                change as long as what lies there does not.

        Raises:
            ComponentError: the folder is something else, or was made with another configuration; shows what differs.
        """
        path = Path(path)
        if (path / "config.yaml").is_file():
            run = cls(path)
            changed = differences(config_to_mapping(run.config), config_to_mapping(config))
            fixed = [
                f"{name} was {old!r}, is {new!r}"
                for name, old, new in changed
                if not name.startswith(FREE) and name not in movable
            ]
            if fixed:
                raise ComponentError(
                    f"{path} was made with another configuration: {'; '.join(fixed)}. Repeat it as it was made, or "
                    "start a new run with --out"
                )
        elif os.path.lexists(path) and not half_made(path, "versions.json"):
            raise ComponentError(f"{path} exists and is no run folder; choose another --out, or empty it")
        text = _config_text(config)
        if not (path / "config.yaml").is_file():
            write_json(path / "versions.json", versions(*PACKAGES))
        write_text(path / "config.yaml", under_seal(text, PROGRAM))
        return cls(path)

    @property
    def model(self) -> Path:
        """The component's folder."""
        return self.path / "model"

    def facts(self, name: str = "trained") -> Facts | None:
        """Return what `trained.json`, `evaluation.json` or another such file says; None where it is not there."""
        path = self.path / f"{name}.json"
        if not path.exists():
            return None
        facts = read_json(path, "restore it, or remove it and run the command again that made it")
        if any("floor" in figure for figure in facts.get("figures", [])):
            raise ComponentError(
                f"{path}: its figures have `floor` and `ceiling`, which are now `reference` and `baseline_value`; "
                f"run `generative evaluate {self.path}` again"
            )
        return facts

    def require_trained(self) -> Facts:
        """Return the facts of the finished training; raise ComponentError where it has not ended."""
        facts = self.facts()
        if facts is None:
            raise ComponentError(
                f"{self.path}: the training has not ended; run `generative train --out {self.path}` again, it goes on"
            )
        return facts

    def log(self, row: Mapping[str, float | int]) -> None:
        """Append a row to metrics.jsonl, and give its figures to the tracker."""
        self.add_row(row)
        if self.curves is None:
            self.curves = Curves(self.config.tracker, PROGRAM, self.path, config_to_mapping(self.config))
        self.curves.log("train", int(row["step"]), {name: value for name, value in row.items() if name != "step"})

    def history(self) -> list[dict[str, float | int]]:
        """Return the rows by step; what a resumed training wrote twice counts once."""
        return self.rows()

    def seconds(self) -> float:
        """Return how long all finished sessions of the training took together."""
        return float(sum(row["seconds"] for row in self.spent()))

    @contextmanager
    def working(self) -> Iterator[None]:
        """Hold the folder's lock, notes the time that the work took, however it ends.

        Raises:
            ComponentError: another process is at work in the folder.
        """
        with self.at_work():
            yield


def _config_text(config: TrainingConfig) -> str:
    """Return a configuration as YAML; raise ValueError where that could not be read again, as for an infinity."""
    check_numbers(config)
    text = write_yaml({"format_version": FORMAT_VERSION, **config_to_mapping(config)})
    plain = read_yaml(text, "configuration")
    plain.pop("format_version")
    config_from_mapping(TrainingConfig, plain)
    return text
