"""Builds any image environment the way models see it, and says exactly what was built."""

import hashlib
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import gymnasium as gym
import numpy as np

from envs.ids import find_spec, frame_limit, parse_wrapper, wrap_with
from envs.wrappers import ActionRepeat, EarlyStop, ModelFrame, draws_on_demand, image_shape

TRACK_HASH_SEEDS = range(10)
MOST_FRAMES = 1_000_000_000
MOST_PIXELS = 16_384


@dataclass(frozen=True)
class EnvConfig:
    """Which environment to play, and which frames of it a model sees."""

    id: str = "WorldModels/CarRacing-v3"
    """Gymnasium id of an environment with image observations; of a package's own: package:ID."""
    wrappers: tuple[str, ...] = ()
    """Wrappers around it, the innermost first, each as package.module:Wrapper or with arguments as
    'package.module:Wrapper {key: value}'; 'envs:PickObservation {key: image}' picks the picture out of a Dict,
    'envs:BoxActions {low: -1, high: 1}' bounds actions."""
    size: int = 64
    """Height and width of the model's frames in pixels."""
    crop: tuple[int, int] = (0, 0)
    """Rows of the environment's frames to keep, from the first up to the second number; 0 0 keeps all."""
    action_repeat: int = 1
    """Frames for which an action is held."""
    max_steps: int = 0
    """Frames after which an episode is truncated; 0 takes the limit the environment was registered with, or 1000 where
    it has none."""
    no_reward_limit: int = 0
    """Frames in a row without a positive reward after which an episode in training is cut short; 0 never cuts one."""
    options: dict[str, bool | int | float | str] = field(default_factory=dict)
    """Keyword arguments of the environment itself, such as domain_randomize True; {} for none."""

    def __post_init__(self) -> None:
        if not 1 <= self.size <= MOST_PIXELS:
            raise ValueError(f"size={self.size}: must be from 1 to {MOST_PIXELS:,} pixels; the models are made for 64.")
        top, bottom = self.crop
        if (top, bottom) != (0, 0) and not 0 <= top < bottom:
            raise ValueError(f"crop={self.crop}: needs 0 <= first < last row, or 0 0 for all.")
        if not 1 <= self.action_repeat <= MOST_FRAMES:
            raise ValueError(f"action_repeat={self.action_repeat}: must be at least 1 frame, and at most 1e9.")
        if not 0 <= self.max_steps <= MOST_FRAMES:
            raise ValueError(f"max_steps={self.max_steps}: must be from 0, the env's own limit, to {MOST_FRAMES:,}.")
        if not 0 <= self.no_reward_limit <= MOST_FRAMES:
            raise ValueError(
                f"no_reward_limit={self.no_reward_limit}: must be from 0, for no limit, to {MOST_FRAMES:,}."
            )
        for text in self.wrappers:
            parse_wrapper(text)

    @property
    def limit(self) -> int:
        """Frames after which an episode is truncated; the environment has to be known."""
        return frame_limit(self.id, self.max_steps)


def make_env(config: EnvConfig, training: bool = False, render_mode: str | None = None) -> gym.Env:
    """Build the environment: obs uint8 (size, size, C), Box or Discrete actions, early stops if `training`.

    ValueError if the id is unknown, an option or wrapper does not fit, or the spaces are not supported.
    """
    env = make_bare(config, render_mode)
    try:
        return _wrap(env, config, training)
    except ValueError:
        env.close()
        raise


def make_bare(config: EnvConfig, render_mode: str | None = None) -> gym.Env:
    """Build the environment inside its step limit and the wrappers it names, as its author sees it.

    ValueError if the id is unknown, or an option or wrapper does not fit.
    """
    spec = find_spec(config.id)
    try:
        env = gym.make(
            spec,
            max_episode_steps=config.limit,
            disable_env_checker=True,
            render_mode=render_mode,
            **config.options,
        )
    except TypeError as error:
        raise ValueError(f"options={config.options}: {config.id} does not take them; {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # whatever the environment's own code raises
        raise ValueError(
            f"id={config.id}, options={config.options}: cannot be made; {type(error).__name__}: {error}"
        ) from error
    try:
        for text in config.wrappers:
            env = wrap_with(env, text)
    except ValueError:
        env.close()
        raise
    return env


def frame_rate(env: gym.Env) -> float:
    """Return the frames that make a second, as the environment declares them; 30 where it does not, as gymnasium."""
    return float(env.metadata.get("render_fps") or 30)


def env_facts(config: EnvConfig) -> dict[str, Any]:
    """Say in JSON types what `make_env(config)` builds: versions, spaces, settings, a fingerprint of tracks.

    `track_hash` is the SHA-256 of the centre lines of ten reference tracks, to the millimetre, for CarRacing;
    None for other environments. Two records with equal facts come from the same task.
    """
    spec = find_spec(config.id)
    entry = spec.entry_point
    env = make_env(config)
    try:
        return {
            "id": spec.id,
            "entry_point": entry if isinstance(entry, str) else getattr(entry, "__qualname__", None),
            "gymnasium": version("gymnasium"),
            "box2d": _box2d_version(),
            "observation_space": str(env.observation_space),
            "frame_shape": list(env.unwrapped.observation_space.shape or ()),
            "action_space": str(env.action_space),
            "size": config.size,
            "crop": list(config.crop),
            "action_repeat": config.action_repeat,
            "max_steps": env.spec.max_episode_steps if env.spec else None,
            "options": dict(config.options),
            "wrappers": list(config.wrappers),
            "simulator_state_names": list(getattr(env.unwrapped, "simulator_state_names", ())),
            "track_hash": _track_hash(env.unwrapped),
        }
    finally:
        env.close()


def _wrap(env: gym.Env, config: EnvConfig, training: bool) -> gym.Env:
    try:
        image_shape(env.observation_space)
        _check_actions(env.action_space)
    except ValueError as error:
        raise ValueError(f"id={config.id}: {error}") from None
    base: Any = env.unwrapped
    if draws_on_demand(env) and 0 < config.crop[1] <= getattr(base, "bar_top", 0):
        base.draw_bar = False  # nobody would see it
    if config.action_repeat > 1:
        env = ActionRepeat(env, config.action_repeat)
    if training and config.no_reward_limit:
        env = EarlyStop(env, config.no_reward_limit)
    return ModelFrame(env, config.size, config.crop)


def _check_actions(space: gym.Space[object]) -> None:
    if isinstance(space, gym.spaces.Discrete) and space.start == 0:
        return
    if isinstance(space, gym.spaces.Box):
        floats = np.issubdtype(space.dtype, np.floating)
        if len(space.shape) == 1 and floats and space.is_bounded():
            return
        bounds = "" if space.is_bounded() else " {low: -1, high: 1}"
        remedy = f"name 'envs:BoxActions{bounds}' in env.wrappers, which takes actions as bounded floats in a row"
    else:
        remedy = "name a wrapper of yours in env.wrappers that offers one of these"
    raise ValueError(
        f"actions are {space}; supported are bounded float Box of shape (A,) and Discrete(n) from 0; {remedy}."
    )


def _box2d_version() -> str | None:
    for name in ("box2d", "box2d-py"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def _track_hash(base: gym.Env) -> str | None:
    digest = hashlib.sha256()
    for seed in TRACK_HASH_SEEDS:
        base.reset(seed=seed)
        track = getattr(base, "track", None)
        if "car_racing" not in type(base).__module__ or track is None:
            return None
        # Millimetres: other machines' sine and cosine may differ in the last bits.
        digest.update(np.round(np.array(track, dtype=np.float64)[:, 2:] * 1000).astype("<i8").tobytes())
    return digest.hexdigest()
