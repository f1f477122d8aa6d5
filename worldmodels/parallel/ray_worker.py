"""A worker in a process of Ray's, and the machine it is on."""

import os
import time

import torch

from worldmodels.parallel.executor import Factory, Setup, Worker, WorkerError, reported
from worldmodels.parallel.host import describe_host


class RayWorker:
    """A worker in a process of its own, which answers with (seconds, result, problem).

    Problems of the worker's code travel as text, since not every exception can be pickled.
    """

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self._worker: Worker | None = None

    def describe(self) -> tuple[float, dict[str, str | int], str]:
        """Say where this is, on which of Ray's nodes, and what it would work with."""
        import ray  # here: a process that asks for no worker does without Ray

        node = ray.get_runtime_context().get_node_id()
        return 0.0, {"pid": os.getpid(), "node": node, **describe_host()}, ""

    def configure(self, factory: Factory, setup: Setup) -> tuple[float, None, str]:
        """Build the worker."""
        try:
            with reported("building a worker"):
                self._worker = factory(setup)
        except WorkerError as error:
            return 0.0, None, str(error)
        return 0.0, None, ""

    def call(self, index: int, item: object) -> tuple[float, object, str]:
        """Work on one item."""
        assert self._worker is not None
        start = time.monotonic()
        try:
            with reported(f"item {index}"):
                result = self._worker(item)
        except WorkerError as error:
            return 0.0, None, str(error)
        return time.monotonic() - start, result, ""
