"""Every field of a configuration, with numbers that mean nothing: each is refused by name, or means something."""

import dataclasses
import json

import pytest

from generative.strict_yaml import read_yaml, write_yaml
from worldmodels.config import RunConfig, config_from, config_mapping
from worldmodels.errors import RunError
from worldmodels.parts import MEMORIES, VISIONS

NOTHING = [float("nan"), float("-inf"), 10**30]
"""Numbers that mean nothing anywhere."""
EDGES = [-1, 0, 1e9]
"""Numbers that mean something in some fields."""
BASES = [RunConfig()] + [
    config_from({section: {"type": name}})
    for section, registry in (("vision", VISIONS), ("memory", MEMORIES))
    for name in registry.names()
]


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
    mapping = value
    for name in reversed(place):
        mapping = {name: mapping}
    return mapping


FIELDS = [
    (number, place, kind)
    for number, base in enumerate(BASES)
    for place, kind in numbers(base)
    if number == 0 or "options" in place  # the rest is the same in all of them
]


def test_the_table_is_not_empty():
    found = {place for _, place, _ in FIELDS}
    assert len(found) > 120 and ("dream", "temperature") in found and ("accuracy", "horizons") in found


@pytest.mark.parametrize(
    ("number", "place", "kind"), FIELDS, ids=[f"{number}-{'.'.join(place)}" for number, place, _ in FIELDS]
)
def test_a_number_that_means_nothing_is_refused_by_name(number, place, kind):
    for value in NOTHING:
        given = value
        with pytest.raises(RunError) as caught:
            config_from(change(place, (given,) * 2 if kind is tuple else given), BASES[number])
        assert place[-1] in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("number", "place", "kind"), FIELDS, ids=[f"{number}-{'.'.join(place)}" for number, place, _ in FIELDS]
)
def test_what_is_accepted_is_read_back_as_the_same(number, place, kind):
    for value in EDGES:
        given = float(value) if kind is float else int(value)
        try:
            config = config_from(change(place, (given,) if kind is tuple else given), BASES[number])
        except RunError as error:
            assert place[-1] in str(error)
            continue
        json.dumps(config_mapping(config), allow_nan=False)
        assert value >= 0 or place[-1] == "bias", f"{'.'.join(place)}={given} was accepted"
        assert config_from(read_yaml(write_yaml(config_mapping(config)), "c.yaml")) == config
