"""What this process may use of the machine: a container's quotas count, not only what is built in.

Linux writes them into cgroup files, of version 2 (`cpu.max`, `memory.max`) or 1 (`cpu.cfs_quota_us`,
`memory.limit_in_bytes`), those of every group above included. Inside of a container its own group is often mounted as
the root, so a path of `/proc/self/cgroup` that is not there is looked for further up.
"""

import ctypes
import gc
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from worldmodels.errors import RunError

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def available_cores() -> int:
    """Count the CPU cores this process may use: fewer than the machine has under an affinity or a container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def cpu_quota(root: Path = CGROUPS, own: Path = OWN) -> float | None:
    """Return the CPU cores that the quotas of this process's groups grant, or None without a quota.

    Args:
        root: where the cgroup file systems are mounted.
        own: the file that names the groups of this process.
    """
    found = []
    for folder in _folders(root, own, "cpu"):
        words = _read(folder / "cpu.max").split() or [
            _read(folder / "cpu.cfs_quota_us"),
            _read(folder / "cpu.cfs_period_us"),
        ]
        quota, period = (_number(word) for word in (*words, "100000")[:2])
        if quota and period and quota > 0:
            found.append(quota / period)
    return min(found, default=None)


def memory_limit(root: Path = CGROUPS, own: Path = OWN) -> int:
    """Return the bytes of memory that this process may use: the machine's, or the least limit of its groups."""
    try:
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        found = [2**62]
    for folder in _folders(root, own, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = _number(_read(folder / name))
            if limit and limit > 0:
                found.append(limit)
    return min(found)


def give_back_memory() -> None:
    """Collect what nothing refers to, and give the system the memory that glibc keeps for later.

    For servers: glibc keeps what is free between small things that stay, apart for each thread.
    """
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def check_fits(field: str, value: object, needed: int) -> None:
    """Refuse what takes more bytes of memory than there are.

    Raises:
        RunError: names the field and its value.
    """
    limit = memory_limit()
    if needed > limit:
        raise RunError(
            f"{field}={value}: takes {needed / 2**30:,.1f} GiB of memory at least, this machine has "
            f"{limit / 2**30:,.1f}; set a smaller one"
        )


def _folders(root: Path, own: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's groups for a controller, with all those above them."""
    for line in _read(own).splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if names and controller not in names.split(","):
            continue
        for mount in (root,) if not names else (root / names, root / controller):
            folder = mount / path.lstrip("/")
            for above in (folder, *folder.parents):
                if not above.is_relative_to(mount):
                    break
                yield above


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(text: str) -> int | None:
    """Return a number; None for `max` and for what is not there."""
    try:
        return int(text)
    except ValueError:
        return None
