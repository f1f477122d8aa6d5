"""Putting parts together for a run: sizes follow the environment and the vision; what cannot go together fails here."""

from dataclasses import fields, replace
from typing import Any, NamedTuple, cast

import gymnasium as gym

from agents import ActionSpec
from envs import EnvConfig, frame_rate, make_env
from worldmodels.agent.features import feature_size
from worldmodels.config import RunConfig
from worldmodels.errors import RunError
from worldmodels.memories import MemoryModule, agent_memory
from worldmodels.memories.fit import check_dream, check_latents, check_memory, set_codes
from worldmodels.memories.registry import MEMORIES
from worldmodels.vision.contract import VisionModule, check_vision
from worldmodels.vision.registry import VISIONS


class EnvShape(NamedTuple):
    """What the parts have to know of an environment."""

    spaces: tuple[gym.spaces.Box, gym.Space[Any]]
    """Observation and action space, at the model's size."""
    spec: ActionSpec
    state_names: tuple[str, ...]
    """Names of the simulator's state; empty where there is none."""
    fps: float = 50.0
    """Steps that make a second: the environment's frames, after action repeat."""


def env_shape(config: EnvConfig) -> EnvShape:
    """Make the environment once and look."""
    try:
        env = make_env(config)
        base = env.unwrapped
        spec = ActionSpec.from_space(env.action_space, getattr(base, "action_squash", None))
    except ValueError as error:
        raise RunError(f"env: {error}") from error
    except MemoryError as error:
        raise RunError(f"env: {config.id} with options={config.options} does not fit into memory: {error}") from error
    assert isinstance(env.observation_space, gym.spaces.Box)  # `make_env` sees to that
    names = tuple(getattr(base, "simulator_state_names", ()))
    shape = EnvShape((env.observation_space, env.action_space), spec, names, frame_rate(env) / config.action_repeat)
    env.close()
    return shape


def new_vision(config: RunConfig, shape: EnvShape, seed: int) -> VisionModule:
    """Return an untrained vision whose sizes fit the environment.

    Raises:
        RunError: it cannot have these sizes.
    """
    height, _, channels = shape.spaces[0].shape
    try:
        options = _fill("vision", config.vision.options, image_size=height, channels=channels)
        return cast(VisionModule, VISIONS.create(config.vision.type, options, seed=seed))
    except ValueError as error:
        raise RunError(f"vision, at env.size={config.env.size}: {error}") from error


def new_memory(config: RunConfig, latent: int, spec: ActionSpec, seed: int) -> MemoryModule:
    """Return an untrained memory whose sizes fit vision and environment.

    Raises:
        RunError: it cannot have these sizes.
    """
    reward = config.memory.reward.type
    try:
        options = _fill("memory", config.memory.options, latent=latent, action=spec.size, reward_target=reward)
        return cast(MemoryModule, MEMORIES.create(config.memory.type, options, seed=seed))
    except ValueError as error:
        raise RunError(f"memory: {error}") from error


def check_parts(config: RunConfig, vision: VisionModule, memory: MemoryModule, spec: ActionSpec) -> None:
    """Refuse parts that cannot go together, trained or not.

    Args:
        config: of the run.
        vision: of its type and sizes.
        memory: likewise.
        spec: of the environment's actions.

    Raises:
        RunError: says which two do not fit, why, and what to choose instead.
    """
    latent = vision.latent_spec.size
    try:
        check_latents(vision.latent_spec, memory)
        set_codes(vision, memory)
        check_memory(memory, latent, spec.size)
        feature_size(config.features, latent, agent_memory(memory).feature_size)
        if config.evolve.world == "dream":
            check_dream(memory, latent, spec.size)
    except ValueError as error:
        raise RunError(f"vision.type={config.vision.type}, memory.type={config.memory.type}: {error}") from error


def check_config(config: RunConfig) -> None:
    """Refuse a configuration whose parts cannot go together, before anything is trained; see `check_parts`."""
    shape = env_shape(config.env)
    check_targets(config, shape.state_names)
    for name, bias in (("collect.bias", config.collect.bias), ("controller.bias", config.controller.bias)):
        if bias and len(bias) != shape.spec.size:
            raise RunError(f"{name}={bias}: {config.env.id} has {shape.spec.size} outputs; give a number for each")
    vision = new_vision(config, shape, config.seed)
    try:
        check_vision(vision)
    except ValueError as error:
        raise RunError(f"vision.type={config.vision.type}: {error}") from None
    check_parts(config, vision, new_memory(config, vision.latent_spec.size, shape.spec, config.seed), shape.spec)


def check_targets(config: RunConfig, state_names: tuple[str, ...]) -> None:
    """Refuse targets of the memory's heads that the environment's simulator does not tell.

    Raises:
        RunError: says which one, and what to choose instead.
    """
    told = f"the simulator's state of {config.env.id}" if state_names else f"{config.env.id} tells no simulator's state"
    if config.memory.termination.type == "off-road" and state_names[-1:] != ("on_road",):
        lacks = f"{told} does not end with `on_road`" if state_names else told
        raise RunError(f"memory.termination.type=off-road: {lacks}; choose --memory.termination.type env")
    if config.memory.reward.type == "progress" and "reward_rate" not in state_names:
        lacks = f"{told} has no `reward_rate`" if state_names else told
        raise RunError(f"memory.reward.type=progress: {lacks}; choose --memory.reward.type smoothed")


def _fill(section: str, options: Any, **values: object) -> Any:
    """Set the fields of a component's options that follow from other parts; those it lacks are not asked for.

    Raises:
        RunError: one of them was set to something else.
    """
    found = {}
    for item in fields(options):
        if item.name not in values:
            continue
        given, value = getattr(options, item.name), values[item.name]
        if given not in (item.default, value):
            raise RunError(
                f"{section}.options.{item.name}={given!r}: cannot be set, it follows from the other parts and is "
                f"{value!r} here; leave it out"
            )
        found[item.name] = value
    return replace(options, **found)
