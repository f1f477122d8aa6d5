"""The one way to drive: every episode comes once, is of its own controller and track, and costs what it cost."""

import numpy as np
import pytest

from worldmodels.evolution.drive import Cost, drive, drive_in_order
from worldmodels.evolution.tasks import BlindTask, Tried
from worldmodels.parallel.serial import SerialExecutor
from worldmodels.rollouts.play import Played

TRACKS = [30, 10, 20]
PARAMETERS = np.array([[1.0], [2.0]])


class Reporter:
    """Scores an episode by its controller and track, and notes the tasks."""

    def __init__(self, tasks):
        self.tasks = tasks

    def __call__(self, task):
        self.tasks.append(task)
        if isinstance(task, BlindTask):
            pairs, blind, files = [(0, track) for track in task.tracks], True, ()
        else:
            pairs, blind = task.pairs, False
            files = tuple(f"{track}".encode() for _, track in pairs) if task.record else ()
        played = [
            Played(float(-track) if blind else 1000 * float(task.parameters[row, 0]) + track, 1, 5, True, False, False,
                   np.zeros(1, np.float32))
            for row, track in pairs
        ]  # fmt: skip
        return Tried(played, None, 0.25, 0.5, files)


class Backwards(SerialExecutor):
    """Its tasks end in the opposite order, as may happen where there are many workers."""

    def run(self, items):
        yield from reversed(list(super().run(items)))


@pytest.fixture
def tasks():
    return []


@pytest.fixture
def executor(tasks):
    with Backwards(lambda setup: Reporter(setup), tasks) as executor:
        yield executor


@pytest.mark.parametrize("most", [1, 2, 4, 99])
def test_every_controller_drives_every_track_once(executor, tasks, most):
    found = {(each.controller, each.place): each for each in drive(executor, PARAMETERS, TRACKS, most=most)}
    assert len(found) == 6 and len(tasks) == -(-6 // most)
    for (row, place), each in found.items():
        assert each.track == TRACKS[place] and each.played.score == 1000 * (row + 1) + each.track
    assert all(len(task.parameters) == len({row for row, _ in task.pairs}) for task in tasks)


@pytest.mark.parametrize(("workers", "sizes"), [(1, [5, 1]), (2, [3, 3]), (4, [2, 2, 2]), (16, [1] * 6)])
def test_every_worker_has_a_task(executor, tasks, workers, sizes):
    executor.workers = workers
    list(drive(executor, PARAMETERS, TRACKS, most=5))
    assert [len(task.pairs) for task in tasks] == sizes


@pytest.mark.parametrize("most", [1, 2, 9])
def test_one_controllers_episodes_come_in_the_order_of_the_tracks(executor, most):
    found = drive_in_order(executor, PARAMETERS[1], TRACKS, most=most, record=True)
    assert [each.track for each in found] == TRACKS and [each.recorded for each in found] == [b"30", b"10", b"20"]
    assert [each.played.score for each in found] == [2030, 2010, 2020]


def test_without_parameters_nobody_looks(executor, tasks):
    found = {each.track: each.played.score for each in drive(executor, None, TRACKS, most=2)}
    assert found == {track: -track for track in TRACKS} and all(isinstance(task, BlindTask) for task in tasks)


def test_the_cost_of_all_tasks_is_added(executor):
    cost = Cost()
    list(drive(executor, PARAMETERS, TRACKS, most=2, cost=cost))
    assert (cost.frames, cost.environment_seconds, cost.network_seconds) == (30, 0.75, 1.5)


def test_training_and_recording_are_asked_for(executor, tasks):
    list(drive(executor, PARAMETERS, TRACKS, most=9))
    list(drive(executor, PARAMETERS, TRACKS, most=9, training=True, record=True))
    assert [(task.training, task.record) for task in tasks] == [(False, False), (True, True)]
