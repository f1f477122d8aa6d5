"""The executor on Ray: long-lived workers that the driver replaces when they die or hang.

Ray's own restarts are off: calls to a restarting worker fail anyhow, and an item that crashes its worker
would be retried for ever. Items go to workers as these become free, those of a lost worker are issued again,
and results are merged by index. A worker is placed, then built, then works. On a cluster placing takes until
there is a CPU: when a machine is lost a run goes on with what is left, and with more once a machine joins.

A private Ray can be reached from this machine only and with a token, prints nothing, and writes to a folder of
its own that goes when the executor closes. Open the executor in a thread that lives as long as it does: Linux
ends Ray's processes with the thread that started them.
"""

import logging
import time
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import psutil

from generative.core.facts import Facts
from worldmodels.machine import available_cores
from worldmodels.parallel.config import ExecutorConfig
from worldmodels.parallel.executor import CLOSED, ENDED, Executor, ExecutorError, Factory, Setup, WorkerError
from worldmodels.parallel.host import COMPARED, describe_host
from worldmodels.parallel.ray_address import is_healthy
from worldmodels.parallel.ray_session import SERIAL_INSTEAD, import_ray, short_folder, start_ray, stop_ray
from worldmodels.parallel.ray_slots import Call, ItemQueue, Slot, Slots
from worldmodels.parallel.ray_worker import RayWorker

logger = logging.getLogger("worldmodels")
DEATHS_BEFORE_BLAME = 3
"""An item that was running when so many workers were lost is taken for the cause."""


def answers(facts: Facts) -> bool:
    """Return whether a machine of the cluster is there: Ray itself knows up to a minute later that one is lost."""
    return facts["Alive"] and is_healthy(f"{facts['NodeManagerAddress']}:{facts['NodeManagerPort']}")


class RayExecutor(Executor):
    """Workers in processes of their own, on this machine or a cluster."""

    def __init__(self, config: ExecutorConfig, factory: Factory, setup: Setup) -> None:
        self._config, self._factory = config, factory
        self._slots = Slots(config, 0)
        self._run: ItemQueue | None = None
        self._processors: set[str] = set()
        self._failures, self._opened = 0, False
        self.workers = config.workers or available_cores()
        self._ray = import_ray(private=not config.address)
        folder = "" if config.address else short_folder()
        self._stop = weakref.finalize(self, stop_ray, self._ray, folder)
        try:
            start_ray(self._ray, config, self.workers, folder)
            if config.address:
                self.workers = self._fitting()
            options = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0}
            self._actor_class = self._ray.remote(**options)(RayWorker)
            self._slots = Slots(config, self.workers)
            self.configure(setup)
            self._opened = True
        except BaseException:
            self.close()
            raise

    def run(self, items: Sequence[object]) -> Iterator[tuple[int, Any]]:
        """Yield (index, result) as items complete, each index exactly once."""
        run = self._run = ItemQueue(items, deque(range(len(items))))
        self._failures = 0
        done: set[int] = set()
        try:
            while len(done) < len(items):
                if not self._slots.every:
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

    @property
    def is_open(self) -> bool:
        """Whether it has workers: it was not closed, by the caller or by a failure."""
        return bool(self._slots.every)

    def end_run(self) -> None:
        """End a run that was left half-way."""
        self._run = None

    def configure(self, setup: Setup, factory: Factory | None = None) -> None:
        """Rebuild every worker from a new setup, by another factory where one is given.

        The setup is stored once and passed by reference.
        """
        if not self.is_open:
            raise ExecutorError(CLOSED)
        self._factory = factory or self._factory
        self._run, self._failures = None, 0
        try:
            self._setup = self._ray.put(setup)
            for slot in self._slots.every:
                self._build(slot)
            self._await_workers()
        except BaseException:
            self.close()  # some workers would go on with the old setup
            raise

    def close(self) -> None:
        """Stop the workers, and Ray where it is our own."""
        for slot in self._slots.every:
            self._vacate(slot)
        self._slots, self._run, self._setup = Slots(self._config, 0), None, None
        self._stop()

    def _fitting(self) -> int:
        """Return how many workers the cluster has room for, of those asked for."""
        machines = [facts for facts in self._ray.nodes() if answers(facts)]
        room = int(sum(facts["Resources"].get("CPU", 0) for facts in machines)) or 1
        if self._config.workers > room:
            logger.warning("the cluster has CPUs for %d of %d workers; going on with %d", room, self.workers, room)
        return min(self._config.workers or room, room)

    def _await_workers(self) -> None:
        """Wait for all workers; on a cluster no longer than `ready_timeout` if some are ready."""
        deadline = time.monotonic() + self._config.ready_timeout
        while (ready := sum(slot.ready for slot in self._slots.every)) < self.workers:
            if self._config.address and ready and time.monotonic() > deadline:
                logger.warning("%d of %d workers are ready; going on with these", ready, self.workers)
                return
            self._collect()

    def _build(self, slot: Slot) -> None:
        if slot.actor is None:
            slot.actor = self._actor_class.remote()
            self._slots.add(slot, Call(slot.actor.describe.remote(), where=True))
        self._slots.add(slot, Call(slot.actor.configure.remote(self._factory, self._setup)))

    def _vacate(self, slot: Slot) -> None:
        with suppress(self._ray.exceptions.RayError, psutil.Error):
            if slot.actor is not None:
                self._ray.kill(slot.actor, no_restart=True)
            if slot.process is not None:
                slot.process.kill()  # Ray waits for a stopped process, whose CPU the next worker needs
        self._slots.clear(slot)

    def _hand_out(self, run: ItemQueue) -> None:
        while run.todo and (slot := self._slots.free(run)):
            index = run.todo.popleft()
            self._slots.add(slot, Call(slot.actor.call.remote(index, run.items[index]), index, run))

    def _collect(self) -> list[tuple[int, Any]]:
        """Wait until a worker answers or exceeds its time; return the results that came."""
        answered, _ = self._ray.wait(self._slots.first_calls(), num_returns=1, timeout=self._slots.seconds_left())
        results = []
        for ref in answered:
            results += self._take(self._slots.at[ref])
        for ref in self._slots.late():
            if ref in self._slots.at and not self._ray.wait([ref], timeout=0)[0]:
                self._give_up(self._slots.at[ref])
        return results

    def _give_up(self, slot: Slot) -> None:
        """Replace a worker whose time is over, unless it just waits until the cluster has a CPU for it."""
        others = any(other.node for other in self._slots.every)
        shared, starting = bool(self._config.address), slot.calls[0].run is None
        if (starting and not others) or not (self._opened or shared):
            raise ExecutorError(self._not_ready())
        if shared and slot.calls[0].where:
            self._slots.wait_longer(slot)
        else:
            self._replace(slot, f"gave no answer for {self._slots.limit(slot):g} s")

    def _take(self, slot: Slot) -> list[tuple[int, Any]]:
        errors = self._ray.exceptions
        call = slot.calls[0]
        try:
            seconds, result, problem = self._ray.get(call.ref)
        except (errors.RayTaskError, errors.RaySystemError) as error:
            seconds, result = 0.0, None
            problem = f"a worker cannot read its input or send its result:\n{error}"
        except errors.RayError as error:
            if getattr(error, "actor_init_failed", False):
                last = str(error).strip().splitlines()[-1]
                raise ExecutorError(f"a worker cannot start: {last}; install the same on every machine") from error
            text = " ".join(str(error).split())
            detail = text.partition("Worker exit detail: ")[2].partition(" Some common causes")[0]
            self._replace(slot, f"died ({detail or text[:200]})")
            return []
        self._slots.answered(slot)
        if problem and call.run in (None, self._run):
            raise WorkerError(problem)
        if call.where:
            self._check_host(slot, result)
        elif call.run and call.run is self._run:
            self._slots.note(seconds)
            return [(call.item, result)]
        return []

    def _check_host(self, slot: Slot, report: Facts) -> None:
        ours, theirs = describe_host(), f"the worker on {report['host']}"
        names = [name for name in COMPARED if report[name] != ours[name]]
        if names:
            listed = ", ".join(f"{name} {report[name]} there and {ours[name]} here" for name in names)
            raise ExecutorError(f"{theirs} would give other results: {listed}. Install the same everywhere")
        if self._processors and report["cpu"] not in self._processors:
            both = f"{report['cpu']}, others on {', '.join(sorted(self._processors))}"
            logger.warning("%s runs on %s: results repeat only up to rounding", theirs, both)
        self._processors.add(report["cpu"])
        slot.node, slot.host = report["node"], report["host"]
        if not self._config.address:
            with suppress(psutil.Error):
                slot.process = psutil.Process(report["pid"])

    def _replace(self, slot: Slot, reason: str) -> None:
        """Begin a lost worker anew, or all workers of a lost machine, and issue again what they were at."""
        run = self._run
        if self._config.address and slot.node and self._is_lost(slot.node):
            lost = [other for other in self._slots.every if other.node == slot.node]
            what = f"the machine {slot.host} with {len(lost)} workers"
            logger.warning("lost %s; going on with the %d others", what, self.workers - len(lost))
            for other in lost:
                self._again(other)
        else:
            calls = self._again(slot)
            what = f"worker {slot.number}, which {reason}"
            logger.warning("worker %d %s; replaced it", slot.number, reason)
            for call in calls:
                if run and call.run is run:
                    run.deaths[call.item] += 1  # even of the second: the answer of the first may just be lost
                    if len(calls) == 1 and run.deaths[call.item] >= DEATHS_BEFORE_BLAME:
                        raise ExecutorError(
                            f"item {call.item} cost {DEATHS_BEFORE_BLAME} workers; the last one {reason}. Run it here"
                            " to see why (--executor.type serial), leave it out, or give it time (item_timeout)"
                        )
        self._failures += 1
        if self._failures > self._config.max_failures:
            raise ExecutorError(
                f"{self._failures} workers lost, more than {self._config.max_failures}; the last was {what}. Use"
                f" fewer if memory is short, or {SERIAL_INSTEAD}"
            )

    def _again(self, slot: Slot) -> list[Call]:
        """Begin a worker anew; put its items back and return its calls."""
        calls = list(slot.calls)
        self._vacate(slot)
        self._build(slot)
        items = [call.item for call in calls if self._run and call.run is self._run]
        if self._run:
            self._run.todo.extendleft(reversed(items))
        return calls

    def _is_lost(self, node: str) -> bool:
        return not any(facts["NodeID"] == node and answers(facts) for facts in self._ray.nodes())

    def _not_ready(self) -> str:
        ready = sum(slot.ready for slot in self._slots.every)
        cpus = self._ray.cluster_resources().get("CPU", 0)
        return (
            f"{ready} of {self.workers} workers ready after {self._config.ready_timeout:g} s;"
            f" Ray has {cpus:g} CPUs. Ask for fewer workers, wait longer, or {SERIAL_INSTEAD}"
        )
