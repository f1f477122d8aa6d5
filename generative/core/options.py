"""Frozen dataclass configs to and from plain JSON types, strictly.

Every config of the toolkit comes from a YAML or JSON file sooner or later. This module is the one place that
turns such a mapping into a dataclass: it refuses unknown keys (with a "did you mean"), wrong types and
missing fields, and names the dotted field in every message, so that a typing error never trains for a day
before anybody sees it.
"""

import dataclasses
import difflib
import functools
import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, Union

from generative.core.facts import Facts

ConfigT = TypeVar("ConfigT")
LARGEST = 10**9
"""Magnitude above which no count, size, rate or weight means anything; float32 overflows not far beyond."""
FLOATS = 10**300
"""Whole numbers below this can be written as a float."""
SEEDS = 2**63
"""Seeds are below this: the largest that every random generator takes."""


class ComponentError(ValueError):
    """A component, its options or its folder cannot be used; the message says why and what to do."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " did you mean 'x'?" and the known names, to end an error message with."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    guess = f" did you mean {close[0]!r}?" if close else ""
    return f"{guess} known: {', '.join(names) or 'none'}"


def config_from_mapping(cls: type[ConfigT], mapping: object, field: str = "") -> ConfigT:
    """Build the dataclass `cls` from JSON types: nested mappings, lists for tuples, ints for floats.

    Args:
        cls: a dataclass whose fields are bool, int, float, str, Literal, Optional, tuple, mapping or
            dataclass; one with a classmethod `of_word` may be given as text.
        mapping: a mapping with one entry per field; fields left out keep their default.
        field: dotted name of `mapping` inside a larger config, used in messages.

    Raises:
        ComponentError: a key is unknown or a field without default is missing.
        ValueError: a value has the wrong type, or the dataclass's own validation refuses it.
    """
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{field or cls.__name__}={mapping!r}: expected a mapping of {cls.__name__}'s options")
    fields = {each.name: each for each in dataclasses.fields(cls) if each.init}  # type: ignore[arg-type]
    hints = _hints(cls)  # type: ignore[arg-type]
    values = {}
    for key, value in mapping.items():
        if key not in fields:
            raise ComponentError(
                f"{_join(field, key)}: {cls.__name__} has no such option;{did_you_mean(str(key), fields)}"
            )
        values[key] = _convert(hints[key], value, _join(field, key))
    for name, each in fields.items():
        required = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ComponentError(f"{_join(field, name)}: {cls.__name__} needs this option; add it")
    try:
        return cls(**values)
    except ValueError as error:
        if not field:
            raise
        # The dataclass cannot know its place in a larger config.
        said = str(error)
        raise ValueError(said if said.startswith(f"{field}.") else _join(field, said)) from error


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


@functools.cache
def _field_names(cls: type) -> tuple[str, ...]:
    return tuple(each.name for each in dataclasses.fields(cls))


def check_numbers(value: object, name: str = "") -> None:
    """Refuse numbers that no field can mean anywhere in a config: infinite, NaN, beyond `LARGEST`, seeds too large.

    Args:
        value: a dataclass, or what stands in one: mappings, tuples, numbers.
        name: its dotted name, for messages.

    Raises:
        ValueError: names the field and the value.
    """
    left = [(name, value)]  # no recursion: every config of a run is checked whole, and there are many
    while left:
        name, value = left.pop()
        if value is None or isinstance(value, (str, bool)):
            continue
        if isinstance(value, (int, float)):
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name}={value}: must be a finite number")
            if name.rpartition(".")[2] in ("seed", "seeds", "optimiser_seeds"):
                check_seed(value, name)
            elif abs(value) > LARGEST:
                given = f"{value:.6g}" if abs(value) < FLOATS else "a number of hundreds of digits"
                raise ValueError(f"{name}={given}: too large to mean anything; give at most {LARGEST:,}")
            continue
        inner: list[tuple[str, object]] = []
        if isinstance(value, (tuple, list)):
            left.extend((name, each) for each in reversed(value))
        elif dataclasses.is_dataclass(value):
            inner = [(each, getattr(value, each)) for each in _field_names(type(value))]  # type: ignore[arg-type]
        elif isinstance(value, Mapping):
            inner = list(value.items())
        before = f"{name}." if name else ""
        left.extend((f"{before}{key}", each) for key, each in reversed(inner))


def check_seed(seed: int | float, name: str = "seed") -> None:
    """Raise a ValueError for a seed that is negative or too large."""
    if seed < 0:
        raise ValueError(f"{name}={seed}: must not be negative; give a seed from 0 on")
    if not seed < SEEDS:
        raise ValueError(f"{name}={seed}: too large; give a seed below 2**63")


def config_to_mapping(config: Any) -> Facts:
    """Return the dataclass instance as JSON types, so that `config_from_mapping` gives an equal one back."""
    return {each.name: _plain(getattr(config, each.name)) for each in dataclasses.fields(config) if each.init}


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return config_to_mapping(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return value


def _join(field: str, name: object) -> str:
    return f"{field}.{name}" if field else str(name)


def _convert(hint: object, value: object, field: str) -> Any:
    """Return `value` as the type `hint`, or raises a ValueError that names `field`."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(args, value, field)
    if origin is Literal:
        if not any(value == each and type(value) is type(each) for each in args):
            raise ValueError(
                f"{field}={value!r}: not a choice;{did_you_mean(str(value), [str(each) for each in args])}"
            )
        return value
    if origin is tuple:
        return _convert_tuple(args, value, field)
    if origin in (dict, Mapping) or hint in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise ValueError(f"{field}={value!r}: expected a mapping")
        inner = args[1] if args else Any
        return {str(key): _convert(inner, each, _join(field, key)) for key, each in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, str) and hasattr(hint, "of_word"):
            return hint.of_word(value)
        return value if isinstance(value, hint) else config_from_mapping(hint, value, field)
    return _convert_scalar(hint, value, field)


def _convert_union(args: tuple[object, ...], value: object, field: str) -> Any:
    if value is None and type(None) in args:
        return None
    members = [each for each in args if each is not type(None)]
    if len(members) == 1:
        return _convert(members[0], value, field)
    for member in members:
        try:
            return _convert(member, value, field)
        except ValueError:
            continue
    raise ValueError(
        f"{field}={value!r}: expected {' or '.join(getattr(each, '__name__', str(each)) for each in args)}"
    )


def _convert_tuple(args: tuple[object, ...], value: object, field: str) -> tuple[object, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{field}={value!r}: expected a list")
    if len(args) == 2 and args[1] is Ellipsis:
        args = (args[0],) * len(value)
    if args and len(args) != len(value):
        raise ValueError(f"{field}={value!r}: expected {len(args)} entries, found {len(value)}")
    hints = args or (Any,) * len(value)
    return tuple(_convert(each, item, f"{field}[{i}]") for i, (each, item) in enumerate(zip(hints, value, strict=True)))


def _convert_scalar(hint: object, value: Any, field: str) -> Any:
    if hint is float and type(value) in (int, float):
        if not math.isfinite(value):
            raise ValueError(f"{field}={value!r}: expected a finite number")
        return float(value)
    if value is None:
        raise ValueError(f"{field}: there is no value; give one, or leave the field out")
    if hint is int and isinstance(value, float) and value.is_integer():
        raise ValueError(f"{field}={value!r}: expected a whole number; write {value:.0f}")
    if hint in (bool, int, str) and type(value) is hint:  # `type`, because True is an int to isinstance
        return value
    if hint is float and isinstance(value, str) and _is_number(value):
        raise ValueError(f"{field}={value!r}: this is text; write the number without quotes")
    if hint not in (bool, int, float, str):
        raise TypeError(f"{field}: {hint!r} is no type for an option; use bool, int, float, str, Literal or tuple")
    raise ValueError(f"{field}={value!r}: expected {hint.__name__}, found {type(value).__name__}")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def differences(old: object, new: object, field: str = "") -> list[tuple[str, Any, Any]]:
    """Return `(dotted field, old value, new value)` for every field in which two configurations differ.

    Args:
        old: a dataclass, whose fields that are mappings count as a whole; or a mapping, looked into at any depth.
        new: another one of the same kind.
        field: dotted name of both inside a larger configuration.
    """
    inside: type = Mapping if isinstance(old, Mapping) else type(old)
    if not (isinstance(new, inside) and (dataclasses.is_dataclass(old) or inside is Mapping)):
        return [] if old == new else [(field, old, new)]
    before, after = (_entries(each) for each in (old, new))
    found: list[tuple[str, Any, Any]] = []
    for name in dict.fromkeys([*before, *after]):
        one, two = before.get(name), after.get(name)
        dotted = f"{field}.{name}" if field else name
        deeper = dataclasses.is_dataclass(one) or inside is Mapping
        found += differences(one, two, dotted) if deeper else [] if one == two else [(dotted, one, two)]
    return found


def _entries(config: Any) -> dict[str, Any]:
    if isinstance(config, Mapping):
        return dict(config)
    return {each.name: getattr(config, each.name) for each in dataclasses.fields(config)}
