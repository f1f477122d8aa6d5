"""Things by name: the built-in ones, then those of installed packages; each is imported when it is first asked for.

A third-party package declares in its own pyproject.toml, for a seam such as `vision`, `model`, `data` or `metric`,

    [project.entry-points."worldmodels.components"]
    "vision.my-encoder" = "my_package:MyEncoder"
"""

import importlib.metadata
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from generative.core.options import ComponentError, did_you_mean

T = TypeVar("T")

ENTRY_POINT_GROUP = "worldmodels.components"


class Catalogue(Generic[T]):
    """What a seam can be made of, by name."""

    def __init__(
        self, seam: str, what: str, entries: Mapping[str, T | str], check: Callable[[object, str, str], T]
    ) -> None:
        """Hold the names.

        Args:
            seam: what names of third parties begin with, such as `vision`.
            what: what one of them is called in messages, such as "vision component".
            entries: the built-in ones: objects, or where they are to be found, "package.module:name".
            check: gets an object, its name and the place that messages begin with; returns the object or raises
                ComponentError.
        """
        self._seam, self._what, self._check = seam, what, check
        self._found: dict[str, T] = {}
        self._places: dict[str, str] = {}
        for name, entry in entries.items():
            self.add(name, entry)

    def add(self, name: str, entry: T | str) -> None:
        """Add an object, or the place of one; raise ComponentError when the name is taken or the object is none."""
        place = f"{self._seam}.{name}"
        if name in self._places:
            raise ComponentError(f"{place}: this name is taken; choose another one")
        if not isinstance(entry, str):
            self._found[name], entry = self._check(entry, name, place), ""
        self._places[name] = entry

    def names(self) -> list[str]:
        """Return every known name, built-in ones first; imports nothing."""
        return [*self._places, *sorted(set(self._plugins()) - set(self._places))]

    def found(self) -> dict[str, T]:
        """Return the objects imported so far."""
        return {name: self._found[name] for name in self.names() if name in self._found}

    def find(self, name: str) -> T:
        """Return an object by name.

        Raises:
            ComponentError: there is none of this name, or a package that brings it does not work.
        """
        if name not in self._found:
            self._found[name] = self._load(name)
        return self._found[name]

    def _load(self, name: str) -> T:
        if name in self._places:
            found = importlib.metadata.EntryPoint(name, self._places[name], "").load()
            return self._check(found, name, f"{self._seam}.{name}")
        plugins = self._plugins()
        if name not in plugins:
            raise ComponentError(f"{name!r}: no such {self._what};{did_you_mean(name, self.names())}")
        point = plugins[name]
        try:
            found = point.load()
        except Exception as error:  # a plug-in may fail in any way while being imported
            raise ComponentError(
                f"{point.name}: cannot import {point.value!r} ({error}); repair or uninstall it"
            ) from error
        return self._check(found, name, f"{point.name} ({point.value})")

    def _plugins(self) -> dict[str, importlib.metadata.EntryPoint]:
        points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
        start = f"{self._seam}."
        return {point.name.removeprefix(start): point for point in points if point.name.startswith(start)}
