"""Checks every tensor annotation while testing, keeps BLAS and torch to one thread, seeds what a test draws."""

import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from jaxtyping import install_import_hook

install_import_hook(["worldmodels", "agents", "envs", "generative"], "beartype.beartype")

import shutil

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded():
    """Every test draws the same numbers from torch's global stream, alone or after others."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def _trained(tmp_path_factory):
    from scripts.stages import collect, train_memory, train_vision
    from tests.small import small_config
    from worldmodels import Run

    run = Run.create(tmp_path_factory.mktemp("runs") / "small", small_config())
    for stage in (collect, train_vision, train_memory):
        for _ in stage(run):
            pass
    return run


@pytest.fixture
def trained(_trained, tmp_path):
    """A copy of a run whose rollouts, vision and memory are finished."""
    from worldmodels import Run

    shutil.copytree(_trained.path, tmp_path / "run")
    return Run(tmp_path / "run")


@pytest.fixture(scope="session")
def _looped(tmp_path_factory):
    """A run whose loop is finished; only to be read."""
    from scripts.stages import loop
    from tests.small import looped_config
    from worldmodels import Run

    run = Run.create(tmp_path_factory.mktemp("looped") / "run", looped_config())
    for _ in loop(run):
        pass
    return run
