import copy
import importlib
import shutil
import textwrap

import numpy as np
import pytest
import torch

from scripts.stages import evolve, train_memory
from tests.small import small_config
from worldmodels import Run, RunError, load_agent, load_dream, make_env
from worldmodels.agent.build import env_shape
from worldmodels.agent.trained import assemble, dreaming_memory, load_bundle, load_memory, load_vision, read_memory
from worldmodels.evolution.tasks import DreamTask, TrialWorker
from worldmodels.evolution.trial_setup import TrialSetup
from worldmodels.memories import MDNRNN, Ensemble, ShuffledMemory
from worldmodels.memories.registry import MEMORIES
from worldmodels.vision.latent_files import LatentFile

TINY = {"fit": {"steps": 10}}


def latents_of(run):
    return [LatentFile(path) for path in sorted((run.folder("train-vision") / "latents").iterdir())]


def changed(run, **changes):
    return Run.create(run.path, small_config(**changes))


def retrained(run, **changes):
    """The run with another memory, trained for a moment."""
    shutil.rmtree(run.folder("train-memory"))
    run = changed(run, **changes)
    for _ in train_memory(run):
        pass
    return run


def drive(run, steps=8):
    agent, env = load_agent(run), make_env(run.config.env)
    obs, _ = env.reset(seed=3)
    actions = []
    for _ in range(steps):
        actions.append(agent.act(obs))
        obs, *_ = env.step(actions[-1])
    return np.stack(actions)


def test_a_memory_that_dreams_without_being_trained_has_the_trained_ones_scales(trained):
    run = changed(trained, dream={"memory": "untrained"}, evolve={"world": "dream"})
    spec, vision = env_shape(run.config.env).spec, load_vision(run)
    known, random = load_memory(run), dreaming_memory(run, vision, spec)
    for name, scale in known.named_buffers():
        assert torch.equal(scale, random.get_buffer(name))
    assert float(known.reward_std) != 1.0
    for one, other in zip(known.parameters(), random.parameters(), strict=True):
        assert (one != other).any()
    again = dreaming_memory(run, vision, spec)
    assert torch.equal(again.lstm.weight_ih_l0, random.lstm.weight_ih_l0)
    bundle = assemble(run, latents_of(run))
    assert torch.equal(bundle.load_generator().lstm.weight_ih_l0, random.lstm.weight_ih_l0)
    assert torch.equal(bundle.load_memory().lstm.weight_ih_l0, known.lstm.weight_ih_l0)
    assert torch.equal(load_dream(run).memory.lstm.weight_ih_l0, random.lstm.weight_ih_l0)
    untrained = read_memory(changed(run, features={"memory": "untrained"}), vision, spec)
    assert (untrained.lstm.weight_ih_l0 != random.lstm.weight_ih_l0).any()


@torch.inference_mode()
def memory_features(memory, file):
    z, action = (torch.from_numpy(file.read(name)) for name in ("mean", "action"))
    state, found = memory.initial(1), []
    for step in range(len(action)):
        state = memory.advance(z[step : step + 1], action[step : step + 1], state)
        found.append(memory.feature(state).numpy())
    return np.concatenate(found)[10:]


def test_a_shuffled_memory_keeps_the_features_and_not_their_order(trained):
    files = latents_of(trained)
    run = changed(trained, features={"memory": "shuffled"})
    bundle = assemble(run, files)
    assert bundle.memory is None and bundle.bank.shape[1] == 32 and bundle.bank.dtype == np.float32
    assert isinstance(bundle.load_memory(), ShuffledMemory) and bundle.feature_size == 40
    memory = load_memory(run)
    remembered = np.concatenate([memory_features(memory, file) for file in files])
    np.testing.assert_allclose(bundle.bank.mean(0), remembered.mean(0), atol=0.1)
    np.testing.assert_allclose(bundle.bank.std(0), remembered.std(0), atol=0.1)
    rows = bundle.bank - bundle.bank.mean(0)
    following = (rows[1:] * rows[:-1]).sum() / (rows**2).sum()
    assert abs(following) < 0.15  # moments that follow one another are far more alike


@pytest.mark.slow
def test_an_agent_with_a_shuffled_memory_evolves_and_comes_back(trained):
    run = changed(trained, features={"memory": "shuffled"}, evolve={"world": "dream"})
    for _ in evolve(run):
        pass
    bundle, _, _ = load_bundle(run)
    assert isinstance(bundle.load_memory(), ShuffledMemory)
    np.testing.assert_array_equal(drive(run), drive(run))


@pytest.mark.slow
def test_an_ensemble_is_trained_dreams_and_is_left_behind_by_its_agent(trained):
    options = {"members": 2, "options": {"hidden": 16}}
    run = retrained(trained, memory={**TINY, "type": "ensemble", "options": options}, evolve={"world": "dream"})
    for _ in evolve(run):
        pass
    memory = load_memory(run)
    assert isinstance(memory, Ensemble)
    bundle, _, _ = load_bundle(run)
    agent = bundle.load_memory()
    assert type(agent) is MDNRNN and bundle.feature_size == 8 + 16
    assert torch.equal(agent.lstm.weight_hh_l0, memory.members[0].lstm.weight_hh_l0)
    assert drive(run).shape[0] == 8
    env = load_dream(run, "latents")
    env.reset(seed=0)
    assert np.isfinite(env.step(env.action_space.sample())[1])


PACKAGE = '''
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from generative.networks.mixture import Mixture
from worldmodels.memories import Prediction, masked_mean, sample_latents


@dataclass(frozen=True)
class Options:
    latent: int = 0
    action: int = 0
    frames: int = 3


class Moving(nn.Module):
    """Goes on as fast as over the last frames, which are its state, three axes with the rows first."""

    type_name: ClassVar[str] = "moving"
    seam: ClassVar[str] = "memory"
    Config = Options

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.log_std = nn.Parameter(torch.zeros(config.latent))
        self.pay = nn.Linear(config.latent, 1)
        self.feature_size = config.latent

    def initial(self, batch):
        return (torch.zeros(batch, self.config.frames, self.config.latent),)

    def feature(self, state):
        return (state[0][:, -1] - state[0][:, 0]) / (self.config.frames - 1)

    def advance(self, z, action, state):
        return (torch.cat([state[0][:, 1:], z.unsqueeze(1)], dim=1),)

    def step(self, z, action, state):
        state = self.advance(z, action, state)
        mean = (z + self.feature(state)).unsqueeze(-1)
        mixture = Mixture(torch.zeros_like(mean), mean, self.log_std.unsqueeze(-1).expand(mean.shape))
        return Prediction(mixture, self.pay(z)[:, 0], torch.full((len(z),), -9.0)), state

    def forward_sequence(self, z, action, state=None):
        state, found = state or self.initial(len(z)), []
        for step in range(z.shape[1]):
            prediction, state = self.step(z[:, step], action[:, step], state)
            found.append(prediction)
        mixture = Mixture(*(torch.stack(parts, dim=1) for parts in zip(*(each.mixture for each in found))))
        reward, end = (torch.stack([each[place] for each in found], dim=1) for place in (1, 2))
        return Prediction(mixture, reward, end), state

    def loss(self, batch, generator):
        z = sample_latents(batch, generator)
        prediction, _ = self.forward_sequence(z[:, :-1], batch.action)
        nll = masked_mean(-prediction.log_prob(z[:, 1:]).mean(-1), batch.mask)
        error = masked_mean((prediction.reward - batch.reward).square(), batch.mask)
        return nll + error, {"nll": nll.detach()}

    def set_reward_scale(self, mean, std):
        pass

    def set_event_scale(self, event_value, step_cost):
        pass

    def reward_explained(self, reward, batch):
        return torch.tensor(float("nan"))
'''


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package of somebody else's, installed as pip would leave it."""
    site = tmp_path / "site"
    facts = site / "moving_memory-1.0.dist-info"
    facts.mkdir(parents=True)
    (site / "moving_memory.py").write_text(PACKAGE)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: moving-memory\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        textwrap.dedent("""
        [worldmodels.components]
        memory.moving = moving_memory:Moving
        """)
    )
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    monkeypatch.setattr(MEMORIES, "_catalogue", copy.deepcopy(MEMORIES._catalogue))


@pytest.mark.slow
def test_a_memory_of_another_package_is_trained_dreams_and_drives(trained, installed):
    assert "moving" in MEMORIES.names()
    memory = {**TINY, "type": "moving", "options": {"frames": 4}}
    run = retrained(trained, memory=memory, evolve={"world": "dream"})
    for _ in evolve(run):
        pass
    bundle, parameters, _ = load_bundle(run)
    assert type(bundle.load_memory()).__name__ == "Moving" and bundle.feature_size == 16
    bundle = assemble(run, latents_of(run))
    starts = load_dream(run).starts
    worker = TrialWorker(TrialSetup(bundle, 2, run.config.dream, starts))
    dreamt = worker(DreamTask(parameters[None], [1, 2])).dreamt
    assert dreamt.shape == (1, 2) and np.isfinite(dreamt).all() and dreamt[0, 0] != dreamt[0, 1]
    assert drive(run).shape[0] == 8


def test_a_memory_nobody_installed_is_not_known():
    with pytest.raises(RunError, match="'moving': no such memory component"):
        small_config(memory={"type": "moving"})
