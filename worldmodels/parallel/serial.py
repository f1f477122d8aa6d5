"""The executor without processes: one worker, in this one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from threadpoolctl import ThreadpoolController

from worldmodels.parallel.executor import CLOSED, ENDED, Executor, ExecutorError, Factory, Setup, Worker, reported


class SerialExecutor(Executor):
    """One worker, here: for debugging, and the reference that Ray's results equal bit for bit."""

    def __init__(self, factory: Factory, setup: Setup) -> None:
        self.workers = 1
        self._factory = factory
        self._blas = ThreadpoolController()
        self._runs = 0
        self._worker: Worker | None = None
        self.configure(setup)

    def run(self, items: Sequence[object]) -> Iterator[tuple[int, Any]]:
        """Yield (index, result) in the order of the items."""
        self._runs += 1
        this = self._runs
        for index, item in enumerate(items):
            if self._worker is None:
                raise ExecutorError(CLOSED)
            if this != self._runs:
                raise ExecutorError(ENDED)
            with self._one_thread(), reported(f"item {index}"):
                result = self._worker(item)
            yield index, result

    def configure(self, setup: Setup) -> None:
        """Rebuild the worker from a new setup."""
        self._runs += 1
        self._worker = None
        with self._one_thread(), reported("building a worker"):
            self._worker = self._factory(setup)

    def close(self) -> None:
        """Let the worker go."""
        self._worker = None

    @contextmanager
    def _one_thread(self) -> Iterator[None]:
        # As in Ray's workers: other numbers of threads sum in another order, which changes the last bits.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with self._blas.limit(limits=1, user_api="blas"):
                yield
        finally:
            torch.set_num_threads(threads)
