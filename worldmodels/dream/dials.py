"""What can be turned while a dream goes on: its noise, its end, and single dimensions of its latent."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from worldmodels.dream.config import DreamConfig

NoiseKind = Literal["mixture", "residual"]


@dataclass(frozen=True)
class Dials:
    """How a dream goes on from here; the same fields as in `DreamConfig` mean the same."""

    temperature: float = 1.0
    """Scale of the noise."""
    noise: NoiseKind = "mixture"
    """What is added to the expected latent."""
    endless: bool = False
    """Whether the dream goes on where the memory would end it."""
    held: Mapping[int, float] = field(default_factory=dict)
    """Dimensions of the latent that stay at a value, whatever the memory dreams."""
    pushed: Mapping[int, float] = field(default_factory=dict)
    """Dimensions to which a value is added after each step."""

    def __post_init__(self) -> None:
        if not (isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(f"temperature={self.temperature}: must be at least 0; 1 is the memory's own")
        for item in fields(self)[-2:]:
            for index, value in getattr(self, item.name).items():
                if not isfinite(value):
                    raise ValueError(f"{item.name}[{index}]={value}: must be a finite number")
        if both := set(self.held) & set(self.pushed):
            raise ValueError(f"held and pushed both name dimension {min(both)}: a held one cannot be pushed")

    @classmethod
    def of(cls, config: DreamConfig) -> "Dials":
        """Return the dials at which a dream is as configured."""
        return cls(config.temperature, config.noise)

    def check(self, latent: int) -> None:
        """Refuse dimensions that a latent does not have.

        Raises:
            ValueError: names the dimension.
        """
        for index in (*self.held, *self.pushed):
            if not 0 <= index < latent:
                raise ValueError(f"latent dimension {index}: there are {latent}, from 0 to {latent - 1}")

    def hold(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B Z"]:
        """Return latents with the held dimensions at their values."""
        return _changed(z, self.held, 0.0)

    def after(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B Z"]:
        """Return what becomes of the latents that a step has come to."""
        return self.hold(_changed(z, self.pushed, 1.0))


def _changed(z: Tensor, values: Mapping[int, float], kept: float) -> Tensor:
    """Return `kept` times the named dimensions of `z` plus the values; `z` itself stays as it is."""
    if not values:
        return z
    z, index = z.clone(), list(values)
    z[:, index] = kept * z[:, index] + torch.tensor(list(values.values()), dtype=z.dtype)
    return z
