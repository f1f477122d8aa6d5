"""Configurations as files: the presets, a user's YAML file, and the sealed one in a run folder."""

import difflib
from collections.abc import Mapping
from dataclasses import fields, replace
from importlib import resources
from pathlib import Path

from envs import same_world
from generative import ComponentError
from generative.core.facts import Facts, FactsView
from generative.core.files import seal_fits, under_seal
from generative.core.options import differences
from generative.core.strict_yaml import read_yaml, write_yaml
from worldmodels.config import (
    RunConfig,
    check_acting,
    config_from,
    config_mapping,
    field_names,
    for_environment,
)
from worldmodels.errors import RunError
from worldmodels.files import write_text

FORMAT_VERSION = 1
PRESETS = resources.files("worldmodels.presets")
PROGRAM = "worldmodels"
"""Whose seal is on a configuration."""
KEPT = 32
_sealed: dict[bytes, RunConfig] = {}
"""What the newest sealed files say, by their content: a command opens the same run many times."""


def known_presets() -> dict[str, str]:
    """Return the presets by name, each with the first line of its file as a description."""
    found = {}
    for entry in sorted(PRESETS.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            found[entry.name.removesuffix(".yaml")] = entry.read_text().splitlines()[0].lstrip("# ")
    return found


def preset(name: str) -> RunConfig:
    """Return a preset's configuration.

    Raises:
        RunError: it, or one that it builds on, is unknown, which lists the known ones; or they build on each other.
    """
    return _preset(name, ())


def _preset(name: str, above: tuple[str, ...]) -> RunConfig:
    """Return a preset that presets `above` build on."""
    known = known_presets()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean `{near[0]}`? " if near else ""
        raise RunError(f"unknown preset `{name}`; {hint}Known: {', '.join(known)}")
    if name in above:
        raise RunError(f"presets build on each other in a circle: {' -> '.join((*above, name))}; end it in one of them")
    mapping = read_yaml(PRESETS.joinpath(f"{name}.yaml").read_text(), f"{name}.yaml") or {}
    base = _preset(str(mapping["preset"]), (*above, name)) if "preset" in mapping else RunConfig()
    return _over({**mapping, "preset": name}, base)


def left_out(config: RunConfig) -> list[tuple[str, object]]:
    """Return what a configuration has of its own instead of what its preset sets for another environment.

    Dotted fields and their values, those that `for_environment` gave.
    """
    base = preset(config.preset) if config.preset in known_presets() else config
    if same_world(base.env.id, config.env.id):
        return []
    neutral = for_environment(base, config.env.id)
    ours = dict((name, new) for name, _, new in differences(base, config))
    return [
        (name, new)
        for name, _, new in differences(base, neutral)
        if name != "env.id" and name in ours and ours[name] == new
    ]


def _over(mapping: FactsView, base: RunConfig) -> RunConfig:
    """Lay what a file says over what it builds on; its `env.options` stand as they are written."""
    env = mapping.get("env")
    if isinstance(env, Mapping) and "options" in env:
        base = replace(base, env=replace(base.env, options={}))
    return config_from(mapping, base)


def read_config(path: Path) -> RunConfig:
    """Read a configuration file.

    One that a run saved (it has a `format_version` and every section) is complete in itself. One that a user wrote says
    what differs from its `preset`, or from the default one; its `env.options` stand as they are written.
    """
    return _config_of(read_mapping(path, "configuration"), path)


def read_sealed(path: Path) -> RunConfig:
    """Read the configuration of a run folder.

    Raises:
        RunError: it cannot be read, or is not what `write_config` wrote.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"cannot read the configuration {path}: {error.strerror}") from error
    config = _sealed.get(content)
    if config is None:
        if not seal_fits(content, PROGRAM):
            raise RunError(
                f"{path} is not what was written (edited, or damaged): restore it, or start a new run with it, "
                f"`worldmodels run NEW --config {path}`. Fields change on the command line: --FIELD VALUE"
            )
        config = read_config(path)
        while len(_sealed) >= KEPT:
            _sealed.pop(next(iter(_sealed)))
        _sealed[content] = config
    return config


def _config_of(mapping: Facts, path: Path) -> RunConfig:
    saved = "format_version" in mapping and all(item.name in mapping for item in fields(RunConfig))
    version = mapping.pop("format_version", FORMAT_VERSION)
    if version != FORMAT_VERSION:
        raise RunError(f"{path} has format {version}, this version reads {FORMAT_VERSION}: start a new run")
    try:
        if saved:
            return _over(mapping, RunConfig())
        config = _over(mapping, preset(str(mapping.get("preset", "default"))))
        check_acting(config, field_names(mapping))
        return config
    except RunError as error:
        raise RunError(f"{path}: {error}") from error


def read_mapping(path: Path, what: str) -> Facts:
    """Read a YAML file that holds a mapping; `what` it is called in messages.

    Raises:
        RunError: it cannot be read, says nothing or something else, or is not strict YAML.
    """
    try:
        mapping = read_yaml(path.read_bytes(), str(path))
    except OSError as error:
        raise RunError(f"cannot read the {what} {path}: {error.strerror}") from error
    except ComponentError as error:
        raise RunError(str(error)) from error
    if mapping is None:
        raise RunError(f"{path} says nothing: a {what} is a YAML mapping of fields; for the defaults write `seed: 0`")
    if not isinstance(mapping, dict):
        raise RunError(f"{path} must be a YAML mapping of fields, for example `seed: 1`")
    return mapping


def write_config(path: Path, config: RunConfig) -> None:
    """Write a run's configuration in full, with a seal above it by which `read_sealed` sees that it is still this one.

    Raises:
        RunError: it could not be read again, as a learning rate of infinity; nothing is written.
    """
    write_text(path, sealed(config))


def sealed(config: RunConfig) -> str:
    """Return a run's configuration as `read_sealed` reads it.

    Raises:
        RunError: it could not be read again, as a learning rate of infinity.
    """
    plain = config_mapping(config)
    text = write_yaml({"format_version": FORMAT_VERSION, **plain})
    try:
        again = read_yaml(text, "configuration")
    except ComponentError as error:
        raise RunError(str(error)) from error
    config_from({name: value for name, value in again.items() if name in plain})
    return under_seal(text, PROGRAM)
