"""Child processes of the benchmark: started fresh, talked to through a pipe, and ended with the figure."""

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from worldmodels.errors import RunError

PATIENCE = 300.0
"""Seconds after which a child that does not answer counts as hung."""


class Child:
    """A process that runs `work(connection, *arguments)`; a context manager that leaves no process behind.

    `work` is a function at module level. The process is spawned: it shares nothing with this one.
    """

    def __init__(self, work: Callable[..., None], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._name = work.__name__
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(work, theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()

    def send(self, message: object) -> None:
        """Send the child a message."""
        self._connection.send(message)

    def receive(self) -> Any:
        """Return the child's next message.

        Raises:
            RunError: it died, or did not answer for minutes.
        """
        try:
            if self._connection.poll(PATIENCE):
                return self._connection.recv()
        except (EOFError, OSError):
            self._process.join(5)
            raise RunError(
                f"the benchmark's process `{self._name}` died (exit code {self._process.exitcode}); its own message "
                "is above; a code of -9 usually means that memory ran out"
            ) from None
        raise RunError(f"the benchmark's process `{self._name}` did not answer for {PATIENCE:.0f} seconds")

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.join()


def _run(work: Callable[..., None], connection: Connection, *arguments: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its children
    try:
        work(connection, *arguments)
    except (EOFError, BrokenPipeError):
        return  # the parent has what it wanted
