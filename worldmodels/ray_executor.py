"""The executor on Ray: long-lived workers that the driver replaces when they die or hang.

Ray's own restarts are off: calls to a restarting worker fail anyhow, and an item that crashes its worker
would be retried for ever. Items go to workers as these become free, those of a lost worker are issued again,
and results are merged by index. A private Ray can be reached from this machine only and with a token, prints
nothing, and writes to a folder of its own that goes when the executor closes. Open the executor in a thread
that lives as long as it does: Linux ends Ray's processes with the thread that started them.
"""

import logging
import statistics
import time
import weakref
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psutil

from worldmodels.executor import (
    CLOSED,
    ENDED,
    Executor,
    ExecutorConfig,
    ExecutorError,
    Factory,
    Setup,
    WorkerError,
    WorkerProcess,
    available_cores,
    describe_host,
)
from worldmodels.ray_session import SERIAL_INSTEAD, import_ray, short_folder, start_ray, stop_ray

logger = logging.getLogger("worldmodels")
DEATHS_BEFORE_BLAME = 3
"""An item that was running when so many workers were lost is taken for the cause."""


class _Call(NamedTuple):
    """A call under way: an item of a run, or without one the building of the worker."""

    ref: Any
    item: int = -1
    run: "_Run | None" = None


@dataclass(eq=False)
class _Run:
    items: Sequence[Any]
    todo: deque[int]
    deaths: Counter[int] = field(default_factory=Counter)


@dataclass(eq=False)
class _Slot:
    """The place of a worker, which outlives the worker; the first of its calls runs since `started`."""

    actor: Any = None
    process: psutil.Process | None = None
    calls: deque[_Call] = field(default_factory=deque)
    started: float = 0.0

    @property
    def ready(self) -> bool:
        return all(call.run for call in self.calls)

    def add(self, call: _Call) -> None:
        if not self.calls:
            self.started = time.monotonic()
        self.calls.append(call)


class RayExecutor(Executor):
    """Workers in processes of their own, on this machine or a cluster."""

    def __init__(self, config: ExecutorConfig, factory: Factory, setup: Setup) -> None:
        self._config, self._factory = config, factory
        self._slots: list[_Slot] = []
        self._run: _Run | None = None
        self._durations: deque[float] = deque(maxlen=256)
        self._processors: set[str] = set()
        self._failures, self._opened = 0, False
        self.workers = config.workers or available_cores()
        self._ray = import_ray()
        folder = "" if config.ray_address else short_folder()
        self._stop = weakref.finalize(self, stop_ray, self._ray, folder)
        try:
            start_ray(self._ray, config, self.workers, folder)
            if config.ray_address and not config.workers:
                self.workers = int(self._ray.cluster_resources().get("CPU", 0)) or 1
            options = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0}
            self._actor_class = self._ray.remote(**options)(WorkerProcess)
            self._slots = [_Slot() for _ in range(self.workers)]
            self.configure(setup)
            self._opened = True
        except BaseException:
            self.close()
            raise

    def run(self, items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yield (index, result) as items complete, each index exactly once."""
        run = self._run = _Run(items, deque(range(len(items))))
        self._failures = 0
        done: set[int] = set()
        try:
            while len(done) < len(items):
                if not self._slots:
                    raise ExecutorError(CLOSED)
                if self._run is not run:
                    raise ExecutorError(ENDED)
                self._hand_out(run)
                for index, result in self._collect():
                    if index not in done:
                        done.add(index)
                        yield index, result
        finally:
            if self._run is run:
                self._run = None

    def configure(self, setup: Setup) -> None:
        """Rebuild every worker from a new setup, which is stored once and passed by reference."""
        if not self._slots:
            raise ExecutorError(CLOSED)
        self._run, self._failures = None, 0
        try:
            self._setup = self._ray.put(setup)
            for slot in self._slots:
                self._build(slot)
            while not all(slot.ready for slot in self._slots):
                self._collect()
        except BaseException:
            self.close()  # some workers would go on with the old setup
            raise

    def close(self) -> None:
        """Stop the workers, and Ray where it is our own."""
        for slot in self._slots:
            self._vacate(slot)
        self._slots, self._run, self._setup = [], None, None
        self._stop()

    def _build(self, slot: _Slot) -> None:
        slot.actor = slot.actor or self._actor_class.remote()
        slot.add(_Call(slot.actor.configure.remote(self._factory, self._setup)))

    def _vacate(self, slot: _Slot) -> None:
        with suppress(self._ray.exceptions.RayError, psutil.Error):
            if slot.actor is not None:
                self._ray.kill(slot.actor, no_restart=True)
            if slot.process is not None:
                slot.process.kill()  # Ray waits for a stopped process, whose CPU the next worker needs
        slot.actor = slot.process = None
        slot.calls.clear()

    def _hand_out(self, run: _Run) -> None:
        for depth in (1, 2):
            for slot in self._slots:
                if not run.todo or not slot.ready:
                    continue
                index = run.todo[0]
                # A suspect runs alone, so that the next death has one cause. Near the end no item waits
                # behind another: a free worker will take it.
                alone = run.deaths[index] or any(run.deaths[call.item] for call in slot.calls)
                if len(slot.calls) < (1 if alone or len(run.todo) <= len(self._slots) else depth):
                    run.todo.popleft()
                    slot.add(_Call(slot.actor.call.remote(index, run.items[index]), index, run))

    def _collect(self) -> list[tuple[int, Any]]:
        """Wait until a worker answers or exceeds its time; return the results that came."""
        busy = sorted((slot for slot in self._slots if slot.calls), key=lambda slot: slot.started)
        patience = min(slot.started + self._limit(slot) for slot in busy) - time.monotonic()
        refs = [slot.calls[0].ref for slot in busy]
        answered, _ = self._ray.wait(refs, num_returns=1, timeout=max(patience, 0.0))
        results = []
        for slot, ref in zip(busy, refs, strict=True):
            late = time.monotonic() > slot.started + self._limit(slot)
            if ref in answered:
                results += self._take(slot)
            elif late and not self._ray.wait([ref], timeout=0)[0]:
                if slot.calls[0].run is None and not self._opened:
                    raise ExecutorError(self._not_ready())
                self._replace(slot, f"gave no answer for {self._limit(slot):g} s")
        return results

    def _limit(self, slot: _Slot) -> float:
        if slot.calls[0].run is None:
            return self._config.ready_timeout
        return self._config.item_timeout or max(600.0, 20 * statistics.median(self._durations or [0.0]))

    def _take(self, slot: _Slot) -> list[tuple[int, Any]]:
        errors = self._ray.exceptions
        call = slot.calls[0]
        try:
            seconds, result, problem = self._ray.get(call.ref)
        except (errors.RayTaskError, errors.RaySystemError) as error:
            seconds, result = 0.0, None
            problem = f"a worker cannot read its input or send its result:\n{error}"
        except errors.RayError as error:
            text = " ".join(str(error).split())
            detail = text.partition("Worker exit detail: ")[2].partition(" Some common causes")[0]
            self._replace(slot, f"died ({detail or text[:200]})")
            return []
        slot.calls.popleft()
        slot.started = time.monotonic()
        if problem and call.run in (None, self._run):
            raise WorkerError(problem)
        if call.run is None:
            self._check_host(slot, result)
        elif call.run is self._run:
            self._durations.append(seconds)
            return [(call.item, result)]
        return []

    def _check_host(self, slot: _Slot, report: dict[str, Any]) -> None:
        ours, theirs = describe_host(), f"the worker on {report['host']}"
        names = [name for name in ("python", "torch", "numpy") if report[name] != ours[name]]
        if names:
            listed = ", ".join(f"{name} {report[name]} there and {ours[name]} here" for name in names)
            raise ExecutorError(f"{theirs} would give other results: {listed}. Install the same everywhere")
        if self._processors and report["cpu"] not in self._processors:
            both = f"{report['cpu']}, others on {', '.join(sorted(self._processors))}"
            logger.warning("%s runs on %s: results repeat only up to rounding", theirs, both)
        self._processors.add(report["cpu"])
        if not self._config.ray_address:
            with suppress(psutil.Error):
                slot.process = psutil.Process(report["pid"])

    def _replace(self, slot: _Slot, reason: str) -> None:
        lost, run = list(slot.calls), self._run
        self._vacate(slot)
        self._build(slot)
        self._failures += 1
        logger.warning("worker %d %s; replaced it", self._slots.index(slot), reason)
        for call in reversed(lost):
            if run is None or call.run is not run:
                continue
            run.todo.appendleft(call.item)
            run.deaths[call.item] += 1  # even of the second: the answer of the first may just be lost
            if len(lost) == 1 and run.deaths[call.item] >= DEATHS_BEFORE_BLAME:
                raise ExecutorError(
                    f"item {call.item} cost {DEATHS_BEFORE_BLAME} workers; the last one {reason}. Run it here"
                    " to see why (--executor.type serial), leave it out, or give it time (item_timeout)"
                )
        if self._failures > self._config.max_failures:
            raise ExecutorError(
                f"{self._failures} workers lost, more than max_failures; the last one {reason}. Use fewer"
                f" workers if memory is short, allow more failures, or {SERIAL_INSTEAD}"
            )

    def _not_ready(self) -> str:
        ready = sum(slot.ready for slot in self._slots)
        cpus = self._ray.cluster_resources().get("CPU", 0)
        return (
            f"{ready} of {self.workers} workers ready after ready_timeout={self._config.ready_timeout:g} s;"
            f" Ray has {cpus:g} CPUs. Ask for fewer workers, wait longer, or {SERIAL_INSTEAD}"
        )
