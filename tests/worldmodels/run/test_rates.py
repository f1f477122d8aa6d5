"""Rates are those of a quiet machine, whatever runs beside the measuring."""

import time
from types import SimpleNamespace

import pytest
import torch

from generative.runs.versions import usable_cores
from tests.small import looped_config
from worldmodels.run import other_work, rates
from worldmodels.run.other_work import OtherWork, slowdown
from worldmodels.run.rates import Rates, seconds_of


def test_calls_are_timed_by_the_clock_that_is_given(monkeypatch):
    monkeypatch.setattr(rates, "BUDGET", 0.0)
    monkeypatch.setattr(rates, "LEAST", 3)
    now = [0.0]
    lengths = iter([9.0, 9.0, 1.0, 2.0, 90.0])  # two first calls, then three

    def step():
        now[0] += next(lengths)

    assert seconds_of(step, lambda: now[0]) == 2.0


@pytest.mark.parametrize(
    ("threads", "others", "cores", "times"), [(2, 0, 2, 1), (2, 1, 2, 1.5), (1, 1, 2, 1), (2, 2, 2, 2), (4, 0.5, 16, 1)]
)
def test_others_slow_work_down_by_what_they_leave(threads, others, cores, times):
    assert slowdown(threads, others, cores) == times


def test_the_work_of_others_is_what_the_cores_did_less_our_own(monkeypatch):
    def core(user, idle, guest=0.0):
        return SimpleNamespace(_asdict=lambda: {"user": user, "system": 0.0, "idle": idle, "guest": guest})

    readings = iter([[core(10, 10), core(0, 20), core(5, 5)], [core(14, 10, 3), core(3, 21), core(50, 5)]])
    monkeypatch.setattr(other_work.psutil, "cpu_times", lambda percpu: next(readings))
    monkeypatch.setattr(other_work.os, "sched_getaffinity", lambda process: {0, 1})
    seconds, ours = iter([100.0, 104.0]), iter([1.0, 3.0])
    monkeypatch.setattr(other_work.time, "perf_counter", lambda: next(seconds))
    monkeypatch.setattr(other_work.time, "process_time", lambda: next(ours))
    assert OtherWork().cores() == (4 + 3 - 2) / 4


def test_where_the_system_tells_nothing_nobody_else_works(monkeypatch):
    monkeypatch.setattr(other_work.psutil, "cpu_times", lambda percpu: [])
    assert OtherWork().cores() == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("others", [0.0, 1.0])
def test_beside_other_work_all_is_timed_by_the_processor_on_one_thread(monkeypatch, others):
    clocks, threads = [], []

    def measured(step, clock=time.perf_counter):
        step()
        clocks.append(clock)
        threads.append(torch.get_num_threads())
        return 6.0

    monkeypatch.setattr(rates, "seconds_of", measured)
    monkeypatch.setattr(OtherWork, "cores", lambda self: others * usable_cores())
    monkeypatch.setattr(rates, "SERIAL", 0.5)
    torch.set_num_threads(2)
    try:
        found = Rates(looped_config(device="cpu", evolve={"world": "dream"}))
        for _ in found.measure():
            pass
    finally:
        torch.set_num_threads(1)
    # encoding, both trainings; then perceiving, two lengths of dreams, and products on one core and on all
    trainings = [time.process_time if others else time.perf_counter] * 3
    assert clocks == trainings + [time.process_time] * 5
    assert threads == [1 if others else 2] * 3 + [1] * 5
    assert found.vision_step == found.memory_step == (6.0 * 0.75 if others else 6.0)
    assert found.perceive == 6.0 and found.others == others * usable_cores()
