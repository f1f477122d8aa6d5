"""Every old name is refused with what is said in its place, wherever a configuration can be given."""

import dataclasses
import re

import pytest

from scripts.terminal.request import parse
from worldmodels.config import RunConfig, config_from, nested
from worldmodels.config_files import read_config
from worldmodels.errors import RunError
from worldmodels.renamed import FIELDS, VALUES

OLD_VALUES = [(field, old, new) for field, values in VALUES.items() for old, new in values.items()]


def has(name, config=None):
    """Whether a dotted name is a field of the configuration."""
    config = RunConfig() if config is None else config
    first, _, rest = name.partition(".")
    if not dataclasses.is_dataclass(config) or first not in {item.name for item in dataclasses.fields(config)}:
        return False
    return not rest or has(rest, getattr(config, first))


def refused(name):
    return pytest.raises(RunError, match=re.escape(f"`{name}` {FIELDS[name]}"))


def test_no_field_has_an_old_name():
    assert len(FIELDS) > 40 and [name for name in FIELDS if has(name)] == []


def test_what_is_said_instead_names_fields_that_there_are():
    named = {word.partition(":")[0] for said in FIELDS.values() for word in re.findall(r"`([a-z_.]+[:`])", said)}
    named = {word.rstrip("`:") for word in named}
    known = {word for word in named if "." in word}
    assert len(known) > 10
    mappings = re.compile(r"loop\.(later|final)\.")
    assert [word for word in known if not has(mappings.sub("", word)) and word not in FIELDS] == []


@pytest.mark.parametrize("name", FIELDS)
def test_an_old_field_is_refused_wherever_it_stands(name, tmp_path):
    with refused(name):
        config_from(nested({name: 1}))
    (tmp_path / "mine.yaml").write_text(
        f"preset: toy\n{name.split('.')[0]}: {dict(nested({name: 1}))[name.split('.')[0]]}\n"
    )
    with pytest.raises(RunError, match=r"mine\.yaml: configuration: " + re.escape(f"`{name}` {FIELDS[name]}")):
        read_config(tmp_path / "mine.yaml")
    for prefix in ("loop.later", "loop.final"):
        with refused(name):
            config_from(nested({f"{prefix}.{name}": 1}))
    for word in (f"--{name}", f"--{name.replace('_', '-')}", f"--{name}=1", f"--loop.later.{name}"):
        with refused(name):
            parse("run", ["x", "--preset", "toy", word, "1"])


@pytest.mark.parametrize(("field", "old", "new"), OLD_VALUES)
def test_an_old_value_is_refused_wherever_it_stands(field, old, new, tmp_path):
    message = re.escape(f"`{field}: {old}` is now `{new}`")
    for given in (old, [new, old]):
        with pytest.raises(RunError, match=message):
            config_from(nested({field: given}))
    with pytest.raises(RunError, match=message):
        config_from(nested({f"loop.later.{field}": [old]}))
    with pytest.raises(RunError, match=message):
        parse("run", ["x", "--preset", "toy", f"--{field}", new, old])
    known = config_from(nested({field: [new] if field.endswith("policies") else new}))
    assert new in str(known)


def test_a_whole_old_configuration_is_refused_by_its_first_old_name():
    with pytest.raises(RunError, match=r"`env\.early_stop\.patience` is now `env\.no_reward_limit`"):
        config_from({"env": {"early_stop": {"patience": 100, "charge": 0.0}}, "evolve": {"tryouts": 8}})
