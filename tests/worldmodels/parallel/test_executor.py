"""The serial executor and what it shares with Ray's: configuration, errors, one thread."""

import importlib.metadata
import os
import shutil
import sys
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import worldmodels
from worldmodels.errors import RunError
from worldmodels.machine import available_cores
from worldmodels.parallel.config import ExecutorConfig
from worldmodels.parallel.executor import Executor, ExecutorError, WorkerError
from worldmodels.parallel.host import COMPARED, describe_host, folder_digest, project_path
from worldmodels.parallel.open import open_executor
from worldmodels.parallel.ray_executor import RayExecutor
from worldmodels.parallel.ray_internals import Internals
from worldmodels.parallel.ray_slots import Call, ItemQueue, Slots

SERIAL = ExecutorConfig(type="serial")


class Adder:
    def __init__(self, setup):
        self.offset = int(setup["offset"])

    def __call__(self, item):
        if item == "bad":
            raise KeyError("no such gear")
        if item == "threads":
            return torch.get_num_threads()
        return item + self.offset


def broken(setup):
    raise OSError("no models here")


def refused(setup):
    raise RunError("no such track")


@pytest.fixture
def serial():
    with open_executor(SERIAL, Adder, {"offset": 10}) as executor:
        yield executor


def test_results_carry_their_index(serial):
    assert isinstance(serial, Executor)
    assert serial.workers == 1
    assert list(serial.run([3, 1, 2])) == [(0, 13), (1, 11), (2, 12)]
    assert serial.map([3, 1, 2]) == [13, 11, 12]
    assert serial.map([]) == []


def test_configure_rebuilds_the_worker_and_ends_a_run(serial):
    run = serial.run([1, 2])
    assert next(run) == (0, 11)
    serial.configure({"offset": 20})
    with pytest.raises(ExecutorError, match="ended by a later"):
        next(run)
    assert serial.map([1]) == [21]


def test_a_workers_error_carries_its_traceback(serial):
    with pytest.raises(WorkerError, match="item 1 failed") as caught:
        serial.map([1, "bad"])
    assert 'raise KeyError("no such gear")' in str(caught.value)
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(WorkerError, match="no models here"):
        open_executor(SERIAL, broken, {})


def test_a_closed_executor_says_so(serial):
    serial.close()
    serial.close()
    with pytest.raises(ExecutorError, match="closed"):
        serial.map([1])


def test_a_failed_configure_leaves_no_old_worker(serial):
    with pytest.raises(WorkerError):
        serial.configure({})
    with pytest.raises(ExecutorError, match="closed"):
        serial.map([1])


def test_items_run_on_one_thread_and_the_callers_setting_returns(serial):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert serial.map(["threads"]) == [1]
        assert torch.get_num_threads() == 2
        with pytest.raises(WorkerError):
            serial.map(["bad"])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": -1}, "workers=-1"),
        ({"item_timeout": -1.0}, "item_timeout=-1.0"),
        ({"item_timeout": float("nan")}, "item_timeout=nan"),
        ({"envs": 0}, "envs=0"),
        ({"address": "ray://head:10001"}, "HOST:PORT"),
        ({"address": "head"}, "HOST:PORT"),
        ({"address": "head:0"}, "HOST:PORT"),
        ({"address": "head:99999"}, "HOST:PORT"),
    ],
)
def test_a_wrong_configuration_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ExecutorConfig(**options)


def test_addresses_of_clusters_are_accepted():
    for address in ("", "auto", "10.0.0.1:6379", "head.local:6379"):
        assert ExecutorConfig(address=address).address == address


def test_without_ray_the_message_names_the_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ExecutorError, match=r"--executor\.type serial"):
        open_executor(ExecutorConfig(), Adder, {"offset": 1})


def test_the_host_is_described_and_its_cores_counted():
    host = describe_host()
    assert host["torch"] == torch.__version__ and host["numpy"] == np.__version__
    assert host["cpu"]
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def test_the_hosts_description_names_the_versions_and_our_code(monkeypatch):
    host = describe_host()
    assert set(COMPARED) < set(host)
    for name in ("gymnasium", "box2d", "cma"):
        assert host[name] == importlib.metadata.version(name)
    assert host["code"] == folder_digest(Path(worldmodels.__file__).parents[1])


def test_the_digest_of_the_code_sees_every_change_of_it(tmp_path):
    def digest(files):
        shutil.rmtree(tmp_path / "home", ignore_errors=True)
        for name, content in files.items():
            (tmp_path / "home" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "home" / name).write_text(content)
        return folder_digest(tmp_path / "home")

    files = {"worldmodels/a.py": "x = 1\n", "agents/deep/b.py": "y = 2\n", "scripts/c.py": ""}
    same = digest(files)
    assert digest(dict(reversed(files.items()))) == same
    assert digest({**files, "notes.txt": "z", "tests/d.py": "", "worldmodels/a.pyc": "x"}) == same
    changed = [
        {**files, "worldmodels/a.py": "x = 2\n"},
        {**files, "agents/deep/b.py": "y = 3\n"},
        {**files, "envs/e.py": ""},
        {**files, "worldmodels/a.py": "", "scripts/c.py": "x = 1\n"},
        {"worldmodels/f.py": "x = 1\n", "agents/deep/b.py": "y = 2\n", "scripts/c.py": ""},
    ]
    assert len({same, *map(digest, changed)}) == 1 + len(changed)


def test_a_users_error_in_a_worker_comes_without_a_traceback():
    with pytest.raises(WorkerError) as caught:
        open_executor(SERIAL, refused, {})
    assert str(caught.value) == "building a worker: no such track"


def test_workers_get_the_projects_folders_but_no_installed_ones(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path), "/nowhere", os.path.dirname(os.__file__), *sys.path])
    folders = project_path().split(os.pathsep)
    assert folders[0] == str(tmp_path)
    assert "/nowhere" not in folders and os.path.dirname(os.__file__) not in folders
    assert not any("site-packages" in folder for folder in folders)


def test_a_ray_that_does_not_start_names_the_way_out_and_leaves_nothing(monkeypatch, tmp_path):
    ray = pytest.importorskip("ray")
    folder = tmp_path / "session"
    folder.mkdir()
    environment = dict(os.environ)

    def init(**options):
        assert os.environ["RAY_AUTH_MODE"] == "token"
        raise RuntimeError("no shared memory")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr("worldmodels.parallel.ray_executor.short_folder", lambda: str(folder))
    with pytest.raises(ExecutorError, match=r"(?s)no shared memory.*--executor.type serial"):
        open_executor(ExecutorConfig(workers=1), Adder, {"offset": 1})
    assert not folder.exists()
    assert {name for name in os.environ if name.startswith("RAY_AUTH")} <= set(environment)


def pool(count):
    """An executor whose workers are all free, and none of which exists."""
    executor = RayExecutor.__new__(RayExecutor)
    executor._config, executor._failures = ExecutorConfig(), 0
    executor._slots = Slots(executor._config, count)
    for slot in executor._slots.every:
        occupy(executor, slot)
    return executor


def occupy(executor, slot):
    slot.actor = SimpleNamespace(call=SimpleNamespace(remote=lambda index, item: object()))
    executor._slots._file(slot)


def test_of_two_lost_items_neither_is_blamed_before_it_ran_alone(monkeypatch):
    """The answer of a finished item can be lost with its worker when the next item kills it at once."""
    executor = pool(2)
    run = executor._run = ItemQueue(list(range(12)), deque(range(12)))
    monkeypatch.setattr(executor, "_vacate", executor._slots.clear)
    monkeypatch.setattr(executor, "_build", lambda slot: occupy(executor, slot))

    executor._hand_out(run)
    first, second = executor._slots.every
    assert [call.item for call in first.calls] == [0, 2]
    assert [call.item for call in second.calls] == [1, 3]
    executor._replace(first, "died")
    assert list(run.todo)[:3] == [0, 2, 4]

    executor._slots.clear(second)
    occupy(executor, second)
    executor._hand_out(run)  # the suspects alone, with nothing waiting behind them
    assert [call.item for call in first.calls] == [0]
    assert [call.item for call in second.calls] == [2]
    executor._replace(second, "died")
    executor._hand_out(run)
    with pytest.raises(ExecutorError, match="item 2 cost 3 workers; the last one died"):
        executor._replace(second, "died")


def test_a_replacement_that_cannot_be_built_ends_the_run():
    executor = pool(1)
    never = SimpleNamespace(RayTaskError=KeyError, RaySystemError=KeyError, RayError=KeyError)
    executor._ray = SimpleNamespace(get=lambda ref: ref, exceptions=never)
    executor._run = ItemQueue([1], deque([0]))
    (slot,) = executor._slots.every
    executor._slots.add(slot, Call((0.0, None, "no models here")))
    with pytest.raises(WorkerError, match="no models here"):
        executor._take(slot)
    executor._slots.add(slot, Call((0.0, None, "long forgotten"), 0, ItemQueue([1], deque())))
    assert executor._take(slot) == []


def placed(monkeypatch, nodes, **options):
    """A pool on a cluster whose workers are on the given nodes, each at one item; those of a node `lost` are gone."""
    executor = pool(len(nodes))
    executor._config = ExecutorConfig(address="10.0.0.1:6379", **options)
    executor.workers, executor._opened = len(nodes), True
    executor._run = ItemQueue(list(range(20)), deque(range(20)))
    for slot, node in zip(executor._slots.every, nodes, strict=True):
        slot.node, slot.host = node, f"host-{node}"
    for slot in list(executor._slots.every):
        executor._slots.add(slot, Call(object(), executor._run.todo.popleft(), executor._run))

    def place_again(slot):
        slot.actor = object()
        executor._slots.add(slot, Call(object(), where=True))

    monkeypatch.setattr(executor, "_vacate", executor._slots.clear)
    monkeypatch.setattr(executor, "_build", place_again)
    monkeypatch.setattr(executor, "_is_lost", lambda node: node == "lost")
    return executor


def test_a_lost_machine_counts_once_and_its_items_are_not_to_blame(monkeypatch, caplog):
    executor = placed(monkeypatch, ["here", "lost", "lost", "lost", "here"])
    monkeypatch.setattr(ExecutorConfig, "max_failures", 1)
    executor._replace(executor._slots.every[2], "died")
    assert executor._failures == 1
    assert "lost the machine host-lost with 3 workers; going on with the 2 others" in caplog.text
    assert sorted(executor._run.todo) == [1, 2, 3, *range(5, 20)] and not executor._run.deaths
    assert [slot.ready for slot in executor._slots.every] == [True, False, False, False, True]
    with pytest.raises(ExecutorError, match=r"2 workers lost, .*; the last was worker 0, which hung"):
        executor._replace(executor._slots.every[0], "hung")
    assert executor._run.deaths == {0: 1}


def test_workers_without_a_machine_wait_as_long_as_others_work(monkeypatch):
    executor = placed(monkeypatch, ["here", "lost"])
    kept, waiting = executor._slots.every
    executor._replace(waiting, "died")
    waiting.started -= 1000
    assert executor._slots.late() == [waiting.calls[0].ref]
    executor._give_up(waiting)
    assert executor._failures == 1 and not executor._slots.late() and waiting.calls[0].where
    executor._slots.clear(kept)
    executor._ray = SimpleNamespace(cluster_resources=lambda: {"CPU": 0.0})
    with pytest.raises(ExecutorError, match="0 of 2 workers ready after 120 s; Ray has 0 CPUs"):
        executor._give_up(waiting)


def test_a_cluster_has_room_on_the_machines_that_answer(monkeypatch, caplog):
    """Ray itself counts a machine's CPUs for up to a minute after it is lost."""
    nodes = [
        {"Alive": True, "NodeManagerAddress": host, "NodeManagerPort": 1, "Resources": {"CPU": 4.0}} for host in "ab"
    ]
    nodes += [{**nodes[0], "Alive": False}, {**nodes[0], "Resources": {}}]
    executor = placed(monkeypatch, [], workers=6)
    executor.workers, executor._ray = 6, SimpleNamespace(nodes=lambda: nodes)
    monkeypatch.setattr("worldmodels.parallel.ray_executor.is_healthy", lambda address: address == "a:1")
    assert executor._fitting() == 4 and "CPUs for 4 of 6 workers" in caplog.text
    executor._config = ExecutorConfig(address="10.0.0.1:6379", workers=3)
    assert executor._fitting() == 3
    executor._config = ExecutorConfig(address="10.0.0.1:6379")
    assert executor._fitting() == 4


@pytest.mark.parametrize(
    "name",
    [
        "ray._private.worker._worker_logs_enabled",
        "ray._private.ray_constants.ENABLE_RAY_CLUSTER",
        "ray._raylet.AuthenticationTokenLoader",
        "ray._raylet.Config",
        "ray._private.node.Node.start_monitor",
        "ray._private.node.Node.start_log_monitor",
        "ray._private.node.Node.start_api_server",
    ],
)
def test_a_ray_that_has_changed_inside_is_told(monkeypatch, name):
    pytest.importorskip("ray._private.worker")
    Internals()
    monkeypatch.delattr(name)
    with pytest.raises(ExecutorError, match=r"Ray has changed inside .*pip install 'ray>=2.60,<2.61'"):
        Internals()


class FakeRay:
    """A Ray whose workers answer at once."""

    exceptions = SimpleNamespace(RayTaskError=KeyError, RaySystemError=KeyError, RayError=KeyError)

    def wait(self, refs, num_returns, timeout):
        return refs[-1:], refs[:-1]

    def get(self, ref):
        return 1.0, None, ""


def work_per_answer(workers):
    """How many Python functions the driver calls for one answer, of a pool in which each worker gets four items."""
    executor = pool(workers)
    executor._ray = FakeRay()
    calls = 0

    def count(frame, event, _):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        answers = sum(1 for _ in executor.run(range(4 * workers)))
    finally:
        sys.setprofile(None)
    assert answers == 4 * workers
    return calls / answers


def test_the_drivers_work_for_an_answer_does_not_grow_with_the_workers():
    work_per_answer(64)  # what checks annotations is built at their first calls
    assert work_per_answer(64) < 1.2 * work_per_answer(8)


@pytest.mark.parametrize(("seconds", "limit"), [(1.0, 600.0), (100.0, 2000.0)])
def test_a_worker_counts_as_hung_after_twenty_times_what_items_take(seconds, limit):
    slots = Slots(ExecutorConfig(), 1)
    (slot,) = slots.every
    slots.add(slot, Call("ref", 0, ItemQueue([0], deque())))
    for taken in (seconds, 0.9 * seconds, 50 * seconds):
        slots.note(taken)
    assert slots.limit(slot) == limit
    slot.started -= limit - 5
    assert not slots.late() and 0 < slots.seconds_left() <= 5
    slot.started -= 10
    assert slots.late() == ["ref"] and slots.seconds_left() == 0
