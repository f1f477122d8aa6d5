"""What decides a result on a machine, to its last bits: versions, our own code, and the processor."""

import functools
import hashlib
import importlib.metadata
import os
import platform
import sys
import sysconfig
from pathlib import Path

import numpy as np
import torch

COMPARED = ("python", "torch", "numpy", "gymnasium", "box2d", "cma", "code")
"""What must be the same wherever a run is worked on, among the facts of a host."""
PACKAGES = ("worldmodels", "agents", "envs", "generative", "scripts")


def describe_host() -> dict[str, str]:
    """Describe what decides a result here, to its last bits: versions, our own code, and the processor."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        **{name: _version(name) for name in ("gymnasium", "box2d", "cma")},
        "code": code_digest(),
        "cpu": _processor(),
        "host": platform.node(),
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


@functools.cache
def code_digest() -> str:
    """Return a digest of this project's code, as it stood when it was first asked for: 12 hexadecimal digits."""
    return folder_digest(Path(__file__).parents[2])


def folder_digest(home: Path) -> str:
    """Return a digest of our packages' Python files in a folder: their names and what they say."""
    digest = hashlib.sha256()
    for path in sorted(path for package in PACKAGES for path in (home / package).rglob("*.py")):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(home).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def project_path() -> str:
    """Return where this interpreter finds what is neither standard nor installed, as a PYTHONPATH."""
    standard = sysconfig.get_path("stdlib")
    folders = [os.path.abspath(entry) for entry in sys.path]
    installed = {"site-packages", "dist-packages"}
    return os.pathsep.join(
        folder
        for folder in folders
        if os.path.isdir(folder) and not folder.startswith(standard) and not installed & set(Path(folder).parts)
    )
