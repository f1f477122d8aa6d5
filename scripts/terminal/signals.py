"""How a console command ends when it is told to stop, or when nobody reads what it prints."""

import errno
import os
import select
import signal
import sys
from collections.abc import Callable
from types import FrameType

ENDINGS = [signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if name in signal.Signals.__members__]
"""What ends a command: batch systems send SIGTERM before they kill, a closed terminal SIGHUP."""
UNREAD = 128 + 13
"""Exit code where nobody reads what is printed: SIGPIPE, which Windows has no name for."""


class Terminated(KeyboardInterrupt):
    """One of `ENDINGS`: a command ends as at Ctrl-C."""


def carry_out(main: Callable[[], int]) -> int:
    """Run a command line in the main thread and return the exit code that a shell expects.

    Args:
        main: answers KeyboardInterrupt with a message and returns an exit code.
    """
    told: list[int] = []

    def terminate(number: int, frame: FrameType | None) -> None:
        told.append(number)
        raise Terminated

    for number in ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, terminate)
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        if not unread():
            raise
        return UNREAD
    except OSError as error:
        if error.errno != errno.EIO or error.filename is not None:
            raise
        code = 128 + 1  # the terminal has gone: SIGHUP, which Windows has no name for
        _into_nothing(1, 2)
    return 128 + told[0] if told else code


def unread() -> bool:
    """Return whether standard output has lost its reader, and if so drop what is still to be printed."""
    if hasattr(select, "poll"):  # not on Windows
        watch = select.poll()
        watch.register(sys.stdout.fileno(), 0)
        if not any(event & select.POLLERR for _, event in watch.poll(0)):
            return False
    _into_nothing(sys.stdout.fileno())
    return True


def _into_nothing(*outputs: int) -> None:
    for descriptor in outputs:
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
