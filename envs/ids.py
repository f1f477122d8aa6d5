"""Finding by name: an environment by its gymnasium id, a wrapper by its module, and what is known of either."""

import difflib
import importlib
import os
import sys
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any

import gymnasium as gym
import yaml

CAR_RACING = (
    "WorldModels/FastCarRacing-v3",
    "WorldModels/CarRacing-v3",
    "CarRacing-v3",
    "WorldModels/RecolouredCarRacing-v3",
    "WorldModels/NightCarRacing-v3",
)
"""Five drawings of one world: tracks, physics and rewards are the same."""

OWN_LIMIT = 1000
"""Frames after which an episode is cut where the environment was registered without a limit."""


def same_world(env_id: str, other: str) -> bool:
    """Return whether what is set for one environment also fits the other."""
    return env_id == other or {env_id, other} <= set(CAR_RACING)


def find_spec(env_id: str) -> gym.envs.registration.EnvSpec:
    """Return what gymnasium knows of an id; of `package:ID` the package is imported first, as `gym.make` does.

    Raises:
        ValueError: there is no such package or environment, with the nearest known id.
    """
    package, colon, name = env_id.rpartition(":")
    if colon:
        try:
            import_package(package)
        except Exception as error:  # whatever the package's own code raises
            raise ValueError(f"id={env_id!r}: {error}") from error
    try:
        return gym.spec(name)
    except (gym.error.Error, ModuleNotFoundError) as error:
        similar = difflib.get_close_matches(name, list(gym.registry), n=1)
        hint = f"did you mean {package + colon + similar[0]!r}?" if similar else "gymnasium.pprint_registry() lists all"
        if not colon:
            hint += "; one that a package registers is named package:ID, so that every process finds it"
        raise ValueError(f"id={env_id!r}: no such environment; {hint} ({error})") from error


def import_package(name: str) -> ModuleType:
    """Import a package or module, installed, on Python's path, or in the current folder.

    Raises:
        ImportError: it is in none of these places, or its own code cannot be imported.
    """
    top = name.partition(".")[0]
    here = os.getcwd()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name != missing and not name.startswith(f"{missing}."):
            raise
        if here in sys.path or PathFinder.find_spec(top, [here]) is None:
            raise ImportError(
                f"there is no package `{name}`, neither installed nor in {here}; install it, or name its folder in "
                "the variable PYTHONPATH"
            ) from error
    sys.path.append(here)  # worker processes get it from here
    return importlib.import_module(name)


def frame_limit(env_id: str, max_steps: int) -> int:
    """Return the frames after which an episode is cut: those asked for, else those registered, else `OWN_LIMIT`."""
    return max_steps or find_spec(env_id).max_episode_steps or OWN_LIMIT


def parse_wrapper(text: str) -> tuple[str, str, dict[str, Any]]:
    """Take `module:Name` or `module:Name {key: value, ...}` apart into module, name and keyword arguments.

    Raises:
        ValueError: it is written in another way.
    """
    place, brace, rest = text.partition("{")
    module, _, name = place.strip().partition(":")
    try:
        arguments = yaml.safe_load(brace + rest) if brace else {}
    except yaml.YAMLError:
        arguments = None
    if not (module and name.isidentifier() and isinstance(arguments, dict) and all(map(_is_name, arguments))):
        raise ValueError(
            f"wrappers={text!r}: write package.module:Wrapper, or with arguments package.module:Wrapper {{key: value}}"
        )
    return module, name, arguments


def _is_name(key: object) -> bool:
    return isinstance(key, str) and key.isidentifier()


def wrap_with(env: gym.Env, text: str) -> gym.Env:
    """Put the wrapper that `text` names around an environment.

    Raises:
        ValueError: there is no such wrapper, or it does not take this environment or these arguments.
    """
    module, name, arguments = parse_wrapper(text)
    try:
        found = import_package(module)
        if not hasattr(found, name):
            similar = difflib.get_close_matches(name, dir(found), n=1)
            raise ImportError(f"{module} has no `{name}`" + (f"; did you mean {similar[0]!r}?" if similar else ""))
        wrapped = getattr(found, name)(env, **arguments)
    except Exception as error:  # whatever the wrapper's own code raises
        raise ValueError(f"wrappers={text!r}: {type(error).__name__}: {error}") from error
    if not isinstance(wrapped, gym.Env):
        raise ValueError(f"wrappers={text!r}: made a {type(wrapped).__name__}, which is no gymnasium.Env")
    return wrapped
