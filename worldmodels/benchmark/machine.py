"""The machine that is measured: what it is, how busy it is, and how much of it a figure may use."""

import importlib.metadata
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import psutil
import torch
from threadpoolctl import threadpool_limits

from generative.core.facts import Facts
from worldmodels.agent.precision import native_bfloat16
from worldmodels.benchmark.figure import Skip
from worldmodels.machine import available_cores
from worldmodels.parallel.host import describe_host

BUSY = 0.3
"""Load for each core above which measurements are disturbed."""

PACKAGES = {
    "torch": "torch",
    "gymnasium": "gymnasium",
    "numpy": "numpy",
    "opencv": "opencv-python-headless",
    "box2d": "box2d",
    "pygame": "pygame-ce",
    "envpool": "envpool",
}


def gpu() -> torch.device:
    """Return the GPU; raises `Skip` where there is none."""
    if not torch.cuda.is_available():
        raise Skip("needs a GPU, torch sees none here (torch.cuda.is_available())")
    return torch.device("cuda")


def synchronise(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def describe_machine() -> Facts:
    """Describe what results depend on, in JSON types: processor, cores, memory, GPU, versions, and the load now."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name, package in PACKAGES.items():
        try:
            versions[name] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "processor": describe_host()["cpu"],
        "system": f"{platform.system()} {platform.machine()}",
        "cores": available_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "bfloat16": native_bfloat16(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": versions,
    }


def disturbed(machine: Facts) -> str:
    """Return a warning if the machine that `describe_machine` described is busy, else nothing."""
    load, cores = machine["load"], machine["cores"]
    if load is None or load <= BUSY * cores:
        return ""
    return f"the load of this machine is {load:.2f} on {cores} cores: stop what else runs, or mistrust the figures"


@contextmanager
def use_cores(count: int | None) -> Iterator[None]:
    """Confine this thread, and the threads and processes it starts, to `count` cores; None lets it have all.

    torch, OpenCV and BLAS get a thread for each. All is put back at the end. Raises `Skip` where there are fewer cores.
    """
    available = available_cores()
    if count is not None and count > available:
        raise Skip(f"needs {count} processor cores, this process may use {available}")
    threads = available if count is None else count
    torch_threads, cv2_threads = torch.get_num_threads(), cv2.getNumThreads()
    cores: set[int] = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    try:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        if cores:
            os.sched_setaffinity(0, sorted(cores)[-threads:])
        with threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        if cores:
            os.sched_setaffinity(0, cores)
        torch.set_num_threads(torch_threads)
        cv2.setNumThreads(cv2_threads)
