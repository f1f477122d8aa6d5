"""What a second worker is worth, and a model of what it costs to have more of them.

A worker does an item in t seconds; the driver, with Ray's own processes beside it, spends d seconds on handing it out
and on taking its result, one after the other. So N workers do min(N / (t + d), 1 / d) items a second, and the
efficiency of each is min(1, (t + d) / (N d)). What travels to every worker once is the setup; with every item, the item
and its result.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from generative.core.facts import Facts
from worldmodels.benchmark.figure import BenchmarkFigure, Pairs, Settings, paired, rate
from worldmodels.benchmark.machine import use_cores
from worldmodels.benchmark.measurements.driving import TRACKS
from worldmodels.benchmark.measurements.evaluation import EPISODE, random_agent
from worldmodels.config_files import preset
from worldmodels.evolution.tasks import RealTask, TrialWorker
from worldmodels.evolution.trial_setup import TrialSetup
from worldmodels.parallel.config import ExecutorConfig
from worldmodels.parallel.executor import Executor, Factory, Setup
from worldmodels.parallel.open import kept_workers, open_executor
from worldmodels.rollouts.collect import CollectSetup, CollectWorker, Order, Recording
from worldmodels.rollouts.episode import write_episode

WORKERS = BenchmarkFigure(
    "workers",
    "evaluation and collection by two workers on two cores, against twice what one does; the worse of the two",
    "of it",
    ">= 0.85",
    "frames/s",
)
LEAST = 0.85
CORES = 2
MODELLED = 16, 64, 256
"""Numbers of workers that the model is asked about."""
SERVERS = "raylet", "gcs_server"
"""Ray's processes that serve the driver."""


@dataclass(frozen=True)
class Work:
    """What two workers do, an item each."""

    name: str
    factory: Factory
    setup: Setup
    items: Sequence[object]
    take: Callable[[Any], int]
    """What the driver does with a result; returns its frames."""


class Scaling(NamedTuple):
    """What came of it."""

    name: str
    pairs: Pairs
    facts: Facts


def workers(settings: Settings) -> BenchmarkFigure:
    """Let two workers drive and record, and one of them alone."""
    with use_cores(CORES), tempfile.TemporaryDirectory() as folder, kept_workers():
        found = []
        for work in (evaluating(settings), collecting(settings, Path(folder))):
            with open_executor(ExecutorConfig(workers=CORES), work.factory, work.setup) as executor:
                found.append(scaling(work, executor, settings))
    worst = min(found, key=lambda one: one.pairs.ratio)
    return WORKERS.timed(worst.pairs, LEAST, worse=worst.name, **{one.name: one.facts for one in found})


def evaluating(settings: Settings) -> Work:
    """Return the evaluation of an untrained agent of the default sizes, a batch of tracks for each worker."""
    agent = random_agent(settings.scaled(EPISODE))
    width = ExecutorConfig().envs
    tasks = [
        RealTask(agent.parameters, [(0, TRACKS[place % len(TRACKS)]) for place in range(first, first + width)], False)
        for first in range(0, CORES * width, width)
    ]
    return Work(
        "evaluation",
        TrialWorker,
        TrialSetup(agent.bundle, width),
        tasks,
        lambda tried: sum(one.frames for one in tried.played),
    )


def collecting(settings: Settings, folder: Path) -> Work:
    """Return the collection of preset quick's first episodes by drivers without networks, written to a folder."""
    config = preset("quick")
    frames = settings.scaled(EPISODE)
    width = config.executor.envs
    setup = CollectSetup(
        replace(config.env, max_steps=frames), config.collect, None, None, {"simulator_state_names": []}, width
    )
    names = config.collect.policies
    orders = [
        [Order(number, names[0], TRACKS[number % len(TRACKS)], number) for number in range(first, first + width)]
        for first in range(0, CORES * width, width)
    ]

    def take(recordings: list[Recording]) -> int:
        for one in recordings:
            write_episode(folder / f"episode_{one.number:06d}.zip", one.content)
        return sum(one.frames for one in recordings)

    return Work("collection", CollectWorker, setup, orders, take)


def scaling(work: Work, executor: Executor, settings: Settings) -> Scaling:
    """Time both workers against one, and take apart what an item costs."""
    results = executor.map(work.items)
    seconds: list[float] = []
    driver: list[float] = []

    def one(window: float) -> float:
        def item() -> int:
            begun = time.perf_counter()
            frames = work.take(executor.map(work.items[:1])[0])
            seconds.append(time.perf_counter() - begun)
            return frames

        return 2 * rate(item, window)

    def both(window: float) -> float:
        def items() -> int:
            begun = processor_seconds()
            frames = sum(work.take(result) for result in executor.map(work.items))
            driver.append((processor_seconds() - begun) / len(work.items))
            return frames

        return rate(items, window)

    pairs = paired(both, one, settings)
    item, handed = float(np.median(seconds)), float(np.median(driver))
    facts: Facts = {
        "efficiency": pairs.ratio,
        "setup_bytes": size_of(work.setup),
        "item_bytes": size_of(work.items[0]),
        "result_bytes": size_of(results[0]),
        "item_seconds": item,
        "driver_seconds": handed,
        "modelled_efficiency": {str(count): efficiency(count, item - handed, handed) for count in MODELLED},
    }
    return Scaling(work.name, pairs, facts)


def efficiency(count: int, item: float, driver: float) -> float:
    """Return the efficiency of each of `count` workers.

    Args:
        count: of workers.
        item: seconds that a worker takes for an item.
        driver: seconds that the driver takes for it.
    """
    return min(1.0, (item + driver) / (count * driver)) if driver > 0 else 1.0


def processor_seconds() -> float:
    """Return the processor time that this process and Ray's servers have used."""
    total = time.process_time()
    for child in psutil.Process().children(recursive=True):
        try:
            if child.name() in SERVERS:
                total += child.cpu_times().user + child.cpu_times().system
        except psutil.Error:
            continue
    return total


def size_of(value: object) -> int:
    """Return the bytes of all arrays, texts and bytes in what is sent."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping):
        return sum(size_of(part) for part in value.values())
    if isinstance(value, list | tuple):
        return sum(size_of(part) for part in value)
    if is_dataclass(value):
        return sum(size_of(getattr(value, each.name)) for each in fields(value))
    return 8 if isinstance(value, int | float) else 0
