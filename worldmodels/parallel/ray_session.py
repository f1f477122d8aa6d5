"""A Ray to work in: a private one that is quiet, bounded and reachable from this machine only, or a cluster's.

Ray is imported here, inside functions, and nowhere else.
"""

import os
import secrets
import shlex
import shutil
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

import psutil

from generative.core.facts import Facts
from worldmodels.parallel.config import ExecutorConfig
from worldmodels.parallel.executor import ExecutorError
from worldmodels.parallel.host import project_path
from worldmodels.parallel.ray_address import find_head, greet_head
from worldmodels.parallel.ray_internals import Internals

SERIAL_INSTEAD = "go on without Ray, in this process: --executor.type serial"
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # it would start workers in a second environment
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # hiding the GPUs from workers comes with a warning
}
PRIVATE = {
    "RAY_AUTH_MODE": "token",  # without a mode Ray warns, and writes its token to the home folder
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on Linux too this is what binds every socket to loopback
    "RAY_worker_register_timeout_seconds": "600",  # `ready_timeout` says how long a worker may take to start
    "RAY_memory_monitor_refresh_ms": "0",  # it would kill our workers when a neighbour fills the memory
}


def import_ray(private: bool) -> Any:
    """Return the module, or raise an ExecutorError that says what to do without it."""
    try:
        with _environment(QUIET | (PRIVATE if private else {})), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
    except ImportError as error:
        raise ExecutorError(f"Ray is missing ({error}): pip install ray, or {SERIAL_INSTEAD}") from error
    if ray.is_initialized():
        raise ExecutorError("this process uses Ray already; close that executor, or call ray.shutdown()")
    return ray


def start_ray(ray: ModuleType, config: ExecutorConfig, workers: int, folder: str) -> None:
    """Start a private Ray in `folder`, or join the cluster that the config names."""
    internals = Internals()
    settings = QUIET
    if folder:
        settings = QUIET | PRIVATE | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
        options: Facts = {"address": "local", "num_cpus": workers, "include_dashboard": False}
        # Ray opens its own folder to everybody, so that is not the one whose path ends here.
        options |= {"_temp_dir": f"{folder}/r", "object_store_memory": config.object_store_mb * 2**20}
        # Ray itself forgets to quote the interpreter, whose path may hold a space.
        variables = ONE_THREAD | {"PYTHONPATH": project_path()}
        options["runtime_env"] = {"env_vars": variables, "py_executable": shlex.quote(sys.executable)}
        hint = SERIAL_INSTEAD
    else:
        address = find_head(config.address)
        greet_head(address, ray.__version__)
        hint = f"start Ray on this machine too: ray start --address={address}"
        if not any((process.info["name"] or "").startswith("raylet") for process in psutil.process_iter(["name"])):
            raise ExecutorError(f"this machine is no part of the cluster at address={address}; {hint}")
        options = {"address": address, "runtime_env": {"env_vars": ONE_THREAD}}
    private = bool(folder)
    with (
        _environment(settings),
        _signal_handler(),
        warnings.catch_warnings(),
        internals.on_loopback(private),
        internals.without_extras(private),
    ):
        warnings.simplefilter("ignore")
        try:
            internals.reread_environment()
            internals.silence(True)  # long messages on lost workers; we log a short one
            ray.init(log_to_driver=False, logging_level="ERROR", **options)
        except Exception as error:
            raise ExecutorError(f"Ray did not start: {error}\nRemedy: {hint}") from error


def stop_ray(ray: ModuleType, folder: str) -> None:
    """Leave Ray, and take everything with us that was started for it."""
    internals = Internals()
    ours = []
    for child in psutil.Process().children() if folder else []:
        with suppress(psutil.Error):
            if folder in " ".join(child.cmdline()):
                ours += [child, *child.children(recursive=True)]
    ray.shutdown()
    _, alive = psutil.wait_procs(ours, timeout=3)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=3)
    internals.silence(False)
    internals.reread_environment()
    shutil.rmtree(folder or os.devnull, ignore_errors=True)


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _signal_handler() -> Iterator[None]:
    """Give the caller's answer to SIGTERM back, which Ray replaces."""
    ours = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if ours is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ours)


def short_folder() -> str:
    """Make a folder for us alone, in which Ray puts sockets; their paths may have 107 characters, 67 of them Ray's."""
    base = tempfile.gettempdir()
    if len(base) > 30 and os.access("/tmp", os.W_OK):
        base = "/tmp"
    return tempfile.mkdtemp(prefix="wm-", dir=base)
