"""What a page can ask a model for, with the dials of each: sampling, writing and every view.

Nothing here knows models. A control's dials are those of its dataclasses, so what a model declares is on the page.
"""

import math
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from generative.core.facts import Facts, FactsView
from generative.core.options import ComponentError, check_numbers, config_from_mapping, did_you_mean
from generative.core.views import Slider
from generative.report.media import Files

Kind = Literal["whole", "number", "tick", "choice", "names", "sliders", "list", "text"]
"""How a dial is turned: a number without or with decimals, yes or no, one of some names, several of them, a slider for
each of some numbers, a list of values, or text."""


@dataclass(frozen=True)
class Dial:
    """One field of a control's dataclass."""

    name: str
    kind: Kind
    value: Any
    """By default, in JSON's types."""
    says: str
    choices: tuple[str, ...] = ()
    """Names to choose from."""
    sliders: tuple[Slider, ...] = ()

    def facts(self) -> Facts:
        """Return it as the page reads it."""
        sliders = [[each.name, each.low, each.high] for each in self.sliders]
        return {
            "name": self.name, "kind": self.kind, "value": self.value, "says": self.says,
            "choices": list(self.choices), "sliders": sliders,
        }  # fmt: skip


@dataclass(frozen=True)
class Control:
    """Something that a model can be asked for."""

    says: str
    kinds: tuple[type, ...]
    """Dataclasses of its dials; no name is in two of them."""
    dials: tuple[Dial, ...]
    make: Callable[[Sequence[Any], int], Files] | None = None
    """Turn instances of `kinds` and a seed into files."""
    stream: Callable[[Sequence[Any], int], Iterator[str]] | None = None
    """Or into a text, piece by piece."""

    def __post_init__(self) -> None:
        if (self.make is None) == (self.stream is None):
            raise ValueError("a control makes files or streams a text: one of the two")

    def facts(self, name: str) -> Facts:
        """Return it as the page reads it."""
        dials = [dial.facts() for dial in self.dials]
        return {"name": name, "says": self.says, "streams": self.stream is not None, "dials": dials}

    def turned(self, values: FactsView) -> list[Any]:
        """Return instances of `kinds` with dials turned to these values; the others stand as they are by default.

        Raises:
            ValueError: there is no such dial, or it cannot have this value; names it.
        """
        check_numbers(values)
        known = [dial.name for dial in self.dials]
        for name in values:
            if name not in known:
                raise ComponentError(f"{str(name)[:40]}: no such dial;{did_you_mean(str(name)[:40], known)}")
        return [
            config_from_mapping(kind, {name: value for name, value in values.items() if name in _names(kind)})
            for kind in self.kinds
        ]


def dials_of(
    kind: type,
    notes: Mapping[str, str],
    sliders: Mapping[str, Sequence[Slider]] | None = None,
    choices: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Dial, ...]:
    """Return the dials of a dataclass.

    Args:
        kind: the dataclass.
        notes: what stands below its fields.
        sliders: for fields that are a number for each of some things, those things.
        choices: for fields that are several names, the names.
    """
    sliders, choices, hints = sliders or {}, choices or {}, get_type_hints(kind)
    found = []
    for item in fields(kind):
        value, options = _default(item), tuple(choices.get(item.name, ()))
        turned: Kind
        turned, options = ("names", options) if options else _kind_of(hints[item.name], value)
        moved = tuple(sliders.get(item.name, ()))
        if moved:
            turned, value = "sliders", [0.0] * len(moved)
        plain = list(value) if isinstance(value, tuple) else value
        found.append(Dial(item.name, turned, plain, notes.get(item.name, ""), options, moved))
    return tuple(found)


def _kind_of(hint: Any, value: object) -> tuple[Kind, tuple[str, ...]]:
    """Return how a field is turned, and the names to choose from, if it has some."""
    if get_origin(hint) is Literal:
        return "choice", tuple(str(each) for each in get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = [each for each in get_args(hint) if each is not types.NoneType][:1]
    if hint is bool:
        return "tick", ()
    if hint is int:
        return "whole", ()
    if hint is float or get_args(hint) in ((int, float), (float, int)):
        return "number", ()
    return ("list" if get_origin(hint) is tuple else "text"), ()


def _default(item: "Field[Any]") -> Any:
    value = item.default if item.default_factory is MISSING else item.default_factory()
    return None if value is MISSING or (isinstance(value, float) and not math.isfinite(value)) else value


def _names(kind: type) -> set[str]:
    return {item.name for item in fields(kind)}
