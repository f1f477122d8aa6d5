"""Checks every annotation while testing, keeps BLAS and torch to one thread, seeds what a test draws.

Tests are shared among as many processes as there are cores, and one more, as tests that wait for Ray or for a command
leave cores idle; without slow tests none waits. A file stays in one process, so that what its fixtures make is made
once. Tests that start Ray stay in one process too, and so take turns.
"""

import os
import sys

# Sources are compiled once, not by each of many processes; git ignores what is kept of it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from tests.annotations import check_anew, check_annotations

check_annotations(["worldmodels", "agents", "envs", "generative"])

import gc
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import torch
from filelock import FileLock

torch.set_num_threads(1)
SLOW_FIXTURES = {"_looped", "cluster"}
"""What takes long to make; all its tests are slow."""
PROCESSES = 8
"""More would cost more memory (about 1 GiB each) than time is left to save."""


def pytest_addoption(parser, pluginmanager):
    """Take the options of pytest's configuration where pytest-xdist is missing or switched off."""
    if not pluginmanager.hasplugin("xdist"):
        for option in ("--numprocesses", "--dist"):
            parser.addoption(option, help="does nothing without pytest-xdist")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """One process for each core, one more where tests are slow, and none besides this one for a single file."""
    from worldmodels.machine import available_cores

    files = {argument.split("::")[0] for argument in config.args}
    alone = len(files) == 1 and files.pop().endswith(".py")
    more = "not slow" not in config.option.markexpr
    return 0 if alone else min(PROCESSES, available_cores() + more)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep a group together, and the other tests of a file; begin in the order of the collection."""
    from xdist.scheduler import LoadGroupScheduling

    class GroupsAndFiles(LoadGroupScheduling):
        def _split_scope(self, nodeid):
            return super()._split_scope(nodeid).split("::")[0]

    if config.option.dist == "loadgroup":
        config.option.loadscopereorder = False
        return GroupsAndFiles(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, so that no process has a long one left when the others are done.

    Those are the files with most slow tests, then those with most tests of any kind. Tests with the marker `gpu` are
    skipped where there is none; those with a slow fixture are slow.
    """
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        if item.get_closest_marker("ray") and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group("ray"))
        if not item.get_closest_marker("slow") and SLOW_FIXTURES & set(item.fixturenames):
            item.add_marker("slow")
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (-slow[item.path], -tests[item.path]))


def pytest_collection_finish():
    """What is imported by now stays, so the garbage collector need not look at it again and again."""
    gc.freeze()


_running = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    _running[:] = [item]
    return (yield)


def _only_marked_tests_start_ray(self, args, *rest, **options):
    """Fail where Ray's servers are started for a test that is not marked `ray`."""
    program = os.path.basename(str(args if isinstance(args, str | os.PathLike) else args[0]))
    if program in ("gcs_server", "raylet") and not any(item.get_closest_marker("ray") for item in _running):
        raise AssertionError(f"{_running[0].nodeid} starts Ray and is not marked `ray`")
    _start(self, args, *rest, **options)


_start = subprocess.Popen.__init__
subprocess.Popen.__init__ = _only_marked_tests_start_ray


@pytest.fixture(autouse=True)
def _seeded():
    """Every test draws the same numbers from torch's global stream, alone or after others."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _checked_anew():
    """Every test has the annotations of its own first calls checked."""
    check_anew()


@pytest.fixture(autouse=True, scope="session")
def _hurried():
    """What takes seconds in every run and is the same with less."""
    from tests.small import hurry

    with pytest.MonkeyPatch.context() as patch:
        hurry(patch.setattr)
        yield


@pytest.fixture(autouse=True, scope="session")
def _kept_apart(tmp_path_factory):
    """What is kept between runs (images once drawn, and the like) goes where tests write, not to the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENERATIVE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def hasty_vision():
    """Visions that are trained for a few steps only go on to the next stage."""
    from tests.small import accept_every_vision

    with pytest.MonkeyPatch.context() as patch:
        accept_every_vision(patch.setattr)
        yield


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Make a folder once for all processes of this session: `made_once(name, make)` returns its path."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    shared = tmp_path_factory.getbasetemp() if alone else tmp_path_factory.getbasetemp().parent

    def made(name, make) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def _trained(made_once):
    from scripts.stages import collect, train_memory, train_vision
    from tests.small import small_config
    from worldmodels import Run

    def make(folder):
        run = Run.create(folder, small_config())
        for stage in (collect, train_vision, train_memory):
            for _ in stage(run):
                pass

    return Run(made_once("trained", make))


@pytest.fixture
def trained(_trained, tmp_path):
    """A copy of a run whose rollouts, vision and memory are finished."""
    from worldmodels import Run

    shutil.copytree(_trained.path, tmp_path / "run")
    return Run(tmp_path / "run")


@pytest.fixture(scope="session")
def _looped(made_once):
    """A run whose loop is finished; only to be read."""
    from scripts.stages import loop
    from tests.small import looped_config
    from worldmodels import Run

    def make(folder):
        for _ in loop(Run.create(folder, looped_config(seed=3))):  # whose best round is a later one
            pass

    return Run(made_once("looped", make))
