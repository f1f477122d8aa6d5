"""What Ray has no public switch for, all of it: setup.cfg pins the minor version, and a test fails when it changes.

Ray 2.60 binds its sockets to every address unless a constant says otherwise, which it sets when it is imported. It
prints long messages on lost workers even where `log_to_driver` is off. It reads variables and token once. It starts the
server of a dashboard, an autoscaler, and a process that copies logs for drivers that read them: three Python processes,
two seconds of a core at each start.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from worldmodels.parallel.executor import ExecutorError

EXTRAS = ("start_monitor", "start_log_monitor", "start_api_server")
"""Processes that Ray starts for an autoscaler, for drivers that read logs, and for a dashboard."""


class Internals:
    """The switches inside of Ray; an ExecutorError where this version has others."""

    def __init__(self) -> None:
        try:
            from ray import _raylet
            from ray._private import node, ray_constants, worker

            compiled: Any = _raylet
            self._constants, self._worker = ray_constants, worker
            self._read, self._loader = compiled.Config.initialize, compiled.AuthenticationTokenLoader
            self._node = node.Node
            _ = ray_constants.ENABLE_RAY_CLUSTER, worker._worker_logs_enabled
            self._extras = {name: getattr(node.Node, name) for name in EXTRAS}
        except (ImportError, AttributeError) as error:
            raise ExecutorError(f"Ray has changed inside ({error}): pip install 'ray>=2.60,<2.61'") from error

    @contextmanager
    def on_loopback(self, private: bool) -> Iterator[None]:
        """Keep a private Ray to this machine's loopback; the variable in PRIVATE counts only when Ray is imported."""
        before = self._constants.ENABLE_RAY_CLUSTER
        self._constants.ENABLE_RAY_CLUSTER = before and not private
        try:
            yield
        finally:
            self._constants.ENABLE_RAY_CLUSTER = before

    @contextmanager
    def without_extras(self, private: bool) -> Iterator[None]:
        """Start a private Ray without `EXTRAS`."""

        def nothing(node: Any, **_: object) -> None:
            node._webui_url = ""

        for name in self._extras if private else ():
            setattr(self._node, name, nothing)
        try:
            yield
        finally:
            for name, start in self._extras.items():
                setattr(self._node, name, start)

    def silence(self, silent: bool) -> None:
        """Keep Ray's messages on lost workers, which `log_to_driver` lets through, from the terminal."""
        self._worker._worker_logs_enabled = not silent

    def reread_environment(self) -> None:
        """Read the variables and the token again; Ray does so once, when it is imported."""
        self._read("")
        self._loader.instance().reset_cache()
