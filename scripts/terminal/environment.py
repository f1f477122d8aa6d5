"""What a command line says of the environment before the other fields are read, and what is said of it in turn."""

from dataclasses import dataclass, make_dataclass, replace
from typing import Annotated, Any

import tyro

from envs.ids import OWN_LIMIT, find_spec
from generative import ComponentError
from generative.strict_yaml import read_yaml
from scripts.terminal.words import peeked
from worldmodels.config import RunConfig, left_out
from worldmodels.errors import RunError

OPTIONS = "--env.options"
KEPT = ("as they are",)


@dataclass(frozen=True)
class Given:
    """The word that replaces all options of the environment."""

    options: Annotated[tuple[str, ...], tyro.conf.arg(name="env.options")] = KEPT


def with_options(base: RunConfig, words: list[str]) -> tuple[RunConfig, list[str]]:
    """Return the configuration with the environment's options that the words set, and the words still to read.

    `--env.options` replaces all options: by pairs of key and value, a YAML mapping, or none of them (`{}`, `None`);
    `--env.options.KEY` sets one. tyro knows no keys but those of the default, so new ones are added to it here.

    Raises:
        UsageError: an option without a value.
        RunError: what is no mapping.
    """
    given, words = peeked(Given, words)
    options = dict(base.env.options) if given.options == KEPT else _mapping(list(given.options))
    typed = [word.removeprefix(f"{OPTIONS}.").partition("=")[0] for word in words if word.startswith(f"{OPTIONS}.")]
    keys = [key for key in dict.fromkeys(key.replace("-", "_") for key in typed) if key not in options]
    if keys:
        types = [(f"key{n}", Annotated[str, tyro.conf.arg(name=f"env.options.{key}")]) for n, key in enumerate(keys)]
        added: Any
        added, words = peeked(make_dataclass("Added", types), words)
        options |= {key: _scalar(key, value) for key, value in zip(keys, vars(added).values(), strict=True)}
    return replace(base, env=replace(base.env, options=options)), words


def _mapping(values: list[str]) -> dict[str, Any]:
    if len(values) % 2 == 0:
        return {key: _scalar(key, value) for key, value in zip(values[::2], values[1::2], strict=True)}
    try:
        found = {} if values == ["None"] else read_yaml(values[0], "env.options")
    except ComponentError:
        found = None
    if len(values) > 1 or not isinstance(found, dict):
        raise RunError(f"env.options={' '.join(values)}: give pairs of key and value, or {{}} for none")
    return found


def _scalar(key: str, value: str) -> Any:
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
