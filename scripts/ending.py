"""How a console command ends when it is told to stop, or when nobody reads what it prints."""

import os
import select
import signal
import sys
from collections.abc import Callable
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM, which batch systems send before they kill: a command ends as at Ctrl-C."""


def carry_out(main: Callable[[], int]) -> int:
    """Run a command line in the main thread and return the exit code that a shell expects.

    Args:
        main: answers KeyboardInterrupt with a message and returns an exit code.
    """
    told = []

    def terminate(number: int, frame: FrameType | None) -> None:
        told.append(number)
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        if not unread():
            raise
        return 128 + 13  # SIGPIPE, which Windows has no name for
    return 128 + signal.SIGTERM if told else code


def unread() -> bool:
    """Return whether standard output has lost its reader, and if so drop what is still to be printed."""
    if hasattr(select, "poll"):  # not on Windows
        watch = select.poll()
        watch.register(sys.stdout.fileno(), 0)
        if not any(event & select.POLLERR for _, event in watch.poll(0)):
            return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True
