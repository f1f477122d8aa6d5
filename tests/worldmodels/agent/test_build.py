import importlib
import shutil
import textwrap

import numpy as np
import pytest
import torch
from torch import nn

from agents import ActionSpec
from generative import LatentSpec
from scripts.stages import evolve, train_memory
from tests.small import small_config
from worldmodels import Run, RunError, load_agent, load_dream, make_env
from worldmodels.agent.build import (
    assemble,
    check_config,
    check_parts,
    dreaming_memory,
    env_shape,
    keep_starts,
    load_bundle,
    load_memory,
    load_starts,
    load_vision,
    new_memory,
    read_memory,
    starts_path,
)
from worldmodels.dream.starts import read_starts
from worldmodels.evolution.tasks import DreamTask, TrialWorker
from worldmodels.evolution.trial_setup import TrialSetup
from worldmodels.memories import MDNRNN, Ensemble, ShuffledMemory
from worldmodels.memories.registry import MEMORIES
from worldmodels.vision.latent_files import LatentFile

SPEC = ActionSpec(2, (-1.0, -1.0), (1.0, 1.0), ("tanh", "tanh"), False)
TINY = {"fit": {"steps": 10, "log_every": 5, "checkpoint_every": 10}}


def unused(self, *arguments):
    raise NotImplementedError


class Vision(nn.Module):
    encode = loss = diagnose = unused

    def __init__(self, kind="continuous"):
        super().__init__()
        self.latent_spec = LatentSpec(kind, 8)


class Opaque(nn.Module):
    """A memory that does what it must and no more."""

    config = None
    advance = forward_sequence = reward_explained = set_reward_scale = set_event_scale = unused

    def __init__(self, feature_size=4):
        super().__init__()
        self.feature_size = feature_size
        self.inner = MDNRNN(MDNRNN.Config(latent=8, action=2, hidden=4))
        self.initial, self.feature, self.step = self.inner.initial, self.inner.feature, self.inner.step


def parts(**changes):
    config = small_config(**changes)
    return config, Vision(), new_memory(config, 8, SPEC, seed=0), SPEC


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


def test_parts_that_fit_are_left_alone():
    check_parts(*parts(evolve={"world": "dream"}))
    check_config(small_config())


def test_a_bias_that_does_not_fit_the_actions_is_refused():
    check_config(small_config(controller={"bias": [0.0, 0.0, -1.0]}))
    with pytest.raises(RunError, match=r"controller\.bias=\(0\.0, 1\.0\): .* has 3 outputs"):
        check_config(small_config(controller={"bias": [0.0, 1.0]}))
    with pytest.raises(RunError, match=r"collect\.bias"):
        check_config(small_config(collect={"bias": [0.0, 1.0]}))


@pytest.mark.parametrize("kind", ["discrete", "spatial"])
def test_latents_that_are_no_vector_of_numbers_are_refused(kind):
    config, _, memory, spec = parts()
    with pytest.raises(RunError, match=f"vision.type=vae, memory.type=mdn-rnn: this vision's latent is {kind}, this"):
        check_parts(config, Vision(kind), memory, spec)
    memory.latent_kinds = ("continuous", kind)
    check_parts(config, Vision(kind), memory, spec)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"memory": {"options": {"reward": False}}}, "a memory that predicts no reward; set its option reward: true"),
    ],
)
def test_what_cannot_go_together_is_refused_with_the_reason(changes, message):
    with pytest.raises(RunError, match=message):
        check_parts(*parts(evolve={"world": "dream"}, **changes))


def test_a_dream_is_only_asked_of_a_memory_that_dreams():
    check_parts(*parts(memory={"options": {"reward": False}}))  # evolve.world=real
    ensemble = {"type": "ensemble", "options": {"members": 2, "options": {"hidden": 32}}}
    check_parts(*parts(evolve={"world": "dream"}, memory=ensemble))


def test_a_memory_of_another_size_is_refused():
    config, vision, _, spec = parts()
    with pytest.raises(RunError, match="cannot take a step with latents of 8 and actions of 2 numbers"):
        check_parts(config, vision, new_memory(config, 9, SPEC, seed=0), spec)

    with pytest.raises(RunError, match=r"has features \(2, 4\) for 2 rows; wanted are .* \(2, 3\)"):
        check_parts(config, vision, Opaque(feature_size=3), spec)


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


def test_an_agent_with_a_shuffled_memory_evolves_and_comes_back(trained):
    run = changed(trained, features={"memory": "shuffled"}, evolve={"world": "dream"})
    for _ in evolve(run):
        pass
    bundle, _, _ = load_bundle(run)
    assert isinstance(bundle.load_memory(), ShuffledMemory)
    np.testing.assert_array_equal(drive(run), drive(run))


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vision": {"options": {"image_size": 48}}}, r"vision\.options\.image_size=48: cannot be set.* is 32 here"),
        ({"vision": {"options": {"channels": 1}}}, r"vision\.options\.channels=1: cannot be set.* is 3 here"),
        ({"memory": {"options": {"latent": 9}}}, r"memory\.options\.latent=9: cannot be set.* is 8 here"),
        ({"memory": {"options": {"action": 2}}}, r"memory\.options\.action=2: cannot be set.* is 3 here"),
        ({"memory": {"options": {"reward_target": "raw"}}}, r"memory\.options\.reward_target='raw': cannot be set"),
    ],
)
def test_options_that_follow_from_other_parts_cannot_be_set(changes, message):
    with pytest.raises(RunError, match=message):
        check_config(small_config(**changes))


STARTS_FIELDS = [
    {"noise": "residual"},
    {"warmup": 3},
    {"recent_episodes": 2},
    {"min_steps_to_end": 20},
]


@pytest.mark.parametrize("change", STARTS_FIELDS)
def test_a_field_of_starts_acts_where_the_dream_is_built(trained, change):
    """The memory is trained and done; the field is changed for evolution, which makes the starts by it."""
    before = load_starts(trained).arrays()
    run = changed(trained, dream=change)
    drawn = load_starts(run)
    now = drawn.arrays()
    assert before.keys() != now.keys() or any(not np.array_equal(before[name], now[name]) for name in before)
    assert not starts_path(run).exists()  # who only looks leaves nothing behind
    keep_starts(run)
    kept = load_starts(run)
    for name, array in kept.arrays().items():
        np.testing.assert_array_equal(array, now[name])
    (name, value), *_ = change.items()
    assert read_starts(starts_path(run))[1][name] == value


@pytest.mark.parametrize("change", STARTS_FIELDS)
def test_starts_of_other_settings_are_made_anew_or_refused_without_rollouts(trained, change):
    keep_starts(trained)
    other = changed_after(trained, dream=change)
    wanted = load_starts(changed_before(trained, dream=change)).arrays()
    for name, array in load_starts(other).arrays().items():
        np.testing.assert_array_equal(array, wanted[name])
    for path in trained.folder("collect").glob("episode_*.zip"):
        path.unlink()
    (name, value), *_ = change.items()
    with pytest.raises(RunError, match=rf"no starts for dreams with dream\.{name}={value!r} \(kept: .*exported"):
        load_starts(other)
    load_starts(trained)  # its own are kept


def changed_after(run, **changes):
    """The run with other settings though evolution has begun: what a folder that was put together may be."""
    other = Run(run.path)
    other.config = small_config(**changes)
    return other


def changed_before(run, **changes):
    """The run with other settings and without kept starts."""
    shutil.copytree(run.path, run.path.parent / "fresh", ignore=shutil.ignore_patterns("starts.safetensors"))
    other = Run(run.path.parent / "fresh")
    other.config = small_config(**changes)
    return other


PACKAGE = '''
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from generative.mixture import Mixture
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
    yield
    MEMORIES._entries.pop("moving", None)


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
