"""Opening the executor that a configuration asks for; inside `kept_workers` the processes outlive it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from worldmodels.parallel.config import ExecutorConfig
from worldmodels.parallel.executor import CLOSED, Executor, ExecutorError, Factory, Setup
from worldmodels.parallel.ray_executor import RayExecutor
from worldmodels.parallel.serial import SerialExecutor


def open_executor(config: ExecutorConfig, factory: Factory, setup: Setup) -> Executor:
    """Start the executor that `config` asks for, with every worker built and ready.

    Args:
        config: Where to run.
        factory: Module-level callable that builds a worker from a setup.
        setup: What workers are built from; it travels once, however many workers there are.

    Raises:
        ExecutorError: Ray is missing or does not start, or the cluster's versions differ from ours.
        WorkerError: the factory raised.
    """
    if config.type == "serial":
        return SerialExecutor(factory, setup)
    if _keepers:
        return _keepers[-1].open(config, factory, setup)
    return RayExecutor(config, factory, setup)


@contextmanager
def kept_workers() -> Iterator[None]:
    """Start Ray and its processes once for all executors that are opened inside, one after the other.

    Starting them takes longer than many a stage's work. Workers are built anew for each executor, so results are the
    same. The processes end with the block; inside another such block, with that one.
    """
    if _keepers:
        yield
        return
    keeper = _Keeper()
    _keepers.append(keeper)
    try:
        yield
    finally:
        _keepers.remove(keeper)
        keeper.close()


class _Keeper:
    """Keeps one executor on Ray, and lends it."""

    def __init__(self) -> None:
        self._config: ExecutorConfig | None = None
        self._executor: RayExecutor | None = None

    def open(self, config: ExecutorConfig, factory: Factory, setup: Setup) -> Executor:
        """Return an executor with workers of this kind; one that failed, or is configured otherwise, is replaced."""
        if self._executor is not None and not (self._executor.is_open and self._config == config):
            self.close()
        if self._executor is None:
            self._executor, self._config = RayExecutor(config, factory, setup), config
        else:
            self._executor.configure(setup, factory)
        return _Lent(self._executor)

    def close(self) -> None:
        """Stop Ray."""
        if self._executor is not None:
            self._executor.close()
        self._executor = None


_keepers: list[_Keeper] = []
"""The block that keeps workers, if one does."""


class _Lent(Executor):
    """A kept executor as one stage uses it: closing it leaves the processes running."""

    def __init__(self, executor: RayExecutor) -> None:
        self.workers = executor.workers
        self._executor: RayExecutor | None = executor

    def run(self, items: Sequence[object]) -> Iterator[tuple[int, Any]]:
        """Yield (index, result) as items complete, each index exactly once."""
        return self._lent().run(items)

    def configure(self, setup: Setup) -> None:
        """Rebuild every worker from a new setup."""
        self._lent().configure(setup)

    def close(self) -> None:
        """Give it back; a run that was left half-way ends."""
        if self._executor is not None:
            self._executor.end_run()
        self._executor = None

    def _lent(self) -> RayExecutor:
        if self._executor is None:
            raise ExecutorError(CLOSED)
        return self._executor
