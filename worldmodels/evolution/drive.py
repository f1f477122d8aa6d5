"""The one way to let controllers drive on tracks: evolution, validation, evaluation and studies all play through it.

Episodes are cut into tasks for an executor's `TrialWorker`s and put together again. An episode does not depend on which
worker plays it, nor on the others of its task.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from worldmodels.evolution.tasks import BlindTask, RealTask, Tried
from worldmodels.parallel.executor import Executor
from worldmodels.rollouts.play import Played

BATCHES = 8
"""Most episodes in a task of an evolution, in batches of a worker's width: what is lost with a worker.

While a task's last episodes end, most of a worker's batch is empty, so tasks are large."""


@dataclass
class Cost:
    """What trying candidates cost."""

    frames: int = 0
    environment_seconds: float = 0.0
    network_seconds: float = 0.0
    device_seconds: float = 0.0
    """Of dreams on a GPU, which no worker has part in."""

    def add(self, tried: Tried) -> None:
        """Add the cost of a task."""
        self.frames += sum(played.frames for played in tried.played)
        self.environment_seconds += tried.environment_seconds
        self.network_seconds += tried.network_seconds


class TrackEpisode(NamedTuple):
    """An episode on a real track."""

    controller: int
    """Row of its parameters."""
    place: int
    """Index of its track among those asked for."""
    track: int
    played: Played
    recorded: bytes
    """The episode's file, if one was asked for."""


def drive(
    executor: Executor,
    parameters: Float[np.ndarray, "P N"] | None,
    tracks: Sequence[int],
    *,
    most: int,
    training: bool = False,
    record: bool = False,
    cost: Cost | None = None,
) -> Iterator[TrackEpisode]:
    """Let every controller drive every track, and yield the episodes as tasks end.

    Args:
        executor: of `TrialWorker`s.
        parameters: one row a controller; None for uniform random actions, a driver that does not look.
        tracks: seeds of the environment's reset, the same ones for every controller.
        most: episodes in a task; there are fewer in each where that gives every worker one.
        training: with the training-only wrappers or without.
        record: whether episodes come back recorded.
        cost: what the tasks cost is added to it.
    """
    rows = 1 if parameters is None else len(parameters)
    every = [(row, place) for place in range(len(tracks)) for row in range(rows)]
    size = min(most, max(1, -(-len(every) // executor.workers)))
    chunks = [every[start : start + size] for start in range(0, len(every), size)]
    tasks = [_task(parameters, tracks, chunk, training, record) for chunk in chunks]
    for number, tried in executor.run(tasks):
        if cost is not None:
            cost.add(tried)
        files = tried.recorded or [b""] * len(tried.played)
        for (row, place), played, file in zip(chunks[number], tried.played, files, strict=True):
            yield TrackEpisode(row, place, tracks[place], played, file)


def drive_in_order(
    executor: Executor,
    parameters: Float[np.ndarray, " N"],
    tracks: Sequence[int],
    *,
    most: int,
    training: bool = False,
    record: bool = False,
    cost: Cost | None = None,
) -> list[TrackEpisode]:
    """Return the episodes of one controller in the order of the tracks; arguments as of `drive`."""
    every = drive(executor, parameters[None], tracks, most=most, training=training, record=record, cost=cost)
    return sorted(every, key=lambda each: each.place)


def _task(
    parameters: np.ndarray | None,
    tracks: Sequence[int],
    chunk: Sequence[tuple[int, int]],
    training: bool,
    record: bool,
) -> RealTask | BlindTask:
    """Return the task of some episodes, `(row, place)` each, with the parameters that it needs and no others."""
    if parameters is None:
        return BlindTask([tracks[place] for _, place in chunk])
    rows = sorted({row for row, _ in chunk})
    pairs = [(rows.index(row), tracks[place]) for row, place in chunk]
    return RealTask(np.asarray(parameters[rows], dtype=np.float32), pairs, training, record)
