"""What a figure of the benchmark is, and how two ways of doing the same are timed against each other.

A machine is never quiet, and its clock rate drifts. So a speed is given as a ratio: short windows of ours and theirs
take turns, every pair gives a ratio of its own, and the figure is the median of these. What disturbs the machine for
seconds then meets both sides of a pair; what disturbs it for less spoils one pair of many.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from generative.core.facts import Facts

FEWEST_PAIRS = 3
"""Pairs that are timed however long they take, if as many were asked for."""

Window = Callable[[float], float]
"""Works for about so many seconds, to the end of what it has begun, and returns units per second."""


class Skip(Exception):
    """A figure cannot be measured here; the message says why and what would help."""


@dataclass(frozen=True)
class Settings:
    """How long to measure."""

    pairs: int = 7
    """Windows of ours, each with one of theirs."""
    seconds: float = 2.0
    """Least length of a window; an episode that has begun is played to its end."""
    limit: float = 90.0
    """Seconds after which a figure begins no further pair, once it has three."""
    work: float = 1.0
    """Share of the frames, tracks and resets that a figure normally takes; less than 1 is for trying it out."""

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise ValueError(f"pairs={self.pairs}: must be at least 1; 7 give a steady median")
        for name in ("seconds", "limit"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name}={getattr(self, name)}: must be positive; a window of 2 seconds is usual")
        if not 0 < self.work <= 1:
            raise ValueError(f"work={self.work}: is a share above 0 and up to 1")

    def scaled(self, count: int, least: int = 1) -> int:
        """Return this share of a count of frames, tracks or resets, but at least `least`."""
        return max(least, round(count * self.work))


@dataclass(frozen=True)
class Pairs:
    """Rates of paired windows, in the order in which they were timed, units per second."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours over theirs, pair by pair."""
        return tuple(ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)


@dataclass(frozen=True)
class BenchmarkFigure:
    """One figure: what it says, what is asked of it and, once measured, what came out."""

    name: str
    title: str
    unit: str
    """Of `value`; x for a ratio of rates."""
    target: str
    """What is asked of the value."""
    rate: str = ""
    """Unit of `ours` and `theirs`."""
    value: float | None = None
    """None where the figure was skipped."""
    met: bool | None = None
    """Whether the target is met; None where the figure was skipped."""
    ours: float | None = None
    theirs: float | None = None
    pairs: tuple[float, ...] = ()
    """The ratio of every pair, for figures that are timed."""
    skipped: str = ""
    """Why there is no value."""
    detail: Facts = field(default_factory=dict)
    """What else is to be known, in JSON types."""

    def found(self, value: float, met: bool, **others: Any) -> "BenchmarkFigure":
        """Return the figure with what was measured."""
        return replace(self, value=value, met=met, **others)

    def without(self, reason: str) -> "BenchmarkFigure":
        """Return the figure without a value."""
        return replace(self, skipped=reason)

    def timed(self, pairs: Pairs, least: float, **detail: object) -> "BenchmarkFigure":
        """Return the figure as the median ratio of `pairs`, which is to be at least `least`."""
        return self.found(
            pairs.ratio,
            pairs.ratio >= least,
            ours=statistics.median(pairs.ours),
            theirs=statistics.median(pairs.theirs),
            pairs=pairs.ratios,
            detail=detail,
        )


def rate(work: Callable[[], float], seconds: float, clock: Callable[[], float] = time.perf_counter) -> float:
    """Call `work`, which returns the units it has done, until the time is up; return units per second."""
    begun, done = clock(), 0.0
    while True:
        done += work()
        elapsed = clock() - begun
        if elapsed >= seconds:
            return done / elapsed


def paired(ours: Window, theirs: Window, settings: Settings, clock: Callable[[], float] = time.perf_counter) -> Pairs:
    """Time windows of ours and theirs in turn: ours, theirs, ours, theirs and so on."""
    begun = clock()
    found: list[tuple[float, float]] = []
    while len(found) < settings.pairs:
        if len(found) >= FEWEST_PAIRS and clock() - begun >= settings.limit:
            break
        found.append((ours(settings.seconds), theirs(settings.seconds)))
    return Pairs(*zip(*found, strict=True))
