"""What an action is: its size, its bounds, and how the raw numbers of a controller become one.

The paper's code squashes every output by tanh and maps it to the range of its actuator: steer = tanh,
gas = (tanh + 1) / 2, brake = clip(tanh, 0, 1), so that zero weights drive straight with half gas and no brake
(Ha and Schmidhuber 2018, `carracing/model.py`). An action of a discrete space is its one-hot vector.
"""

from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from math import isfinite
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, Real
from torch import Tensor

from agents.lookup import choose

Array = TypeVar("Array", np.ndarray, torch.Tensor)

SQUASH = {
    "tanh": "low + (tanh + 1) / 2 * (high - low): zero is the middle of the range",
    "relu-tanh": "low + clip(tanh, 0, 1) * (high - low): zero and everything below is the low end",
}


@dataclass(frozen=True)
class ActionSpec:
    """Size, bounds and squashing of an action; plain data, so that it is saved beside a controller."""

    size: int
    """Length A of the action vector; for a discrete space its number of choices."""
    low: tuple[float, ...]
    """Lower bound of each dimension."""
    high: tuple[float, ...]
    """Upper bound of each dimension."""
    squash: tuple[str, ...]
    """Per dimension "tanh" or "relu-tanh"; empty for a discrete space."""
    discrete: bool
    """Whether an action is a one-hot vector."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size={self.size}: an action needs at least one dimension")
        squashed = 0 if self.discrete else self.size
        for name, wanted in (("low", self.size), ("high", self.size), ("squash", squashed)):
            if len(getattr(self, name)) != wanted:
                raise ValueError(f"{name}={getattr(self, name)}: needs {wanted} entries for size={self.size}")
        for low, high in zip(self.low, self.high, strict=True):
            if not (isfinite(low) and isfinite(high) and low < high):
                raise ValueError(f"low={low}, high={high}: bounds must be finite and low < high")
        for name in self.squash:
            choose(SQUASH, name, "squash")

    @classmethod
    def from_space(cls, space: gym.Space[object], squash: tuple[str, ...] | None = None) -> "ActionSpec":
        """Describe a 1-D float `Box` with finite bounds or a `Discrete` that starts at 0.

        Args:
            space: the env's action space.
            squash: one name per Box dimension; None is "tanh" for each. A discrete action is not squashed.

        Raises:
            ValueError: any other space, or a `squash` that does not fit.
        """
        if isinstance(space, gym.spaces.Discrete):
            if space.start != 0:
                raise ValueError(f"{space}: starts at {space.start}; wrap the env so that actions start at 0")
            n = int(space.n)
            return cls(n, (0.0,) * n, (1.0,) * n, (), True)
        if not isinstance(space, gym.spaces.Box):
            raise ValueError(f"{space}: only Box and Discrete action spaces are supported; wrap the env")
        if len(space.shape) != 1 or not np.issubdtype(space.dtype, np.floating):
            raise ValueError(f"{space}: a Box of actions must be 1-D and of a float type; wrap the env")
        if not space.is_bounded():
            raise ValueError(f"{space}: unbounded; wrap the env so that every action has finite bounds")
        size = space.shape[0]
        low, high = (tuple(float(x) for x in bound) for bound in (space.low, space.high))
        return cls(size, low, high, ("tanh",) * size if squash is None else tuple(squash), False)

    def to_mapping(self) -> dict[str, Any]:
        """Plain values for JSON or YAML; `from_mapping` is the inverse."""
        return {key: list(x) if isinstance(x, tuple) else x for key, x in asdict(self).items()}

    @classmethod
    def from_mapping(cls, mapping: dict[str, Any]) -> "ActionSpec":
        """Rebuild a spec from `to_mapping`, lists and all.

        Raises:
            ValueError: a key is missing or unknown, or a value does not fit.
        """
        needed = {field.name for field in fields(cls)}
        if set(mapping) != needed:
            raise ValueError(f"action spec has keys {sorted(mapping)}, needs {sorted(needed)}")
        plain: dict[str, Any] = {key: tuple(x) if isinstance(x, list) else x for key, x in mapping.items()}
        return cls(**plain)

    def squash_action(self, raw: Float[Tensor, "*B A"]) -> Float[Tensor, "*B A"]:
        """Map unbounded numbers to actions: per dimension by `squash`, or the one-hot of the largest."""
        if raw.shape[-1] != self.size:
            raise ValueError(f"raw action has {raw.shape[-1]} entries, the action space {self.size}")
        if self.discrete:
            return torch.nn.functional.one_hot(raw.argmax(-1), self.size).to(raw.dtype)
        low, high, offset, scale = _constants(self, raw.device)
        return (offset + raw.tanh() * scale).clamp(low, high)

    def idle(self) -> Float32[np.ndarray, " A"]:
        """The action of a controller whose weights are all zero."""
        return self.squash_action(torch.zeros(1, self.size))[0].numpy()

    def effort(self, action: Array) -> Array:
        """Return how far actions that go either way, such as steering, are from zero.

        1 is a bound; the mean over dimensions.

        Args:
            action: Float (*B A), an array or a tensor.

        Returns:
            The same type, (*B); 0 where no dimension goes both ways.
        """
        both = [index for index, (low, high) in enumerate(zip(self.low, self.high, strict=True)) if low < 0 < high]
        if not both:
            return 0.0 * action[..., 0]
        shares = [abs(action[..., index]) / max(-self.low[index], self.high[index]) for index in both]
        return sum(shares[1:], shares[0]) / len(both)

    def clip(self, action: Float[np.ndarray, "*W A"]) -> Float32[np.ndarray, "*W A"]:
        """The nearest valid action: clipped to the bounds, or the one-hot of the largest entry."""
        if self.discrete:
            return np.eye(self.size, dtype=np.float32)[action.argmax(-1)]
        return np.clip(action, self.low, self.high).astype(np.float32)

    def to_env(self, action: Float32[np.ndarray, "W A"]) -> Float32[np.ndarray, "W A"] | Int64[np.ndarray, " W"]:
        """What a batch of W envs takes: float32 (W A) within the bounds, or int64 (W,) choices.

        Raises:
            ValueError: wrong shape, or a number that is not finite.
        """
        if action.ndim != 2 or action.shape[1] != self.size:
            raise ValueError(f"action has shape {action.shape}, needs (W, {self.size})")
        if not np.isfinite(action).all():
            row = int(np.flatnonzero(~np.isfinite(action).all(axis=1))[0])
            raise ValueError(f"action[{row}]={action[row]}: not finite; check the parameters and features")
        return action.argmax(1).astype(np.int64) if self.discrete else self.clip(action)

    def from_env(self, batch: Real[np.ndarray, "W ..."]) -> Float32[np.ndarray, "W A"]:
        """The inverse of `to_env`: float32 (W A) of what a batch of W envs takes.

        Raises:
            ValueError: wrong shape, or a choice that the discrete space does not have.
        """
        if batch.shape[1:] != (() if self.discrete else (self.size,)):
            raise ValueError(f"batch has shape {batch.shape}, needs {'(W,)' if self.discrete else f'(W, {self.size})'}")
        if not self.discrete:
            return batch.astype(np.float32)
        if batch.size and not (batch.min() >= 0 and batch.max() < self.size):
            raise ValueError(f"batch={batch}: choices must be 0 to {self.size - 1}")
        return np.eye(self.size, dtype=np.float32)[batch.astype(np.int64)]


@lru_cache(maxsize=64)
def _constants(spec: ActionSpec, device: torch.device) -> tuple[Tensor, ...]:
    """(low, high, offset, scale), each (A,), such that an action is clamp(offset + scale * tanh, low, high).

    "tanh" is written around the middle of the range: on [-1, 1] it is tanh itself to the last bit.
    The clamp is the clip of "relu-tanh", and keeps the rounding of "tanh" within the bounds.
    """
    columns = []
    for low, high, squash in zip(spec.low, spec.high, spec.squash, strict=True):
        if squash == "tanh":
            columns.append((low, high, (high + low) / 2, (high - low) / 2))
        else:
            columns.append((low, high, low, high - low))
    # Kept between calls, so it must not be an inference tensor, which autograd would refuse later.
    with torch.inference_mode(False):
        return tuple(torch.tensor(column, device=device) for column in zip(*columns, strict=True))
