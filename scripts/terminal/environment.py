"""What a command line says of the environment before the other fields are read, and what is said of it in turn."""

from dataclasses import replace

from envs.ids import OWN_LIMIT, find_spec
from generative import ComponentError
from generative.core.facts import Facts
from generative.core.strict_yaml import read_yaml
from scripts.terminal.parsing import UsageError, peeked_below
from worldmodels.config import RunConfig
from worldmodels.config_files import left_out
from worldmodels.errors import RunError

OPTIONS = "env.options"


def with_options(base: RunConfig, words: list[str]) -> tuple[RunConfig, list[str]]:
    """Return the configuration with the environment's options that the words set, and the words still to read.

    `--env.options` replaces all options: by pairs of key and value, a YAML mapping, or none of them (`{}`, `None`);
    `--env.options.KEY` sets one, new ones too.

    Raises:
        UsageError: an option without a value.
        RunError: what is no mapping.
    """
    given, words = peeked_below(OPTIONS, words)
    options = _mapping(given.pop(OPTIONS)) if OPTIONS in given else dict(base.env.options)
    for name, values in given.items():
        key = name.removeprefix(f"{OPTIONS}.")
        if key in options:  # its type is known, so that tyro can read it
            words += [f"--{name}", *values]
        elif len(values) != 1:
            raise UsageError(f"--{name} needs one value, got {len(values)}")
        else:
            options[key] = _scalar(key, values[0])
    return replace(base, env=replace(base.env, options=options)), words


def _mapping(values: list[str]) -> Facts:
    if len(values) % 2 == 0:
        return {key: _scalar(key, value) for key, value in zip(values[::2], values[1::2], strict=True)}
    try:
        found = {} if values == ["None"] else read_yaml(values[0], "env.options")
    except ComponentError:
        found = None
    if len(values) > 1 or not isinstance(found, dict):
        raise RunError(f"env.options={' '.join(values)}: give pairs of key and value, or {{}} for none")
    return found


def _scalar(key: str, value: str) -> bool | float | str:
    try:
        found = read_yaml(value, f"env.options.{key}")
    except ComponentError:
        found = value
    if not isinstance(found, bool | int | float | str):
        raise RunError(f"env.options.{key}={value}: must be True, False, a number or a word")
    return found


def remarks(config: RunConfig) -> list[str]:
    """Return what a new run's configuration takes for granted of its environment, one line each.

    Raises:
        RunError: there is no such environment.
    """
    try:
        endless = not config.env.max_steps and find_spec(config.env.id).max_episode_steps is None
    except ValueError as error:
        raise RunError(f"env: {error}") from error
    said = []
    fields = left_out(config)
    if fields:
        said.append(
            f"env.id={config.env.id} is another environment than the preset `{config.preset}` is for; what it sets for "
            f"that one is left out: {', '.join(f'{name}={value}' for name, value in fields)}"
        )
    if endless:
        said.append(
            f"{config.env.id} has no step limit of its own: episodes are cut after {OWN_LIMIT} frames; "
            "--env.max-steps sets another limit"
        )
    return said
