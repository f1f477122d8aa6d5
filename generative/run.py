"""The folder of one training: what was asked for, the model, what it made on the way, its figures.

    config.yaml  versions.json       what was run, resolved in full, and on what
    data.json                        which data: files by digest, what was used and what left out
    model/                           the component; checkpoints/<step>/ while it trains
    samples/<step>.png               the same draws, over and over while the model learns
    metrics.jsonl  spent.jsonl       a row each time metrics are averaged; seconds of every session
    trained.json                     written last: steps, seconds, numbers
    evaluation.json  report/         figures with floor and baseline; one HTML page

Nothing in it is executable, every file is whole or not there, and the same configuration takes a training up where it
was.
"""

import difflib
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from generative.files import locked, write_beside
from generative.fit import FitConfig
from generative.options import ComponentError, check_numbers, config_from_mapping, config_to_mapping
from generative.source import commit
from generative.strict_yaml import read_yaml, write_yaml

FORMAT_VERSION = 1
FREE = ("device", "preset", "shown", "show_every", "fit.steps", "fit.log_every", "fit.checkpoint_every")
"""Fields that may change from one session to the next; `fit` itself refuses more steps under a cosine schedule."""


@dataclass(frozen=True)
class Choice:
    """A model or a data set by name."""

    type: str
    """Its name in the registry."""
    options: dict[str, Any] = field(default_factory=dict)
    """Those of its own config, as JSON types."""


@dataclass(frozen=True)
class RunConfig:
    """Everything that determines a training."""

    model: Choice
    """What is trained."""
    data: Choice
    """What on."""
    fit: FitConfig = field(default_factory=FitConfig)
    """How long and how fast."""
    batch: int = 64
    """Items in a batch."""
    seed: int = 0
    """Of weights, order of the data, noise and samples."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:<index> or mps."""
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
    """Returns the presets of a model, each with what its `about` says; none for a model without a file."""
    return {name: str(each.get("about", "")) for name, each in _presets(model).items()}


def preset(model: str, name: str = "fast") -> RunConfig:
    """Returns a model's preset.

    Raises:
        ComponentError: the model has none of this name, or an option in it is unknown.
    """
    found = _presets(model)
    if name not in found:
        near = difflib.get_close_matches(name, found, 1)
        guess = f" did you mean {near[0]!r}?" if near else ""
        known = ", ".join(found) or "none; give --data and --fit.steps yourself"
        raise ComponentError(f"{model} has no preset {name!r};{guess} known: {known}")
    values = {key: value for key, value in found[name].items() if key not in ("about", "options")}
    chosen = {"type": model, "options": found[name].get("options") or {}}
    return config_from_mapping(RunConfig, {"preset": name, "model": chosen, **values})


def _presets(model: str) -> dict[str, dict[str, Any]]:
    file = resources.files("generative.presets").joinpath(f"{model}.yaml")
    if not file.is_file():
        return {}
    return dict(read_yaml(file.read_bytes(), f"{model}.yaml") or {})


class Run:
    """A run folder, open for reading or for a training to fill."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        file = self.path / "config.yaml"
        if not file.is_file():
            raise ComponentError(
                f"{self.path} is no run folder (it has no config.yaml); start one with `generative train MODEL "
                f"--out {self.path}`, or name an existing folder"
            )
        content = read_yaml(file.read_bytes(), str(file))
        version = content.pop("format_version", None) if isinstance(content, dict) else None
        if version != FORMAT_VERSION:
            raise ComponentError(
                f"{file}: format_version is {version!r}, this program reads {FORMAT_VERSION}; "
                "use the version of the program that wrote it, or start a new run"
            )
        self.config = config_from_mapping(RunConfig, content)

    @classmethod
    def create(cls, path: str | os.PathLike[str], config: RunConfig, movable: Collection[str] = ()) -> "Run":
        """Makes a run folder, or opens the one that is there if its configuration is the same.

        Args:
            path: the folder.
            config: what to run.
            movable: dotted names of fields that say where data lie, which may change as long as the data do not.

        Raises:
            ComponentError: the folder is something else, or was made with another configuration; shows what differs.
        """
        path = Path(path)
        if (path / "config.yaml").is_file():
            run = cls(path)
            changed = dict(_changed(config_to_mapping(run.config), config_to_mapping(config)))
            fixed = [line for name, line in changed.items() if not name.startswith(FREE) and name not in movable]
            if fixed:
                raise ComponentError(
                    f"{path} was made with another configuration: {'; '.join(fixed)}. Repeat it as it was made, or "
                    "start a new run with --out"
                )
        elif path.is_dir() and any(path.iterdir()):
            raise ComponentError(f"{path} exists and is no run folder; choose another --out, or empty it")
        else:
            path.mkdir(parents=True, exist_ok=True)
            write_json(path / "versions.json", versions())
        content = {"format_version": FORMAT_VERSION, **config_to_mapping(config)}
        write_text(path / "config.yaml", write_yaml(content))
        return cls(path)

    @property
    def model(self) -> Path:
        """The component's folder."""
        return self.path / "model"

    def facts(self, name: str = "trained") -> dict[str, Any] | None:
        """Returns what `trained.json`, `evaluation.json` or another such file says; None where it is not there."""
        path = self.path / f"{name}.json"
        return json.loads(path.read_text()) if path.is_file() else None

    def require_trained(self) -> dict[str, Any]:
        """Returns the facts of the finished training; raises ComponentError where it has not ended."""
        facts = self.facts()
        if facts is None:
            raise ComponentError(
                f"{self.path}: the training has not ended; run `generative train --out {self.path}` again, it goes on"
            )
        return facts

    def log(self, row: Mapping[str, float | int]) -> None:
        """Appends a row to metrics.jsonl."""
        append_line(self.path / "metrics.jsonl", row)

    def history(self) -> list[dict[str, float | int]]:
        """Returns the rows by step; what a resumed training wrote twice counts once."""
        rows = {row["step"]: row for row in read_lines(self.path / "metrics.jsonl")}
        return [rows[step] for step in sorted(rows)]

    def seconds(self) -> float:
        """Returns how long all finished sessions of the training took together."""
        return float(sum(row["seconds"] for row in read_lines(self.path / "spent.jsonl")))

    @contextmanager
    def working(self) -> Iterator[None]:
        """Holds the folder's lock, notes the time that the work took, however it ends.

        Raises:
            ComponentError: another process is at work in the folder.
        """
        begun = time.perf_counter()
        taken = ComponentError(f"another process is working in {self.path}; wait for it or stop it")
        with locked(self.path, taken):
            try:
                yield
            finally:
                append_line(self.path / "spent.jsonl", {"seconds": round(time.perf_counter() - begun, 3)})


def _changed(old: Any, new: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yields the dotted names that differ, each with a line that says how."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _changed(old.get(key), new.get(key), f"{name}.{key}" if name else key)
    elif old != new:
        yield name, f"{name} was {old!r}, is {new!r}"


def versions() -> dict[str, Any]:
    """Returns what a run is made with: packages, our commit, interpreter, machine."""
    found = {
        "commit": commit(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
    }
    for name in (
        "worldmodels",
        "torch",
        "numpy",
        "opencv-python-headless",
        "pillow",
        "pillow",
        "scikit-learn",
        "safetensors",
    ):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def write_bytes(path: Path, content: bytes) -> None:
    """Replaces a file in one step; a killed process or a full disk leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(write_beside(path, content), path)


def write_text(path: Path, content: str) -> None:
    """Replaces a text file in one step."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replaces a JSON file in one step; NaN is refused with a ValueError."""
    write_text(path, json.dumps(dict(content), indent=2, allow_nan=False) + "\n")


def append_line(path: Path, row: Mapping[str, Any]) -> None:
    """Appends one JSON object as a line and waits until it is on disk; what a killed writer left of a line goes."""
    cut_torn_line(path)
    with open(path, "a") as file:
        file.write(json.dumps(dict(row)) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Returns the whole lines of a file of JSON lines; none where it is not there."""
    if not path.is_file():
        return []
    content = path.read_text()
    return [json.loads(line) for line in content[: content.rfind("\n") + 1].splitlines()]


def cut_torn_line(path: Path) -> None:
    """Takes a last line without its end out of a file."""
    if path.is_file() and (content := path.read_bytes()) and not content.endswith(b"\n"):
        write_bytes(path, content[: content.rfind(b"\n") + 1])
