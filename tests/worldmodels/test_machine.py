import os
import sys

import psutil
import pytest

from worldmodels import machine
from worldmodels.machine import cpu_quota, give_back_memory, memory_limit


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.fixture
def own(tmp_path):
    return tmp_path / "cgroup"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")
def test_free_memory_between_what_stays_is_given_back():
    process = psutil.Process()
    before = process.memory_info().rss
    parts = [bytearray(2000) for _ in range(40_000)]
    kept = parts[::500]  # so that what is free lies between
    parts.clear()
    give_back_memory()
    assert process.memory_info().rss - before < 20e6 and len(kept) == 80


def test_a_quota_of_version_2(tmp_path, own):
    write(own, "0::/\n")
    write(tmp_path / "fs" / "cpu.max", "150000 100000\n")
    assert cpu_quota(tmp_path / "fs", own) == 1.5


def test_the_least_quota_of_all_groups_above_counts(tmp_path, own):
    write(own, "0::/pod/job\n")
    write(tmp_path / "fs" / "pod" / "job" / "cpu.max", "max 100000\n")
    write(tmp_path / "fs" / "pod" / "cpu.max", "200000 100000\n")
    write(tmp_path / "fs" / "cpu.max", "800000 100000\n")
    assert cpu_quota(tmp_path / "fs", own) == 2


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
def test_a_quota_of_version_1(tmp_path, own, mount):
    write(own, "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n0::/\n")
    # The container's own group is mounted as the root: `docker/x` is not there.
    write(tmp_path / "fs" / mount / "cpu.cfs_quota_us", "400000\n")
    write(tmp_path / "fs" / mount / "cpu.cfs_period_us", "100000\n")
    assert cpu_quota(tmp_path / "fs", own) == 4


@pytest.mark.parametrize("quota", ["max 100000", "-1", "", "x y"])
def test_no_quota(tmp_path, own, quota):
    write(own, "1:cpu:/\n0::/\n")
    write(tmp_path / "fs" / "cpu.max", quota)
    write(tmp_path / "fs" / "cpu" / "cpu.cfs_quota_us", "-1\n")
    write(tmp_path / "fs" / "cpu" / "cpu.cfs_period_us", "100000\n")
    assert cpu_quota(tmp_path / "fs", own) is None


def test_without_cgroups(tmp_path):
    assert cpu_quota(tmp_path, tmp_path / "none") is None and memory_limit(tmp_path, tmp_path / "none") > 2**20


@pytest.mark.parametrize(
    ("group", "file"), [("0::/\n", "memory.max"), ("4:memory:/x\n", "memory/x/memory.limit_in_bytes")]
)
def test_a_limit_of_memory(tmp_path, own, group, file):
    write(own, group)
    write(tmp_path / "fs" / file, "1000000\n")
    assert memory_limit(tmp_path / "fs", own) == 1_000_000


@pytest.mark.parametrize(("quota", "cores"), [(None, 8), (1.5, 2), (0.2, 1), (64.0, 8)])
def test_cores_are_the_least_of_affinity_and_quota(monkeypatch, quota, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "cpu_quota", lambda: quota)
    assert machine.available_cores() == cores
