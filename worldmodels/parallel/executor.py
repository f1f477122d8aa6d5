"""Where work runs: one `run(items)` over many processes (Ray) or in this one, with the same numbers.

A worker is built once in every process by `factory(setup)` and holds what is dear to build (envs, networks).
It must be pure: its result depends on the item and the setup alone, never on which worker it is, on
the time or on earlier items. Then results can be merged by index, whatever the number of workers and however
often one was lost.

One item is one call, at whatever batch width the worker uses inside. That width must be constant: torch's
results depend on it in the last bits, and a long rollout amplifies them.
"""

import functools
import hashlib
import importlib.metadata
import math
import os
import platform
import re
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from threadpoolctl import ThreadpoolController

from generative.options import check_numbers
from worldmodels.errors import RunError
from worldmodels.machine import cpu_quota

CLOSED = "the executor is closed; make a new one"
ENDED = "this run was ended by a later run or configure; finish one before starting the next"
Setup = Any
"""What a worker is built from: plain data, numpy arrays and bytes. Arrays may arrive read-only."""


class ExecutorError(RunError):
    """The executor cannot start or go on: Ray is missing, workers keep dying, versions differ."""


class WorkerError(ExecutorError):
    """A worker's own code raised; the message ends with the traceback from where it happened."""


@dataclass(frozen=True)
class ExecutorConfig:
    """Where and how widely work runs."""

    type: Literal["ray", "serial"] = "ray"
    """ray: worker processes that are replaced when they die; serial: in this process, for debugging."""
    workers: int = 0
    """Ray's worker processes; 0: one per CPU core this process may use, or per CPU of the cluster."""
    ray_address: str = ""
    """Empty: a private Ray on this machine. `auto` or HOST:PORT: the cluster that already runs there."""
    object_store_mb: int = 200
    """Shared memory of a private Ray, in MiB; twice the size of all models is plenty."""
    ready_timeout: float = 120.0
    """Seconds a worker may take to start and build its models."""
    item_timeout: float = 0.0
    """Seconds after which a worker counts as hung; 0: 600, or 20 times the median item if that is more."""
    max_failures: int = 10
    """Workers replaced during one `run` before giving up; a machine that is lost counts as one."""

    def __post_init__(self) -> None:
        if self.type not in ("ray", "serial"):
            raise ValueError(f"type={self.type!r}: unknown; choose ray or serial")
        least = {"workers": 0, "object_store_mb": 80, "item_timeout": 0, "max_failures": 0}
        for name, bound in least.items():
            if not getattr(self, name) >= bound:
                raise ValueError(f"{name}={getattr(self, name)}: too small; use at least {bound}")
        check_numbers(self, "executor")
        if not self.ready_timeout > 0:
            raise ValueError(f"ready_timeout={self.ready_timeout}: must be positive; 120 suits most machines")
        port = re.fullmatch(r"[^\s/]+:(\d{1,5})", self.ray_address)
        if self.ray_address not in ("", "auto") and not (port and 0 < int(port[1]) < 2**16):
            raise ValueError(
                f"ray_address={self.ray_address!r}: not an address; use HOST:PORT, auto for the cluster this"
                " machine belongs to, or leave it empty for a private Ray"
            )


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

    def run(self, items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
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

    def map(self, items: Sequence[Any]) -> list[Any]:
        """Return the results in the order of the items."""
        results = dict(self.run(items))
        return [results[index] for index in range(len(items))]

    def __enter__(self) -> "Executor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def make_executor(config: ExecutorConfig, factory: Factory, setup: Setup) -> Executor:
    """Start the executor that `config` asks for, with every worker built and ready.

    Args:
        config: Where to run.
        factory: Module-level callable that builds a worker from a setup.
        setup: What workers are built from; it travels once, however many workers there are.

    Raises:
        ExecutorError: Ray is missing or does not start, or the cluster's versions differ from ours.
        WorkerError: the factory raised.
    """
    if config.type == "serial":
        return SerialExecutor(factory, setup)
    from worldmodels.parallel.ray_executor import RayExecutor

    return RayExecutor(config, factory, setup)


class SerialExecutor(Executor):
    """One worker, here: for debugging, and the reference that Ray's results equal bit for bit."""

    def __init__(self, factory: Factory, setup: Setup) -> None:
        self.workers = 1
        self._factory = factory
        self._blas = ThreadpoolController()
        self._runs = 0
        self._worker: Worker | None = None
        self.configure(setup)

    def run(self, items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
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


class WorkerProcess:
    """A worker in a process of its own, which answers with (seconds, result, problem).

    Problems of the worker's code travel as text, since not every exception can be pickled.
    """

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self._worker: Worker | None = None

    def describe(self) -> tuple[float, Any, str]:
        """Say where this is, and what it would work with."""
        return 0.0, {"pid": os.getpid(), **describe_host()}, ""

    def configure(self, factory: Factory, setup: Setup) -> tuple[float, Any, str]:
        """Build the worker."""
        try:
            with reported("building a worker"):
                self._worker = factory(setup)
        except WorkerError as error:
            return 0.0, None, str(error)
        return 0.0, None, ""

    def call(self, index: int, item: Any) -> tuple[float, Any, str]:
        """Work on one item."""
        assert self._worker is not None
        start = time.monotonic()
        try:
            with reported(f"item {index}"):
                result = self._worker(item)
        except WorkerError as error:
            return 0.0, None, str(error)
        return time.monotonic() - start, result, ""


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


def available_cores() -> int:
    """Count the CPU cores this process may use: fewer than the machine has under an affinity or a container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


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
