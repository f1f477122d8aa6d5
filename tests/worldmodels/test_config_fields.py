"""Every field of a configuration, with numbers that mean nothing: each is refused by name, or means something."""

import dataclasses
import json

import jaxtyping
import pytest

from generative.core.strict_yaml import read_yaml, write_yaml
from worldmodels.config import RunConfig, config_from, config_mapping
from worldmodels.errors import RunError
from worldmodels.memories.registry import MEMORIES
from worldmodels.vision.registry import VISIONS

NOTHING = [float("nan"), float("-inf"), float("inf"), 10**30, 1e300]
"""Numbers that mean nothing anywhere."""
EDGES = [-1, 0, 1e9]
"""Numbers that mean something in some fields."""
BASES = [RunConfig()] + [
    config_from({section: {"type": name}})
    for section, registry in (("vision", VISIONS), ("memory", MEMORIES))
    for name in registry.names()
]


@pytest.fixture(autouse=True)
def _unchecked(monkeypatch):
    """Thousands of configurations and no tensor: checks of annotations would take most of the time."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def numbers(config, place=()):
    for item in dataclasses.fields(config):
        value, here = getattr(config, item.name), (*place, item.name)
        if dataclasses.is_dataclass(value):
            yield from numbers(value, here)
        elif type(value) in (int, float) or here == ("evolve", "seed"):
            yield here, type(value) if value is not None else int
        elif item.type in (tuple[int, ...], tuple[float, ...], tuple[int, int]):
            yield here, tuple


def change(place, value):
    """The mapping in which one field has a value."""
    mapping = value
    for name in reversed(place):
        mapping = {name: mapping}
    return mapping


FIELDS = {}
"""The fields with numbers, each with its kind, by the number of their base and their section."""
for number, base in enumerate(BASES):
    for place, kind in numbers(base):
        if number == 0 or "options" in place:  # the rest is the same in all of them
            FIELDS.setdefault((number, place[0]), []).append((place, kind))

by_section = pytest.mark.parametrize(
    ("base", "found"),
    [(BASES[number], found) for (number, _), found in FIELDS.items()],
    ids=[f"{number}-{section}" for number, section in FIELDS],
)


def test_the_table_is_not_empty():
    found = {place for found in FIELDS.values() for place, _ in found}
    assert len(found) > 60 and ("dream", "temperature") in found and ("accuracy", "controllers") in found
    assert sum(map(len, FIELDS.values())) > 200 and len(FIELDS) > 20


@by_section
def test_a_number_that_means_nothing_is_refused_by_name(base, found):
    wrong = []
    for place, kind in found:
        for value in NOTHING:
            try:
                config_from(change(place, (value,) * 2 if kind is tuple else value), base)
                said = "accepted"
            except RunError as error:
                said = str(error)
            if place[-1] not in said or "\n" in said:
                wrong.append((".".join(place), value, said))
    assert wrong == []


@by_section
def test_what_is_accepted_is_read_back_as_the_same(base, found):
    wrong = []
    for place, kind in found:
        for value in EDGES:
            given = float(value) if kind is float else int(value)
            try:
                config = config_from(change(place, (given,) if kind is tuple else given), base)
            except RunError as error:
                if place[-1] not in str(error):
                    wrong.append((".".join(place), given, str(error)))
                continue
            mapping = config_mapping(config)
            json.dumps(mapping, allow_nan=False)
            for name in place:
                mapping = mapping[name]
            written = write_yaml(change(place, mapping))  # the field alone: the rest is below
            if config_from(read_yaml(written, "c.yaml"), base) != config or (value < 0 and place[-1] != "bias"):
                wrong.append((".".join(place), given, written))
    assert wrong == []


@pytest.mark.parametrize("base", BASES, ids=range(len(BASES)))
def test_a_whole_configuration_is_read_back_as_the_same(base):
    assert config_from(read_yaml(write_yaml(config_mapping(base)), "c.yaml")) == base
