"""Opening the executor that a configuration asks for."""

from worldmodels.parallel.config import ExecutorConfig
from worldmodels.parallel.executor import Executor, Factory, Setup
from worldmodels.parallel.ray_executor import RayExecutor
from worldmodels.parallel.serial import SerialExecutor


def open_executor(config: ExecutorConfig, factory: Factory, setup: Setup) -> Executor:
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
    return RayExecutor(config, factory, setup)
