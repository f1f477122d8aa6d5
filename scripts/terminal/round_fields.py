"""What a command line says of a loop's later rounds: `--loop.later.FIELD VALUE ...`, or a whole mapping."""

from generative import ComponentError
from generative.core.strict_yaml import read_yaml
from scripts.terminal.parsing import UsageError
from worldmodels.config import RunConfig, config_from, nested

MAPPINGS = ("loop.later", "loop.final")


def take_rounds(base: RunConfig, words: list[str]) -> tuple[RunConfig, list[str]]:
    """Take the fields of later rounds out of the words and return the configuration with them, and the other words.

    Raises:
        UsageError: a field without a value, or a value that cannot be understood.
        RunError: an unknown field or a wrong value.
    """
    rest: list[str] = []
    position = 0
    while position < len(words):
        name, equals, value = words[position].removeprefix("--").partition("=")
        position += 1
        field = name.replace("-", "_")
        if not words[position - 1].startswith("--") or not any(
            field == each or field.startswith(f"{each}.") for each in MAPPINGS
        ):
            rest.append(words[position - 1])
            continue
        values = [value] if equals else []
        while not equals and position < len(words) and not words[position].startswith("--"):
            values.append(words[position])
            position += 1
        base = config_from(nested({field: _value(field, values)}), base)
    return base, rest


def _value(field: str, values: list[str]) -> object:
    if not values:
        raise UsageError(f"--{field} needs a value, for example --loop.later.collect.episodes 8")
    try:
        found = [read_yaml(value, f"--{field}") if value else "" for value in values]
    except ComponentError as error:
        raise UsageError(str(error)) from error
    return found[0] if len(found) == 1 and not field.endswith(".policies") else found
