"""The driver's books: which worker is at which call, since when, and which is free.

An answer costs the same whether there are two workers or a thousand: nothing here goes through all of them.
"""

import statistics
import time
from collections import Counter, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, NamedTuple

import psutil

from worldmodels.parallel.config import ExecutorConfig


class Call(NamedTuple):
    """A call under way: an item of a run, or without one the placing (`where`) or the building of the worker."""

    ref: Hashable
    item: int = -1
    run: "ItemQueue | None" = None
    where: bool = False


@dataclass(eq=False)
class ItemQueue:
    """The items of a run: which wait, and how often a worker was lost over each."""

    items: Sequence[object]
    todo: deque[int]
    deaths: Counter[int] = field(default_factory=Counter)


@dataclass(eq=False)
class Slot:
    """The place of a worker, which outlives the worker; the first of its calls runs since `started`."""

    number: int = 0
    actor: Any = None  # Ray's handle, whose methods are the worker's
    process: psutil.Process | None = None
    node: str = ""
    host: str = ""
    calls: deque[Call] = field(default_factory=deque)
    started: float = 0.0

    @property
    def ready(self) -> bool:
        """Whether the worker is built."""
        return self.actor is not None and all(call.run for call in self.calls)


class Slots:
    """All places, and what each is at."""

    def __init__(self, config: ExecutorConfig, count: int):
        self.every = [Slot(number) for number in range(count)]
        self._config = config
        self._durations: deque[float] = deque(maxlen=256)
        self._item_limit = config.item_timeout or 600.0
        self.at: dict[Hashable, Slot] = {}
        """The slot of each first call, by the call's reference."""
        # Sets that keep the order in which they were filled.
        self._idle: dict[Slot, None] = {}
        self._single: dict[Slot, None] = {}
        self._starting: dict[Hashable, None] = {}
        self._working: dict[Hashable, None] = {}

    def add(self, slot: Slot, call: Call) -> None:
        """Note a call to a slot's worker, which does one after the other."""
        slot.calls.append(call)
        if len(slot.calls) == 1:
            self._begin(slot)
        self._file(slot)

    def answered(self, slot: Slot) -> None:
        """Note that the first call of a slot is done."""
        self._end(slot)
        slot.calls.popleft()
        if slot.calls:
            self._begin(slot)
        self._file(slot)

    def clear(self, slot: Slot) -> None:
        """Forget a slot's calls and its worker."""
        self._end(slot)
        slot.calls.clear()
        slot.actor, slot.process, slot.node = None, None, ""
        self._file(slot)

    def wait_longer(self, slot: Slot) -> None:
        """Let the time of a slot's first call begin anew."""
        self._end(slot)
        self._begin(slot)

    def note(self, seconds: float) -> None:
        """Note how long an item took, of which depends when a worker counts as hung."""
        self._durations.append(seconds)
        if not self._config.item_timeout:
            self._item_limit = max(600.0, 20 * statistics.median(self._durations))

    def free(self, run: ItemQueue) -> Slot | None:
        """Return a slot for the next item, if one has room.

        A worker gets a second item to go on with, but not near the end: a free worker will take it. A suspect runs
        alone, so that the next death has one cause.
        """
        if self._idle:
            return next(iter(self._idle))
        if run.deaths[run.todo[0]] or len(run.todo) <= len(self.every):
            return None
        return next((slot for slot in self._single if not run.deaths[slot.calls[0].item]), None)

    def first_calls(self) -> list[Hashable]:
        """Return the references of the calls that workers are at, the oldest of each kind first."""
        return [*self._starting, *self._working]

    def seconds_left(self) -> float:
        """Return the seconds until the first worker is late."""
        firsts = [self.at[next(iter(refs))] for refs in (self._starting, self._working) if refs]
        return max(0.0, min(slot.started + self.limit(slot) for slot in firsts) - time.monotonic())

    def late(self) -> list[Hashable]:
        """Return the references of the first calls whose time is over."""
        now = time.monotonic()

        def over(ref: Hashable) -> bool:
            return now > self.at[ref].started + self.limit(self.at[ref])

        return [*takewhile(over, self._starting), *takewhile(over, self._working)]

    def limit(self, slot: Slot) -> float:
        """Return the seconds that a slot's first call may take."""
        return self._item_limit if slot.calls[0].run else self._config.ready_timeout

    def _begin(self, slot: Slot) -> None:
        slot.started, ref = time.monotonic(), slot.calls[0].ref
        self.at[ref] = slot
        (self._working if slot.calls[0].run else self._starting)[ref] = None

    def _end(self, slot: Slot) -> None:
        if slot.calls:
            ref = slot.calls[0].ref
            del self.at[ref]
            del (self._working if slot.calls[0].run else self._starting)[ref]

    def _file(self, slot: Slot) -> None:
        self._idle.pop(slot, None)
        self._single.pop(slot, None)
        if slot.ready and len(slot.calls) < 2:
            (self._single if slot.calls else self._idle)[slot] = None
