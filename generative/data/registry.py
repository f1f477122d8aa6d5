"""Data sets by name, each a frozen dataclass of options with `load()`; packages of third parties can add theirs.

Such a package declares `[project.entry-points."worldmodels.components"]` and `"data.mine" = "my_package:MyConfig"`,
just as components do.
"""

import dataclasses
import importlib.metadata
from typing import Any, Protocol, cast

from generative.component import ENTRY_POINT_GROUP
from generative.data.arrays import ArraysConfig
from generative.data.avatars import AvatarsConfig
from generative.data.bundled import DigitsConfig, PhotographsConfig
from generative.data.cifar import CifarConfig
from generative.data.contract import Data
from generative.data.faces import FacesConfig
from generative.data.folder import FolderConfig
from generative.data.idx import IdxConfig
from generative.data.points import GridConfig, RingConfig
from generative.data.shapes import ShapesConfig
from generative.facts import FactsView
from generative.options import ComponentError, config_from_mapping, did_you_mean


class DataConfig(Protocol):
    """A frozen dataclass of options.

    A class that reads files names the options that say where they lie in `path_options: ClassVar[tuple[str, ...]]`;
    they are made absolute, and may change when the files move. What it read it puts into its source's `origin`.
    """

    def load(self) -> Data:
        """Return the data."""


DATA: dict[str, type] = {
    "shapes": ShapesConfig,
    "faces": FacesConfig,
    "digits": DigitsConfig,
    "photographs": PhotographsConfig,
    "avatars": AvatarsConfig,
    "ring": RingConfig,
    "grid": GridConfig,
    "folder": FolderConfig,
    "idx": IdxConfig,
    "cifar": CifarConfig,
    "arrays": ArraysConfig,
}
"""The built-in data sets."""


def data_names() -> list[str]:
    """Return every known name, built-in ones first; imports nothing."""
    return [*DATA, *sorted(set(_plugins()) - set(DATA))]


def data_class(name: str) -> type:
    """Return the config dataclass of a name; raise ComponentError when there is none."""
    if name in DATA:
        return DATA[name]
    point = _plugins().get(name)
    if point is None:
        raise ComponentError(f"{name!r}: no such data set;{did_you_mean(name, data_names())}")
    try:
        found = point.load()
    except Exception as error:  # a plug-in may fail in any way while being imported
        raise ComponentError(
            f"{point.name}: cannot import {point.value!r} ({error}); repair or uninstall it"
        ) from error
    if not (isinstance(found, type) and dataclasses.is_dataclass(found) and hasattr(found, "load")):
        raise ComponentError(f"{point.name} ({point.value}): must be a dataclass with a method load()")
    return found


def load_data(name: str, options: FactsView | None = None) -> Data:
    """Return a data set by name.

    Args:
        name: one of `data_names()`.
        options: those of its config, as JSON types.

    Raises:
        ComponentError: name or option is unknown, or files cannot be used.
        ValueError: an option has a wrong type or value.
    """
    config: Any = config_from_mapping(data_class(name), options or {})
    return cast(DataConfig, config).load()


def _plugins() -> dict[str, importlib.metadata.EntryPoint]:
    points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    return {point.name.removeprefix("data."): point for point in points if point.name.startswith("data.")}
