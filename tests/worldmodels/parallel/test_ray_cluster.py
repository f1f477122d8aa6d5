"""Runs on a cluster: of two nodes on this machine, whose sockets are bound to loopback."""

import contextlib
import shutil
import tempfile
import threading
from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest

from scripts.stages import evaluate, evolve
from worldmodels import Run
from worldmodels.files import read_lines
from worldmodels.parallel.config import ExecutorConfig
from worldmodels.parallel.executor import ExecutorError
from worldmodels.parallel.open import open_executor

pytestmark = pytest.mark.ray
MEASURED = ("scores", "mean", "validation", "norm")
"""What a generation notes of its results, beside times."""


class Echo:
    def __init__(self, setup):
        pass

    def __call__(self, item):
        return item


@pytest.fixture(scope="module")
def cluster():
    """A head with one CPU and a node with two, and a way to end the node as a power cut would."""
    pytest.importorskip("ray")
    folder = tempfile.mkdtemp(prefix="wm-", dir="/tmp")
    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_AUTH_MODE", "token")
    patch.setenv("RAY_AUTH_TOKEN", "a" * 64)
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    patch.setenv("RAY_TMPDIR", folder)
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster

    from worldmodels.parallel.ray_internals import Internals

    patch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
    Internals().reread_environment()
    size = {"object_store_memory": 80 * 2**20}
    before = psutil.Process().children(recursive=True)
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **size})
    try:
        node = started.add_node(num_cpus=2, **size)
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
        yield SimpleNamespace(address=started.address, raylet=raylet)
    finally:
        started.shutdown()
        for process in set(psutil.Process().children(recursive=True)) - set(before):
            process.kill()
        patch.undo()
        Internals().reread_environment()
        shutil.rmtree(folder, ignore_errors=True)


def results(run):
    entries = read_lines(run.folder("evolve") / "generations.jsonl")
    rows = sorted(read_lines(run.folder("evaluate") / "episodes.jsonl"), key=lambda row: row["track"])
    return [{name: entry.get(name) for name in MEASURED} for entry in entries], rows


def test_a_wrong_token_is_told_at_once(cluster, monkeypatch):
    config = ExecutorConfig(address=cluster.address, workers=1)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "b" * 64)
    with pytest.raises(ExecutorError, match="does not take the token in RAY_AUTH_TOKEN: copy"):
        open_executor(config, Echo, 0)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(ExecutorError, match="RAY_AUTH_MODE is not set here"):
        open_executor(config, Echo, 0)


def test_another_port_of_ray_is_told_at_once(cluster):
    ports = {one.laddr.port for one in cluster.raylet.net_connections() if one.status == psutil.CONN_LISTEN}
    assert ports
    for port in ports:
        with pytest.raises(ExecutorError, match="not the port of Ray's head"):
            open_executor(ExecutorConfig(address=f"127.0.0.1:{port}"), Echo, 0)


def test_a_machine_that_is_no_part_of_the_cluster_is_told_at_once(cluster, monkeypatch):
    monkeypatch.setattr(psutil, "process_iter", lambda attributes: [])
    with pytest.raises(ExecutorError, match=rf"no part of the cluster.*: ray start --address={cluster.address}"):
        open_executor(ExecutorConfig(address=cluster.address), Echo, 0)


@pytest.mark.long
@pytest.mark.slow
def test_a_machine_lost_in_mid_generation_changes_no_number(cluster, trained, tmp_path, caplog, monkeypatch):
    """The node's two workers stop in the second generation, then all its processes are killed: one loss, not two."""
    monkeypatch.setattr(ExecutorConfig, "max_failures", 1)
    monkeypatch.setattr(ExecutorConfig, "ready_timeout", 180.0)
    shutil.copytree(trained.path, tmp_path / "serial")
    serial = Run(tmp_path / "serial")
    serial.config = replace(serial.config, evolve=replace(serial.config.evolve, world="real"))
    trained.config = replace(
        serial.config,
        executor=replace(serial.config.executor, type="ray", address=cluster.address, workers=3),
    )
    for stage in (evolve, evaluate):
        for _ in stage(serial):
            pass
    doomed = [cluster.raylet, *cluster.raylet.children(recursive=True)]
    cut = threading.Timer(1.0, lambda: [process.kill() for process in doomed if process.is_running()])
    for progress in evolve(trained):
        if progress.unit == "generations" and progress.done == 1 and cut.ident is None:
            doomed += cluster.raylet.children(recursive=True)
            for process in doomed[1:]:
                with contextlib.suppress(psutil.NoSuchProcess):  # some end by themselves, and are zombies for a while
                    if "RayWorker" in " ".join(process.cmdline()):
                        process.suspend()
            cut.start()
    cut.join()
    assert caplog.text.count("lost the machine") == 1 and "with 2 workers; going on with the 1 others" in caplog.text
    for _ in evaluate(trained):  # on the head alone, though the configuration asks for three workers
        pass
    assert results(trained) == results(serial)
