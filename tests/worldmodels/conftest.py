"""A tiny run on the toy environment, shared by the tests that need finished stages."""

import shutil

import pytest

from scripts import collect, train_memory, train_vision
from worldmodels import Run, preset
from worldmodels.config import config_from

SMALL = {
    "collect": {"episodes": 12},
    "vision": {"attempts": 1, "gate": False, "fit": {"steps": 60, "log_every": 20, "checkpoint_every": 30}},
    "memory": {"fit": {"steps": 40, "log_every": 20, "checkpoint_every": 20}},
    "evolve": {"generations": 3, "episodes": 2, "max_episodes": 2, "validation_tracks": 3, "envs": 4,
               "optimiser": {"population": 5}, "validation_every": 2},
    "evaluate": {"tracks": 4},
    "executor": {"type": "serial"},
}  # fmt: skip


def small_config(**changes):
    return config_from(changes, config_from(SMALL, preset("toy")))


@pytest.fixture(scope="session")
def _trained(tmp_path_factory):
    run = Run.create(tmp_path_factory.mktemp("runs") / "small", small_config())
    for stage in (collect, train_vision, train_memory):
        for _ in stage(run):
            pass
    return run


@pytest.fixture
def trained(_trained, tmp_path):
    """A copy of a run whose rollouts, vision and memory are finished."""
    shutil.copytree(_trained.path, tmp_path / "run")
    return Run(tmp_path / "run")
