"""Wrappers that bring an environment's spaces to what agents here take; `EnvConfig.wrappers` names them.

`envs:PickObservation {key: image}` shows, of a Dict or Tuple of observations, the picture alone.
`envs:BoxActions {low: -1, high: 1}` takes any Box of actions as bounded floats in a row.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import ArrayLike

Bound = int | float | Sequence[int | float]
"""A number, or one for each action."""


class PickObservation(gym.ObservationWrapper, RecordConstructorArgs):
    """Shows one entry of a Dict of observations, by key, or of a Tuple, by place."""

    def __init__(self, env: gym.Env, key: str | int) -> None:
        RecordConstructorArgs.__init__(self, key=key)
        gym.Wrapper.__init__(self, env)
        self.key: Any = key
        spaces: Any = getattr(env.observation_space, "spaces", None)
        known = list(spaces) if isinstance(spaces, dict) else list(range(len(spaces or ())))
        if key not in known:
            raise ValueError(f"key={key!r}: observations are {env.observation_space}; keys are {known}")
        self.observation_space = spaces[key]

    def observation(self, observation: Any) -> object:
        """Return the entry."""
        return observation[self.key]


class BoxActions(gym.ActionWrapper, RecordConstructorArgs):
    """Takes any Box of actions as a row of floats within finite bounds; whole numbers are rounded to.

    `low` and `high` are numbers, or one for each action; without them the bounds are the Box's own.
    """

    def __init__(self, env: gym.Env, low: Bound | None = None, high: Bound | None = None) -> None:
        RecordConstructorArgs.__init__(self, low=low, high=high)
        gym.Wrapper.__init__(self, env)
        inner = env.action_space
        if not isinstance(inner, gym.spaces.Box):
            raise ValueError(f"actions are {inner}; BoxActions takes a Box")
        self._inner = inner
        size = int(np.prod(inner.shape))
        bounds = [
            np.broadcast_to(np.ravel(own if given is None else given).astype(np.float32), size)
            for given, own in ((low, inner.low), (high, inner.high))
        ]
        if not (np.isfinite(bounds).all() and (bounds[0] < bounds[1]).all()):
            raise ValueError(f"low={low}, high={high}: actions are {inner}; give finite bounds, low below high")
        self.action_space = gym.spaces.Box(bounds[0], bounds[1], dtype=np.float32)

    def action(self, action: ArrayLike) -> np.ndarray:
        """Return the action as the environment takes it."""
        inner = self._inner
        values = np.asarray(action, np.float64).reshape(inner.shape)
        if np.issubdtype(inner.dtype, np.integer):
            values = np.rint(values)
        return np.clip(values, inner.low, inner.high).astype(inner.dtype)
