"""Runs that name runs: a start to fine-tune from, a frozen tokeniser, a frozen feature network, a prior's codes.

A config names another run by a field of the type `RunReference`: of a data set, of a model, or `start` of a training.
Its hash is noted when the naming run is begun, and looked at whenever the other run is opened, also when the training
is resumed. So a run never goes on with other weights than it was begun with, and its folder says which they were.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

from torch import nn

from generative.core.files import read_whole
from generative.core.options import ComponentError
from generative.core.registry import Registry
from generative.core.storage import load_component

WEIGHTS = "model.safetensors"
"""File of a component's folder that is hashed."""
ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True)
class RunReference:
    """Another run: where it lies, and which weights it has."""

    path: str = ""
    """Folder of the run, or of a component by itself, or a file where one may be named; empty for none."""
    sha256: str = ""
    """Of its weights; empty until the run that names it is begun."""

    def __post_init__(self) -> None:
        if self.sha256 and not self.path:
            raise ValueError(f"sha256={self.sha256}: of no run; give its path too")

    @classmethod
    def of_word(cls, word: str) -> "RunReference":
        """Return the reference to a folder, as a command line or a YAML file names it in one word."""
        return cls(word)

    def __str__(self) -> str:
        return self.path

    def __bool__(self) -> bool:
        return bool(self.path)

    @property
    def model(self) -> Path:
        """Folder of the component."""
        inner = Path(self.path) / "model"
        return inner if inner.is_dir() else Path(self.path)

    def pinned(self, folder: Callable[[str], Path] = Path) -> "RunReference":
        """Return it with an absolute path, and with the hash that its weights have now if it has none yet.

        Args:
            folder: turns a name into the folder that it means.

        Raises:
            ComponentError: there are no weights.
        """
        if not self:
            return self
        whole = RunReference(str(folder(self.path).expanduser().absolute()), self.sha256)
        return dataclasses.replace(whole, sha256=self.sha256 or whole._digest())

    def check(self) -> None:
        """Raise ComponentError where the run is missing, or has other weights than when it was named."""
        found = self._digest()
        if self.sha256 not in ("", found):
            what = "another content" if self.model.is_file() else "other weights"
            raise ComponentError(
                f"{self.path}: has {what} than when it was named (sha256 was {self.sha256[:12]}..., is "
                f"{found[:12]}...); restore it, or start a new run with --out"
            )

    def checked_file(self) -> str:
        """Return the path of a file that is named; raise ComponentError as of `check`."""
        self.check()
        return self.path

    def component(self, registry: Registry) -> nn.Module:
        """Return its model, frozen and in evaluation mode; raise ComponentError as of `check`, or where it is damaged.

        It has no part in a training unless the model that names it makes it a submodule.
        """
        self.check()
        return load_component(self.model, registry).requires_grad_(False)

    def _digest(self) -> str:
        if not self:
            raise ComponentError("no run is named; give the folder of one")
        remedy = "train that run first, correct its path, or say where it lies now"
        if self.model.is_file():
            return hashlib.sha256(read_whole(self.model, "correct its path")).hexdigest()
        if not (self.model / WEIGHTS).is_file():
            raise ComponentError(f"{self.path}: no trained model in it; {remedy}")
        return hashlib.sha256(read_whole(self.model / WEIGHTS, remedy)).hexdigest()


def run_fields(kind: type) -> list[str]:
    """Return the fields of a config class that name a run."""
    hints = get_type_hints(kind)
    return [each.name for each in dataclasses.fields(kind) if hints[each.name] is RunReference]


def references(config: Any) -> Iterator[tuple[str, RunReference]]:
    """Yield the runs that a config names, each with its field."""
    for name in run_fields(type(config)):
        if reference := getattr(config, name):
            yield name, reference


def with_pinned_runs(config: ConfigT, folder: Callable[[str], Path] = Path) -> ConfigT:
    """Return a config with the runs that it names `pinned`; errors as of that, with the field."""
    found = {}
    for name, reference in references(config):
        try:
            found[name] = reference.pinned(folder)
        except ComponentError as error:
            raise ComponentError(f"{name}={error}") from error
    return dataclasses.replace(cast(Any, config), **found) if found else config
