"""What a run is made with: versions of packages, our commit, interpreter and machine."""

import importlib.metadata
import os
import platform
from pathlib import Path

from generative.core.facts import Facts
from generative.runs.source import commit

DISTRIBUTION = "worldmodels-dream"
"""The name by which pip knows the project; what is imported has names of its own."""


def versions(*packages: str) -> Facts:
    """Return the versions of `worldmodels` and of packages ("missing" where one is not installed), and the rest."""
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": usable_cores(),
        "worldmodels": _version(DISTRIBUTION),
        **{name: _version(name) for name in packages},
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def usable_cores() -> int:
    """Return how many cores this process may be put on, which is more than a container's quota where there is one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
