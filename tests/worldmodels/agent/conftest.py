"""A finished run and what was exported of it."""

import shutil

import pytest

from scripts.stages import evaluate, evolve
from worldmodels import Run
from worldmodels.agent.export import export_agent


@pytest.fixture(scope="session")
def finished(_trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("finished") / "run"
    shutil.copytree(_trained.path, path)
    run = Run(path)
    for stage in (evolve, evaluate):
        for _ in stage(run):
            pass
    return run


@pytest.fixture(scope="session")
def _exported(finished, tmp_path_factory):
    folders = {half: tmp_path_factory.mktemp("exported") / "agent" for half in (True, False)}
    for half, folder in folders.items():
        export_agent(finished, folder, half)
    return folders


@pytest.fixture
def exported(_exported, tmp_path):
    """A copy of a run exported in half precision, under a name that no command uses by itself."""
    return shutil.copytree(_exported[True], tmp_path / "agent")


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of a run whose controller is evolved and evaluated."""
    shutil.copytree(finished.path, tmp_path / "copy")
    return Run(tmp_path / "copy")


@pytest.fixture
def shipped(_exported, monkeypatch, tmp_path):
    """An installation that ships an agent, seen from an empty folder."""
    monkeypatch.setattr("worldmodels.agent.pretrained.SHIPPED", _exported[True])
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return _exported[True]
