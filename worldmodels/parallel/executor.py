"""What every executor offers: one `run(items)`, with the same numbers over many processes (Ray) or in this one.

A worker is built once in every process by `factory(setup)` and holds what is dear to build (envs, networks).
It must be pure: its result depends on the item and the setup alone, never on which worker it is, on
the time or on earlier items. Then results can be merged by index, whatever the number of workers and however
often one was lost.

One item is one call, at whatever batch width the worker uses inside. That width must be constant: torch's
results depend on it in the last bits, and a long rollout amplifies them.
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from worldmodels.errors import RunError

CLOSED = "the executor is closed; make a new one"
ENDED = "this run was ended by a later run or configure; finish one before starting the next"
Setup = Any
"""What a worker is built from: plain data, numpy arrays and bytes. Arrays may arrive read-only."""


class ExecutorError(RunError):
    """The executor cannot start or go on: Ray is missing, workers keep dying, versions differ."""


class WorkerError(ExecutorError):
    """A worker's own code raised; the message ends with the traceback from where it happened."""


@runtime_checkable
class Worker(Protocol):
    """What `factory(setup)` builds in every process: a pure function that may hold envs and models."""

    def __call__(self, item: Any, /) -> Any:
        """Return the item's result, which depends on nothing but the item and the setup."""
        ...


Factory = Callable[[Setup], Worker]
"""A class or function at module level, so that workers can import it."""


@runtime_checkable
class Executor(Protocol):
    """Runs items through workers; a context manager that leaves no process behind."""

    workers: int

    def run(self, items: Sequence[object]) -> Iterator[tuple[int, Any]]:
        """Yield (index, result) as items complete, each index exactly once.

        Starting another run, or `configure`, ends one that was left half-way.

        Raises:
            WorkerError: the worker's code raised.
            ExecutorError: workers were lost more often than allowed.
        """
        ...

    def configure(self, setup: Setup) -> None:
        """Rebuild every worker from a new setup, before its next item; a failure closes the executor."""
        ...

    def close(self) -> None:
        """Stop the workers and everything started for them; harmless when repeated."""
        ...

    def map(self, items: Sequence[object]) -> list[Any]:
        """Return the results in the order of the items."""
        results = dict(self.run(items))
        return [results[index] for index in range(len(items))]

    def __enter__(self) -> "Executor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def reported(what: str) -> Iterator[None]:
    """Turn an exception of a worker's own code into a `WorkerError` that carries its traceback.

    A `RunError` was written for the user, and needs none.
    """
    try:
        yield
    except RunError as error:
        raise WorkerError(f"{what}: {error}") from error
    except Exception as error:
        raise WorkerError(f"{what} failed in the worker's own code:\n{traceback.format_exc()}") from error
