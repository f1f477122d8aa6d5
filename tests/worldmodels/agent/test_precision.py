import importlib

import numpy as np
import pytest
import torch
from torch import nn

from scripts.stages import evolve
from tests.small import small_config
from tests.worldmodels.perfect import Simulator
from worldmodels import Run, RunError
from worldmodels.agent import precision
from worldmodels.agent.precision import TOLERANCE, latent_change, resolve_dtype, state_change
from worldmodels.agent.trained import load_bundle
from worldmodels.memories import MDNRNN, MDNRNNConfig
from worldmodels.memories.registry import MEMORIES


class Linear(nn.Module):
    """Encodes an image as its two mean halves, with a bias that bfloat16 rounds away the more the larger it is."""

    def __init__(self, bias):
        super().__init__()
        self.bias = nn.Parameter(torch.tensor(float(bias)))

    def encode(self, obs):
        mean = obs.mean((1, 2)) + self.bias
        return mean, torch.zeros_like(mean)

    def latent_spec(self):
        raise NotImplementedError

    loss = diagnose = latent_spec


@pytest.fixture
def obs():
    return torch.rand(32, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_change_is_the_rms_difference_over_the_spread(obs):
    vision = Linear(1000.0)
    exact, half = vision.encode(obs)[0], Linear(1000.0).to(torch.bfloat16).encode(obs.to(torch.bfloat16))[0].float()
    expected = np.sqrt(((half - exact) ** 2).mean().item() / ((exact - exact.mean(0)) ** 2).mean().item())
    assert latent_change(vision, obs) == pytest.approx(expected, rel=1e-4)
    assert vision.bias.dtype == torch.float32  # left as it was


@pytest.mark.parametrize(
    ("chosen", "native", "bias", "expected"),
    [
        ("auto", True, 0.0, "bfloat16"),
        ("auto", True, 1000.0, "float32"),
        ("auto", False, 0.0, "float32"),
        ("float32", True, 0.0, "float32"),
        ("bfloat16", False, 1000.0, "bfloat16"),
    ],
)
def test_auto_is_bfloat16_where_it_is_native_and_close(monkeypatch, obs, chosen, native, bias, expected):
    monkeypatch.setattr(precision, "native_bfloat16", lambda *_: native)
    dtype, change = resolve_dtype(chosen, lambda: latent_change(Linear(bias), obs))
    assert dtype == expected
    assert (change <= TOLERANCE) == (bias == 0 or expected == "float32")


def test_the_state_of_a_memory_changes_little_and_of_others_not_at_all():
    memory = MDNRNN(MDNRNNConfig(latent=4, action=3, hidden=16)).eval()
    z, action = torch.randn(9, 20, 4), torch.rand(9, 20, 3)
    assert 0 < state_change(memory, z, action) < 0.05
    assert state_change(Simulator(), z, action) == 0.0


def test_an_ensemble_changes_as_much_as_the_member_that_changes_most():
    options = {"members": 3, "options": {"hidden": 16}, "latent": 4, "action": 3}
    ensemble = MEMORIES.create("ensemble", options).eval()
    generator = torch.Generator().manual_seed(0)
    z, action = torch.randn(9, 20, 4, generator=generator), torch.rand(9, 20, 3, generator=generator)
    changes = [state_change(member, z, action) for member in ensemble.members]
    assert state_change(ensemble, z, action) == max(changes) > min(changes)


@pytest.mark.slow
def test_what_auto_became_is_in_the_runs_config_and_stays(trained, monkeypatch):
    assert trained.config.dtype == "auto"
    monkeypatch.setattr(precision, "native_bfloat16", lambda *_: True)
    for _ in evolve(trained):
        pass
    assert Run(trained.path).config.dtype == load_bundle(trained)[0].dtype == "bfloat16"
    assert Run.create(trained.path, small_config()).config.dtype == "bfloat16"
    with pytest.raises(RunError, match=r"dtype: 'bfloat16' -> 'float32'"):
        Run.create(trained.path, small_config(dtype="float32"))


@pytest.mark.slow
@pytest.mark.parametrize("changes", ["latent_change", "state_change"])
def test_one_change_that_is_too_large_settles_both_on_float32(trained, monkeypatch, changes):
    monkeypatch.setattr(precision, "native_bfloat16", lambda *_: True)
    monkeypatch.setattr(importlib.import_module("scripts.evolve"), changes, lambda *parts: 2 * TOLERANCE)
    for _ in evolve(trained):
        pass
    assert Run(trained.path).config.dtype == "float32"
