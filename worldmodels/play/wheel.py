"""A wheel of two numbers, as keys and fingers turn it, as the action of any environment."""

from dataclasses import dataclass
from math import isfinite

import numpy as np
from jaxtyping import Float32

from agents import ActionSpec


@dataclass(frozen=True)
class Wheel:
    """Where the driver holds the wheel and the pedals."""

    x: float = 0.0
    """From -1, fully left, to 1, fully right."""
    y: float = 0.0
    """From -1, brake, to 1, gas."""
    choice: int = 0
    """Which action of a discrete space."""

    def __post_init__(self) -> None:
        for name in ("x", "y"):
            value = getattr(self, name)
            if not (isfinite(value) and -1 <= value <= 1):
                raise ValueError(f"{name}={value}: must be from -1 to 1")
        if self.choice < 0:
            raise ValueError(f"choice={self.choice}: must be at least 0")

    def action(self, spec: ActionSpec) -> Float32[np.ndarray, " A"]:
        """Return the action vector (A).

        Dimensions that go both ways are steered: the first by `x`, the second by `y`. Of those that go one way the
        first is the gas and the second the brake, as in CarRacing; all others rest.

        Raises:
            ValueError: a discrete space has no such choice.
        """
        if spec.discrete:
            if self.choice >= spec.size:
                raise ValueError(f"choice={self.choice}: there are {spec.size} actions, from 0")
            return np.eye(spec.size, dtype=np.float32)[self.choice]
        action = np.zeros(spec.size, dtype=np.float32)
        steered, pedals = iter((self.x, self.y)), iter((max(self.y, 0.0), max(-self.y, 0.0)))
        for index, (low, high) in enumerate(zip(spec.low, spec.high, strict=True)):
            if low < 0 < high:
                share = next(steered, 0.0)
                action[index] = share * (high if share > 0 else -low)
            else:
                action[index] = low + next(pedals, 0.0) * (high - low)
        return action
