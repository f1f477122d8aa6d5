"""The dials of sampling, a dataclass for each kind of model.

A model names its own as `Sampling`; each field is a dial with a default and a text below it. Commands that draw from a
model have them as options.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class PriorSampling:
    """How latents are drawn from a prior, or points from a box."""

    temperature: float = 1.0
    """Times the variance that is drawn with: below 1 more typical, above 1 more various, 0 always the middle."""

    def __post_init__(self) -> None:
        check_temperature(self.temperature)


@dataclass(frozen=True)
class CategorySampling:
    """How one of several categories is chosen."""

    temperature: float = 1.0
    """Divides the log-probabilities: below 1 more typical, above 1 more various, 0 always the likeliest."""

    def __post_init__(self) -> None:
        check_temperature(self.temperature)


def check_temperature(temperature: float) -> None:
    """Raise a ValueError for a temperature that is negative or not finite."""
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature={temperature}: must be 0 or more, and finite")
