"""How much longer a run takes: a plan of its parts in seconds, corrected by what the parts before really took.

A plan is made before the run, from rates measured on the machine. Each kind of work (memory's steps, evolution's
generations) keeps the ratio of real to planned seconds. What has not been met yet is expected to take the usual ratio
of the kinds that have: their geometric mean, in which the plan itself counts as one more. So a machine that became
three times slower, and one kind that was planned three times too fast, are both told within a factor of 1.5.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from jaxtyping import Float

from worldmodels.run.folder import Progress

TRUST = 3.0
"""Planned seconds of a kind after which its own ratio counts as much as that of all kinds."""
WEIGHT = 10.0
"""Planned seconds of a kind after which it counts half in the ratio of all kinds."""
FADING = 0.5
"""What earlier parts of a kind still count when the next one begins: rounds of a loop change."""
WORKERS = "workers"
"""Unit of starting processes, which takes the same whatever the stage."""


@dataclass(frozen=True)
class StagePart:
    """What a stage counts in one unit, such as the steps of a training, and what it is planned to take."""

    stage: str
    unit: str
    costs: Float[np.ndarray, " units"]
    """Planned seconds of each unit."""
    tail: float = 0.0
    """Planned seconds after the last unit, until the next part begins."""
    round: int | None = None
    """Of a loop, from 0."""
    frames: int = field(default=0, kw_only=True)
    """Frames of the real environment that are played."""
    megabytes: float = field(default=0.0, kw_only=True)
    """What is left on disk."""

    @property
    def kind(self) -> str:
        """What has a ratio of its own."""
        return self.unit if self.unit == WORKERS else f"{self.stage} {self.unit}"

    @property
    def seconds(self) -> float:
        """Planned seconds of the whole part."""
        return float(self._spent[-1]) + self.tail

    def spent(self, done: float | int) -> float:
        """Return the planned seconds of the first `done` units, which need not be whole."""
        return float(np.interp(done, np.arange(len(self._spent)), self._spent))

    @cached_property
    def _spent(self) -> Float[np.ndarray, " bounds"]:
        return np.concatenate([[0.0], np.cumsum(self.costs)])


class Forecast(Protocol):
    """Follows a command and says how far it is."""

    def observe(self, progress: Progress) -> None:
        """Take in what a stage has yielded just now."""
        ...

    def remaining(self) -> float | None:
        """Return the seconds that are left, None where that is not known."""
        ...

    def share(self) -> float:
        """Return how much of the work is done, from 0 to 1."""
        ...


class Plan:
    """The parts of a command in order, where it stands in them, and how long they really take."""

    def __init__(self, parts: Sequence[StagePart], clock: Callable[[], float] = time.monotonic) -> None:
        self.parts = list(parts)
        self._clock = clock
        self._at, self._done = -1, 0.0
        self._since = clock()
        self._working = False
        self._share = 0.0
        self._planned: dict[str, float] = {}
        self._took: dict[str, float] = {}
        self._usual = 1.0

    def observe(self, progress: Progress) -> None:
        """Take in what a stage has yielded; what the plan does not know is passed over, and its time with it."""
        now = self._clock()
        found = self._find(progress)
        leaf = progress.inner or progress
        if found is None:
            if progress.inner is not None or progress.stage not in {"loop", self._stage()}:
                self._working, self._since = False, now
            return
        part = self.parts[found]
        done = len(part.costs) * leaf.done / max(1, leaf.total)
        if found != self._at:
            self._leave(now)
            for seconds in (self._planned, self._took):
                for kind in (part.kind, _tail(part)):
                    seconds[kind] = FADING * seconds.get(kind, 0.0)
            self._working = leaf.done < leaf.total  # otherwise it was finished before this session
        elif done > self._done:
            self._learn(part.kind, part.spent(done) - part.spent(self._done), now - self._since)
        elif done == self._done:
            return
        self._at, self._done, self._since = found, done, now

    def remaining(self) -> float:
        """Return the seconds that are left; between two units time goes down by the clock, down to the later one."""
        later = sum(self._expected(part) for part in self.parts[self._at + 1 :])
        if self._at < 0:
            return max(0.0, later - (self._clock() - self._since))
        part = self.parts[self._at]
        passed, tail = self._clock() - self._since, self.ratio(_tail(part)) * part.tail
        ratio, units = self.ratio(part.kind), len(part.costs)
        if self._done >= units:
            return later + max(0.0, (tail - passed) if self._working else 0.0)
        spent = ratio * (part.spent(self._done + 1) - part.spent(self._done))
        return later + tail + ratio * (part.spent(units) - part.spent(self._done)) - min(passed, spent)

    def share(self) -> float:
        """Return the share of the whole work that is done; it never falls."""
        whole = sum(self._expected(part) for part in self.parts)
        self._share = max(self._share, 1 - self.remaining() / whole if whole > 0 else 0.0)
        return min(1.0, self._share)

    def ratio(self, kind: str) -> float:
        """Return real over planned seconds of a kind of work."""
        planned = self._planned.get(kind, 0.0)
        return (self._took.get(kind, 0.0) + TRUST * self._usual) / (planned + TRUST)

    def _ratio_of_all(self) -> float:
        """Return the ratio that is expected of a kind that has not been met."""
        total, weights = 0.0, 1.0
        for kind, planned in self._planned.items():
            if planned > 0 and self._took[kind] > 0:
                weight = planned / (planned + WEIGHT)
                total += weight * math.log(self._took[kind] / planned)
                weights += weight
        return math.exp(total / weights)

    def _expected(self, part: StagePart) -> float:
        return self.ratio(part.kind) * (part.seconds - part.tail) + self.ratio(_tail(part)) * part.tail

    def _stage(self) -> str:
        return self.parts[self._at].stage if self._at >= 0 else ""

    def _find(self, progress: Progress) -> int | None:
        """Return which part a progress is of; parts are not gone back to."""
        leaf = progress.inner or progress
        inside = leaf.stage != progress.stage
        key = (progress.done if inside else None, leaf.stage, leaf.unit)
        for index in range(max(self._at, 0), len(self.parts)):
            part = self.parts[index]
            if (part.round, part.stage, part.unit) == key:
                return index
        return None

    def _leave(self, now: float) -> None:
        """Learn from what is behind the last unit that was seen."""
        if self._at < 0 or not self._working:
            return
        part = self.parts[self._at]
        if self._done >= len(part.costs):
            self._learn(_tail(part), part.tail, now - self._since)

    def _learn(self, kind: str, planned: float, took: float) -> None:
        if planned > 0:
            self._planned[kind] = self._planned.get(kind, 0.0) + planned
            self._took[kind] = self._took.get(kind, 0.0) + took
            self._usual = self._ratio_of_all()


def _tail(part: StagePart) -> str:
    return f"after {part.kind}"


class Pace:
    """Without a plan: what is left of this stage, at the rate of this session."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first = self._last = (0.0, 0)
        self._total, self._of = 0, ("", "")

    def observe(self, progress: Progress) -> None:
        """Take in what a stage has yielded; what an earlier session did says nothing about the rate of this one."""
        now, of = self._clock(), (progress.stage, progress.unit)
        if of != self._of or progress.done < self._last[1]:
            self._first, self._of = (now, progress.done), of
            self._last = self._first
        elif progress.done > self._last[1]:
            self._last = (now, progress.done)
        self._total = progress.total

    def remaining(self) -> float | None:
        """Return the seconds that are left, None until something was done."""
        (begun, first), (now, done) = self._first, self._last
        if done >= self._total:
            return 0.0
        if done == first:
            return None
        each = (now - begun) / (done - first)
        return max((self._total - done - 1) * each, (self._total - done) * each - (self._clock() - now))

    def share(self) -> float:
        """Return how much of the stage is done."""
        return min(1.0, self._last[1] / self._total) if self._total else 0.0
