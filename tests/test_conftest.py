"""How tests are shared among processes, and what is kept from disturbing others."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture
def ours(pytestconfig):
    path = str(Path(__file__).parent / "conftest.py")
    (plugin,) = (one for one in pytestconfig.pluginmanager.get_plugins() if getattr(one, "__file__", None) == path)
    return plugin


def test_only_tests_that_say_so_start_ray():
    with pytest.raises(AssertionError, match="starts Ray and is not marked `ray`"):
        subprocess.Popen(["/nowhere/raylet", "--port=1"])


@pytest.mark.ray
def test_those_that_say_so_do():
    with pytest.raises(FileNotFoundError):
        subprocess.Popen(["/nowhere/raylet", "--port=1"])


def test_a_folder_is_made_once_and_anew_after_a_kill(made_once):
    made = []

    def make(folder, fails=False):
        folder.mkdir()
        made.append(folder)
        if fails:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made_once("some folder", lambda folder: make(folder, fails=True))
    first, second = (made_once("some folder", make) for _ in range(2))
    assert first == second and first.is_dir() and len(made) == 2


def test_files_and_groups_stay_together(ours):
    pytest.importorskip("xdist")
    option = SimpleNamespace(dist="loadgroup", tx=["popen"] * 2, loadscopereorder=True)
    config = SimpleNamespace(option=option, getvalue=lambda name: getattr(option, name))
    scheduler = ours.pytest_xdist_make_scheduler(config, None)
    scopes = [scheduler._split_scope(name) for name in ("a.py::one", "a.py::two[x@y]", "b.py::three", "b.py::four@ray")]
    assert scopes == ["a.py", "a.py", "b.py", "ray"] and not option.loadscopereorder


def test_a_single_file_needs_no_other_process_and_slow_tests_one_more(ours, monkeypatch):
    def processes(*args, marked=""):
        return ours.pytest_xdist_auto_num_workers(SimpleNamespace(args=args, option=SimpleNamespace(markexpr=marked)))

    assert processes("tests/test_a.py") == processes("tests/test_a.py::one", "tests/test_a.py::two") == 0
    monkeypatch.setattr("worldmodels.machine.available_cores", lambda: 2)
    assert processes("tests") == processes("tests/test_a.py", "tests/test_b.py") == 3
    assert processes("tests", marked="not slow and not ray") == 2
    monkeypatch.setattr("worldmodels.machine.available_cores", lambda: 64)
    assert processes("tests") == 8


def test_files_of_long_tests_come_first_and_ray_is_one_group(ours):
    def item(path, *marks, fixtures=()):
        added = {name: pytest.mark.slow.mark for name in marks}
        return SimpleNamespace(
            path=path,
            fixturenames=fixtures,
            added=added,
            get_closest_marker=added.get,
            add_marker=lambda mark: added.update({getattr(mark, "name", mark): mark}),
        )

    items = [item("a"), item("b", "slow"), item("b", "ray"), item("c", "slow"), item("c", fixtures=["_looped"])]
    items += [item("a", "ray"), item("d"), item("d"), item("d")]
    ours.pytest_collection_modifyitems(items)
    assert [one.path for one in items] == [*"ccbbdddaa"]
    assert ["slow" in one.added for one in items] == [True] * 3 + [False] * 6
    assert ["xdist_group" in one.added for one in items] == [False] * 3 + [True] + [False] * 4 + [True]
    assert items[3].added["xdist_group"].args == ("ray",)
