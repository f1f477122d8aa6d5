"""A figure with its scale: the same metric for real data, as an interval, and for the strongest cheap baselines.

A number such as "FD 13" says nothing. A `Figure` carries what several draws of real data get with as many samples, what
baselines get, the extractor's hash and how many samples it was made of.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from scipy.stats import t as student

from generative.core.facts import Facts

Better = Literal["lower", "higher", "near"]
"""near: as real data, neither more nor less."""
SURE = 0.995
"""A draw of real data lies inside the interval with this probability: of ten figures all lie inside in 95 of 100."""
NOTHING = math.nan
"""Where real data have no such figure."""


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure and its scale."""

    name: str
    """Metric, and the extractor's name in brackets if there is one: `FD[judge-faces]`."""
    value: float
    """Of the model."""
    reference: float
    """The same of real data against real data, the mean over draws; NaN where there is none."""
    low: float
    """Where the interval of the reference begins."""
    high: float
    """Where it ends."""
    baselines: Mapping[str, float]
    """The same of what costs nothing, by name."""
    better: Better
    """Which way is good."""
    extractor: str | None
    """Name and hash of the extractor; only figures with the same one compare."""
    samples: int
    """Rows that each of these figures was made of; only figures with the same number compare."""

    @property
    def strongest(self) -> str:
        """Name of the best baseline; empty where there is none."""
        known = {name: self._loss(value) for name, value in self.baselines.items() if not math.isnan(value)}
        return min(known, key=lambda name: known[name]) if known else ""

    @property
    def beats(self) -> bool | None:
        """Whether the model is better than every baseline; None where there is none."""
        if not self.strongest:
            return None
        return self._loss(self.value) < self._loss(self.baselines[self.strongest])

    @property
    def standing(self) -> str:
        """Where the value lies: "as real", or "worse" or "better" than every draw of real data, or "" without any.

        What is better than real data is no praise: samples nearer to the training images than other real ones copy.
        """
        if math.isnan(self.low):
            return ""
        if self.low <= self.value <= self.high:
            return "as real"
        return "better" if (self.value < self.low) == (self.better == "lower") and self.better != "near" else "worse"

    def row(self) -> Facts:
        """Return it as JSON types, with the strongest baseline by itself; what is not finite is None."""
        strongest = self.strongest
        found = {
            **dataclasses.asdict(self),
            "baseline": strongest,
            "baseline_value": self.baselines.get(strongest, NOTHING),
            "beats_baseline": self.beats,
            "standing": self.standing,
        }
        found["baselines"] = {name: _finite(value) for name, value in self.baselines.items()}
        return {name: _finite(value) for name, value in found.items()}

    def __str__(self) -> str:
        real = "" if math.isnan(self.reference) else f"real {self.reference:.4g} ({self.low:.4g} to {self.high:.4g}); "
        rest = ", ".join(f"{name} {value:.4g}" for name, value in self.baselines.items())
        return f"{self.name} {self.value:.4g} ({real}{rest}; {self.better} is better; {self.samples} samples)"

    def _loss(self, value: float) -> float:
        """How bad a value is."""
        if self.better == "near":
            return abs(value - self.reference)
        return value if self.better == "lower" else -value


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def interval(draws: Sequence[float], resolution: float = 0.0) -> tuple[float, float]:
    """Return where one more draw of real data lies in 995 cases of 1000, by Student's t.

    Args:
        draws: the figure of each draw; of a single one, or of none, there is no interval (NaN).
        resolution: what one row more or less changes; the interval reaches as far where the draws agree.
    """
    if len(draws) < 2:
        return NOTHING, NOTHING
    mean = sum(draws) / len(draws)
    deviation = math.sqrt(sum((each - mean) ** 2 for each in draws) / (len(draws) - 1))
    reach = float(student.ppf(0.5 + SURE / 2, len(draws) - 1)) * math.sqrt(1 + 1 / len(draws)) * deviation
    reach = max(reach, 2 * resolution)
    return mean - reach, mean + reach


def against(
    name: str,
    value: float,
    draws: Sequence[float],
    baselines: Mapping[str, float],
    better: Better,
    samples: int,
    *,
    extractor: str | None = None,
    resolution: float = 0.0,
) -> Figure:
    """Return a figure beside those of several draws of real data; arguments as of `Figure` and `interval`."""
    low, high = interval(draws, resolution)
    reference = sum(draws) / len(draws) if draws else NOTHING
    return Figure(name, value, reference, low, high, baselines, better, extractor, samples)
