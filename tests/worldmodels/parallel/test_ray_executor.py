"""Ray gives the serial numbers bit for bit whatever happens to its workers, and leaves no trace.

The rollouts are chaotic, so that a difference in the last bit of one number is visible in the result.
"""

import contextlib
import ipaddress
import json
import os
import re
import signal
import stat
import subprocess
import sys
import sysconfig
import threading
import time
import venv
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch

from worldmodels.parallel.config import ExecutorConfig
from worldmodels.parallel.executor import ExecutorError, WorkerError
from worldmodels.parallel.host import describe_host
from worldmodels.parallel.open import open_executor

pytestmark = [pytest.mark.ray, pytest.mark.slow]
WIDTH = 16
ROLLS = [("roll", n) for n in range(9)]


class Chaos:
    """Rolls an LSTM out, and misbehaves on demand."""

    def __init__(self, setup):
        self.folder = Path(setup["folder"])
        generator = np.random.default_rng(setup["seed"])
        self.cell = torch.nn.LSTMCell(4, 64)
        with torch.no_grad():
            for parameter in self.cell.parameters():
                parameter.copy_(torch.from_numpy(generator.standard_normal(parameter.shape, dtype=np.float32)))

    def __call__(self, item):
        kind, number = item
        pid = self.folder / f"{os.getpid()}.tmp"
        pid.write_text(str(os.getpid()))
        pid.replace(self.folder / f"pid-{number}")
        if kind == "lock":
            return threading.Lock()
        self.misbehave(kind, self.folder / f"done-{kind}-{number}")
        return self.roll(np.random.default_rng(number).standard_normal((WIDTH, 4), dtype=np.float32))

    def misbehave(self, kind, mark):
        if kind.endswith("once"):
            if mark.exists():
                return
            mark.touch()
        if kind.startswith("slow"):
            time.sleep(0.3)
        elif kind.startswith("hang"):
            time.sleep(1000)
        elif kind.startswith("freeze"):
            os.kill(os.getpid(), signal.SIGSTOP)
        elif kind.startswith("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        elif kind == "raise":
            raise ValueError("a flat tyre")

    @torch.no_grad()
    def roll(self, start):
        z = torch.from_numpy(start)
        h = c = torch.zeros(len(z), 64)
        total = torch.zeros(len(z))
        for _ in range(200):
            h, c = self.cell(z, (h, c))
            z = 2 * h[:, :4]
            total += h.mean(1)
        return total.numpy()


def serial(setup, items=ROLLS):
    with open_executor(ExecutorConfig(type="serial"), Chaos, setup) as executor:
        return executor.map(items)


def alive(processes, patience=5.0):
    deadline = time.monotonic() + patience
    while True:
        left = []
        for process in processes:
            with contextlib.suppress(psutil.Error):
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    left.append(process)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


@pytest.fixture(scope="module", autouse=True)
def _patient():
    """Workers have enough time to start on a machine under load."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExecutorConfig, "ready_timeout", 400.0)
        yield


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    return {"seed": 0, "folder": str(tmp_path_factory.mktemp("marks"))}


@pytest.fixture(scope="module")
def expected(setup):
    return serial(setup)


@pytest.fixture(scope="module")
def two(setup):
    """What a session of two workers gave and left."""
    ray = pytest.importorskip("ray")
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    environment, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    before = psutil.Process().children(recursive=True)  # of other tests, such as multiprocessing's resource tracker
    with open_executor(ExecutorConfig(workers=2), Chaos, setup) as executor:
        results = executor.map(ROLLS)
        children = [child for child in psutil.Process().children(recursive=True) if child not in before]
        kept = signal.getsignal(signal.SIGTERM) is handler
    left = alive(children)
    changed = {name for name in os.environ if os.environ[name] != environment.get(name)}
    return SimpleNamespace(results=results, children=children, left=left, changed=changed, kept=kept, executor=executor)


@pytest.fixture(scope="module")
def three(two, setup):
    """An executor opened after another one was closed."""
    with open_executor(ExecutorConfig(workers=3), Chaos, setup) as executor:
        yield executor


@pytest.fixture(scope="module")
def elsewhere(setup, tmp_path_factory):
    """What a program elsewhere, with a space in its interpreter's path, gave and left after Ctrl-C."""
    room = tmp_path_factory.mktemp("a folder with space")
    home, cwd = room / "home", room / "cwd"
    home.mkdir()
    cwd.mkdir()
    venv.create(room / "venv", symlinks=True)
    packages = next((room / "venv").glob("lib/python*/site-packages"))
    (packages / "ours.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    program = room / "program.py"
    program.write_text(
        f"import json, sys\nsys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
        "from test_ray_executor import ROLLS, Chaos\n"
        "from worldmodels.parallel.config import ExecutorConfig\n"
        "from worldmodels.parallel.open import open_executor\n"
        f"with open_executor(ExecutorConfig(workers=1), Chaos, {setup!r}) as executor:\n"
        "    print(json.dumps([result.tolist() for result in executor.map(ROLLS)]), flush=True)\n"
        "    executor.map([('hang', 0)])\n"
    )
    environment = {
        **os.environ,
        "HOME": str(home),
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "RAY_ADDRESS": "192.0.2.1:6379",
    }
    process = subprocess.Popen(
        [room / "venv/bin/python", program],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    seen = SimpleNamespace(home=home, cwd=cwd)
    try:
        first = process.stdout.readline()
        if not first:
            pytest.fail(process.communicate()[1])
        seen.results = [np.array(result, np.float32) for result in json.loads(first)]
        itself = psutil.Process(process.pid)
        seen.children = itself.children(recursive=True)
        seen.listening = {
            connection.laddr.ip
            for one in [itself, *seen.children]
            for connection in one.net_connections()
            if connection.status == psutil.CONN_LISTEN
        }
        commands = seen.commands = " ".join(word for child in seen.children for word in child.cmdline())
        seen.folders = {Path(folder) for folder in re.findall(r"(/[^\s=]*/wm-\w+)/r/session", commands)}
        os.killpg(process.pid, signal.SIGINT)
        seen.output, seen.errors = process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    seen.left = alive(seen.children)
    return seen


def test_the_rollout_shows_a_change_of_batch_width(setup, expected):
    chaos = Chaos(setup)
    start = np.random.default_rng(0).standard_normal((WIDTH, 4), dtype=np.float32)
    assert np.array_equal(chaos.roll(start), expected[0])
    alone = np.concatenate([chaos.roll(start[row : row + 1]) for row in range(WIDTH)])
    assert np.abs(alone - expected[0]).max() > 1e-3


def test_results_equal_the_serial_ones_with_one_worker(elsewhere, expected):
    assert np.array_equal(elsewhere.results, expected)


def test_results_equal_the_serial_ones_with_two_workers(two, expected):
    assert np.array_equal(two.results, expected)


def test_results_equal_the_serial_ones_with_three_workers(three, expected):
    assert three.workers == 3
    assert np.array_equal(three.map(ROLLS), expected)
    order = [index for index, _ in three.run(ROLLS)]
    assert sorted(order) == list(range(len(ROLLS)))


def test_closing_leaves_no_process_variable_or_signal_handler(two):
    assert len(two.children) >= 4
    assert not two.left
    assert two.kept
    assert not {name for name in two.changed if name.startswith("RAY_AUTH") or name == "PYTHONPATH"}
    with pytest.raises(ExecutorError, match="closed"):
        two.executor.map(ROLLS)


def test_ctrl_c_leaves_no_process_and_no_file(elsewhere):
    assert len(elsewhere.children) >= 4
    assert not elsewhere.left
    assert len(elsewhere.folders) == 1
    assert not any(folder.exists() for folder in elsewhere.folders)


def test_no_process_runs_that_nobody_asks(elsewhere):
    assert "raylet" in elsewhere.commands
    for extra in ("dashboard.py", "log_monitor.py", "monitor.py"):
        assert extra not in elsewhere.commands, extra


def test_nothing_is_written_to_the_users_folders(elsewhere):
    assert list(elsewhere.home.iterdir()) == []
    assert list(elsewhere.cwd.iterdir()) == []


def test_nothing_is_printed(elsewhere):
    assert elsewhere.output == ""
    assert elsewhere.errors.startswith("Traceback")
    assert elsewhere.errors.rstrip().endswith("KeyboardInterrupt")


def test_only_this_machine_can_connect(elsewhere):
    assert elsewhere.listening
    for text in elsewhere.listening:
        address = ipaddress.ip_address(text)
        address = getattr(address, "ipv4_mapped", None) or address
        assert address.is_loopback, elsewhere.listening


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_another_user_reaches_neither_folder_nor_sockets(three):
    """Ray opens the folder it is given, and that of its sockets, to everybody; ours around it is closed."""
    folder = Path(three._stop.peek()[2][1])
    (sockets,) = folder.glob("**/session_2*/sockets")
    assert sockets.stat().st_mode & stat.S_IWOTH and list(sockets.iterdir())

    def may(command, path):
        done = subprocess.run([*command, path], user=12345, group=12345, extra_groups=[], cwd="/", capture_output=True)
        return done.returncode == 0

    assert may(["ls"], "/")
    for path in (folder, sockets.parent, sockets, *sockets.iterdir()):
        assert not may(["ls"], path)
        assert not may(["test", "-w"], path)
    for path in (folder, sockets.parent, sockets):
        assert not may(["touch"], path / "intruder")
        assert not may(["mv", "-T", sockets], path / "away")


def test_an_error_of_the_workers_code_ends_the_run_at_once(three, setup, expected):
    for mark in Path(setup["folder"]).glob("pid-*"):
        mark.unlink()
    with pytest.raises(WorkerError, match="item 2 failed") as caught:
        three.map([*ROLLS[:2], ("raise", 2), *[("slow", n) for n in range(3, 30)]])
    assert len(list(Path(setup["folder"]).glob("pid-*"))) < 30
    assert 'raise ValueError("a flat tyre")' in str(caught.value)
    assert np.array_equal(three.map(ROLLS), expected)


def test_configure_reaches_every_worker_and_ends_a_run(three, setup, expected):
    run = three.run(ROLLS)
    next(run)
    other = {**setup, "seed": 1}
    three.configure(other)
    try:
        with pytest.raises(ExecutorError, match="ended by a later"):
            next(run)
        slow = three.map([("slow", n) for n in range(9)])
        assert len({mark.read_text() for mark in Path(setup["folder"]).glob("pid-*")}) == 3
        assert np.array_equal(slow, serial(other))
        assert not np.array_equal(slow, expected)
    finally:
        three.configure(setup)
    assert np.array_equal(three.map(ROLLS), expected)


def test_a_second_executor_is_refused_and_the_first_lives_on(three, setup, expected):
    with pytest.raises(ExecutorError, match="uses Ray already"):
        open_executor(ExecutorConfig(workers=1), Chaos, setup)
    assert np.array_equal(three.map(ROLLS), expected)


def test_other_versions_or_code_are_refused_and_other_processors_reported(three, caplog):
    slot = three._slots.every[0]
    same = {**describe_host(), "host": "far", "pid": os.getpid(), "node": slot.node}
    for name in ("python", "torch", "numpy", "gymnasium", "box2d", "cma", "code"):
        with pytest.raises(ExecutorError, match=rf"on far .*: {name} 1.0 there and {re.escape(same[name])} here"):
            three._check_host(slot, {**same, name: "1.0"})
    process, host = slot.process, slot.host
    three._check_host(slot, {**same, "cpu": "abacus"})
    slot.process, slot.host = process, host
    assert "abacus" in caplog.text and "only up to rounding" in caplog.text


def test_a_result_that_cannot_travel_is_reported(three):
    with pytest.raises(WorkerError, match="cannot read its input or send its result"):
        three.map([("lock", 0)])


def test_a_killed_worker_is_replaced(three, setup, expected, caplog, capfd):
    folder, results, killed = Path(setup["folder"]), {}, 0
    for mark in folder.glob("pid-*"):
        mark.unlink()
    for index, result in three.run([("slow", n) for n in range(9)]):
        results[index] = result
        if not killed:
            running = [mark for mark in folder.glob("pid-*") if int(mark.name[4:]) not in results]
            killed = int(max(running, key=lambda mark: mark.stat().st_mtime).read_text())
            os.kill(killed, signal.SIGKILL)
    assert np.array_equal([results[n] for n in range(9)], expected)
    assert caplog.text.count("replaced it") == 1
    assert capfd.readouterr() == ("", "")


def test_hung_workers_are_replaced(three, expected, caplog, monkeypatch):
    monkeypatch.setattr(three._slots, "_config", replace(three._config, item_timeout=6.0))
    monkeypatch.setattr(three._slots, "_item_limit", 6.0)
    items = [("hang once", 0), ("freeze once", 1), *ROLLS[2:]]
    assert np.array_equal(three.map(items), expected)
    assert caplog.text.count("gave no answer for 6 s; replaced it") >= 2  # more where the machine is busy


def test_an_item_that_kills_its_workers_is_named(three, expected):
    with pytest.raises(ExecutorError, match=r"item 4 cost 3 workers.*--executor.type serial"):
        three.map([*ROLLS[:4], ("die", 4), *ROLLS[5:]])
    assert np.array_equal(three.map(ROLLS), expected)


def test_too_many_lost_workers_end_the_run(three, monkeypatch):
    monkeypatch.setattr(ExecutorConfig, "max_failures", 0)
    with pytest.raises(ExecutorError, match=r"1 workers lost, more than 0;"):
        three.map([("die once", n) for n in range(3)])
