"""What other processes take of the machine while something is measured, and how much longer work takes beside them."""

import os
import time

import psutil

from generative.runs.versions import usable_cores

BUSY = 0.15
"""Share of the cores that others may take on a machine that counts as quiet."""


class OtherWork:
    """What other processes take of the cores that this one may use, from when it is made."""

    def __init__(self) -> None:
        self._begun = self._clocks()

    def cores(self) -> float:
        """Return how many cores they have taken on average; 0 where the system does not tell."""
        seconds, taken, ours = (now - before for now, before in zip(self._clocks(), self._begun, strict=True))
        return max(0.0, taken - ours) / seconds if seconds > 0 else 0.0

    @staticmethod
    def _clocks() -> tuple[float, float, float]:
        """Return real seconds, and the seconds that all processes and this one have had of the cores."""
        every = psutil.cpu_times(percpu=True)
        mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(len(every)))
        idle = ("idle", "iowait", "guest", "guest_nice")  # guests are counted as user time too
        taken = sum(
            value
            for number, times in enumerate(every)
            if number in mine
            for name, value in times._asdict().items()
            if name not in idle
        )
        return time.perf_counter(), taken, time.process_time()


def slowdown(threads: int, others: float, cores: int) -> float:
    """Return how many times longer work takes beside that of others, where all get the same share of the cores.

    Args:
        threads: that work here.
        others: cores that others take.
        cores: there are.
    """
    return max(1.0, (threads + others) / cores)


def busy(others: float) -> bool:
    """Return whether the cores that others take disturb what all threads do together."""
    return others > BUSY * usable_cores()
