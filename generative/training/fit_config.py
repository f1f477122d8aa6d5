"""How long and how fast to train."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch

from generative.core.options import check_numbers
from generative.hardware.precision import native_bfloat16


@dataclass(frozen=True)
class FitConfig:
    """How long and how fast to train, with Adam."""

    steps: int = 10_000
    """Optimiser steps in total, those before a resume included."""
    learning_rate: float = 1e-3
    """Step size of Adam after the warm-up."""
    warmup: int = 0
    """Steps over which the learning rate rises linearly to its full value."""
    schedule: Literal["constant", "cosine", "half-linear", "inverse-root"] = "constant"
    """Learning rate after the warm-up: constant, or half a cosine down to 0 at the last step, or (half-linear) constant
    for half of the steps and then straight down to 0, or (inverse-root) down as one over the root of the step."""
    gradient_clip: float = 0.0
    """Largest norm of the whole gradient; 0 turns it off."""
    clip_value: float = 0.0
    """Largest magnitude of a gradient's entries, as in the World Models code (1.0); 0 turns it off."""
    precision: Literal["float32", "bfloat16", "auto"] = "float32"
    """Number type of products and convolutions; weights, sums and losses stay float32. auto: bfloat16 where the device
    has it."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps={self.steps}: must be at least 1")
        if not 0 < self.learning_rate <= 100:
            raise ValueError(f"learning_rate={self.learning_rate}: must be above 0, at most 100; 0.001 is usual")
        for name in ("warmup", "gradient_clip", "clip_value"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)}: must not be negative; 0 turns it off")
        check_numbers(self)

    def log_every(self, rows: int) -> int:
        """Return the steps over which metrics are averaged: 100, or fewer for at least `rows` rows."""
        return max(1, min(100, self.steps // rows))

    @property
    def checkpoint_every(self) -> int:
        """Steps between checkpoints, which are lost where a training is killed; one is written at the end too."""
        return max(1, min(1_000, self.steps // 10))

    def resolved(self, device: torch.device) -> "FitConfig":
        """Return this configuration with `precision` settled for a device."""
        if self.precision != "auto":
            return self
        return replace(self, precision="bfloat16" if native_bfloat16(device) else "float32")

    def rate(self, step: int, schedule: str = "") -> float:
        """Return the learning rate of `step`, counted from 0, by another schedule where one is named."""
        rate, schedule = self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup)), schedule or self.schedule
        if schedule == "cosine" and step >= self.warmup:
            rate *= 0.5 + 0.5 * math.cos(math.pi * (step - self.warmup) / max(1, self.steps - self.warmup))
        elif schedule == "half-linear":
            rate *= min(1.0, 2 * (self.steps - step) / self.steps)
        elif schedule == "inverse-root":
            rate *= min(1.0, math.sqrt(max(1, self.warmup) / (step + 1)))
        return rate
