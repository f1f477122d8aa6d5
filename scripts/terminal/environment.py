"""What a command line says of the environment before the other fields are read, and what is said of it in turn."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from envs.ids import OWN_LIMIT, find_spec
from generative import ComponentError
from generative.strict_yaml import read_yaml
from worldmodels.config import RunConfig, for_environment, left_out
from worldmodels.errors import RunError

OPTIONS = "--env.options"
Take = Callable[[list[str], str], tuple[list[str], str | None]]


def take_environment(base: RunConfig, words: list[str], take: Take) -> tuple[RunConfig, list[str]]:
    """Take the environment's id and options out of the words and return the configuration for it, and the other words.

    `--env.options` replaces all options: by pairs of key and value, a YAML mapping, or none of them (`{}`, `None`);
    `--env.options.KEY` sets one, new ones too.

    Args:
        base: the configuration so far.
        words: of the command line.
        take: takes `name VALUE` or `name=VALUE` out of words.

    Raises:
        RunError: an option without a value, or what is no mapping.
    """
    _, chosen = take(words, "--env.id")
    if chosen:
        base = for_environment(base, chosen)
    rest, given = _values(words)
    options = dict(base.env.options) if given is None else _mapping(given)
    for word in [word for word in rest if word.startswith(f"{OPTIONS}.")]:
        key = word.removeprefix(f"{OPTIONS}.").partition("=")[0]
        if key not in options:
            rest, value = take(rest, f"{OPTIONS}.{key}")
            options[key] = _scalar(key, str(value))
    return replace(base, env=replace(base.env, options=options)), rest


def _values(words: list[str]) -> tuple[list[str], list[str] | None]:
    """Take `--env.options VALUE ...` out of the words; None where it is not among them."""
    for position, word in enumerate(words):
        if word.startswith(f"{OPTIONS}="):
            return words[:position] + words[position + 1 :], [word.partition("=")[2]]
        if word == OPTIONS:
            end = position + 1
            while end < len(words) and not words[end].startswith("--"):
                end += 1
            return words[:position] + words[end:], words[position + 1 : end]
    return words, None


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
