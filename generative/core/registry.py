"""The components of one seam by name: how a configuration's `type` becomes a module."""

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn

from generative.core.catalogue import Catalogue
from generative.core.options import ComponentError, config_from_mapping
from generative.hardware.device import seeded


class Registry:
    """The components of one seam by name; see `Catalogue` for where names come from."""

    def __init__(self, seam: str, entries: Mapping[str, type[nn.Module] | str] | None = None) -> None:
        """Hold the built-in components: classes, or where they are to be found, "package.module:Class"."""
        self.seam = seam
        self._catalogue = Catalogue[type[nn.Module]](seam, f"{seam} component", entries or {}, _component)

    def add(self, name: str, module_class: type[nn.Module]) -> None:
        """Add a component; raise ComponentError when the name is taken or the class is no component."""
        self._catalogue.add(name, module_class)

    def names(self) -> list[str]:
        """Return every known name, built-in ones first; imports nothing."""
        return self._catalogue.names()

    def component_class(self, name: str) -> type[nn.Module]:
        """Return the class of `name`; raise ComponentError when there is none."""
        return self._catalogue.find(name)

    def config_class(self, name: str) -> type:
        """Return the config dataclass of `name`; raise ComponentError when there is none."""
        return cast(Any, self._catalogue.find(name)).Config

    def create(self, name: str, config: Any, seed: int = 0) -> nn.Module:
        """Build a component with weights drawn from `seed`; the global random state stays as it was.

        Args:
            name: one of `names()`.
            config: an instance of `config_class(name)`, or a mapping of its options.
            seed: any int; the same one gives the same weights.

        Raises:
            ComponentError: the name or an option is unknown, or the config belongs to another component.
            ValueError: an option has a wrong type or value.
        """
        config_class, module_class = self.config_class(name), self.component_class(name)
        if isinstance(config, Mapping):
            config = config_from_mapping(config_class, config)
        if not isinstance(config, config_class):
            raise ComponentError(
                f"{self.seam}.{name}: got {type(config).__name__}; pass {config_class.__name__} or a mapping"
            )
        with seeded(seed, torch.device("cpu")):
            return module_class(config)


def _component(module_class: object, name: str, place: str) -> type[nn.Module]:
    is_module = isinstance(module_class, type) and issubclass(module_class, nn.Module)
    config_class = getattr(module_class, "Config", None)
    # The folder's type tag is the class's `type_name`: under another name the component would save but never load.
    if not (is_module and dataclasses.is_dataclass(config_class) and getattr(module_class, "type_name", None) == name):
        raise ComponentError(
            f"{place}: must be an nn.Module class with a dataclass `Config` and `type_name = {name!r}`"
        )
    return cast(type[nn.Module], module_class)
