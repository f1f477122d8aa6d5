"""A memory's residuals at real steps, and dreams that have them as their noise."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from agents import ActionSpec
from generative import VAE, VAEConfig
from worldmodels.dream.config import DreamConfig
from worldmodels.dream.env import DreamEnv
from worldmodels.dream.residuals import ResidualBootstrap, Residuals, record_residuals
from worldmodels.dream.starts import gather_starts, read_starts, save_starts
from worldmodels.errors import RunError
from worldmodels.memories.registry import MEMORIES
from worldmodels.vision.latent_files import LatentFile

STEPS = 30
SPEC = ActionSpec(1, (-1.0,), (1.0,), ("tanh",), False)
SPACES = gym.spaces.Box(0, 255, (32, 32, 3), np.uint8), gym.spaces.Box(-1, 1, (1,))
CONFIG = DreamConfig(warmup=5, horizon=20, noise="residual")


@pytest.fixture
def files(tmp_path):
    found = []
    for number in range(3):
        rng = np.random.default_rng(number)
        arrays = {
            "mean": rng.standard_normal((STEPS + 1, 2), dtype=np.float32),
            "std": np.ones((STEPS + 1, 2), np.float32),
            "action": rng.uniform(-1, 1, (STEPS, 1)).astype(np.float32),
            "reward": np.ones(STEPS, np.float32),
            "state": np.zeros((STEPS + 1, 0), np.float32),
        }
        path = tmp_path / f"{number}.safetensors"
        save_file(arrays, path, {"track": str(number), "terminated": "0"})
        found.append(LatentFile(path))
    return found


def memory(name="mdn-rnn", **options):
    """Return a memory without a termination head: its dreams go on to their horizon."""
    if name == "mdn-rnn":
        options["termination"] = False
    made = MEMORIES.create(name, {"latent": 2, "action": 1, **options}, 0).eval()
    for parameter in made.parameters():
        parameter.data *= 1.5
    return made


def env(world, starts, config=CONFIG):
    vision = VAE(VAEConfig(latent=2, image_size=32, width=8))
    return DreamEnv(vision, world, starts, SPACES, SPEC, config, "latents")


def test_what_was_not_expected_is_the_rest(files):
    """By hand: each recorded step's expectation, and what is left over of the next latent."""
    world = memory()
    recorded = record_residuals(world, files, None, "mean", np.random.default_rng(0))
    assert recorded.value.shape == (1, 3 * STEPS, 2) and recorded.action.shape == (3 * STEPS, 1)
    for file in files:
        mean, action, state = torch.from_numpy(file.read("mean")), torch.from_numpy(file.read("action")), None
        state = world.initial(1)
        for step in range(STEPS):
            with torch.inference_mode():
                prediction, state = world.step(mean[step][None], action[step][None], state)
            row = np.flatnonzero((recorded.z == mean[step].numpy()).all(1))
            rest = (mean[step + 1] - prediction.expected_latent()[0]).numpy()
            np.testing.assert_allclose(recorded.value[0, row[0]], rest, atol=1e-5)
            np.testing.assert_array_equal(recorded.action[row[0]], action[step].numpy())


def test_steps_after_an_end_are_left_out(files):
    ended = [(np.arange(STEPS) >= 12).astype(np.float32)] * 3
    recorded = record_residuals(memory(), files, ended, "mean", np.random.default_rng(0))
    before = np.concatenate([file.read("mean")[:12] for file in files])
    assert {tuple(row) for row in recorded.z} == {tuple(row) for row in before}


def test_a_dream_where_a_real_step_was_taken_goes_where_that_one_went(files):
    """In a dream's first step from an episode's first frame the memory's state is that of the recording too."""
    world = memory()
    config = CONFIG
    starts = gather_starts(files, config, 0, None, "mean", world)
    for index in range(3):
        recorded, action = files[index].read("mean"), files[index].read("action")[0]
        dreamt = env(world, starts, config)
        dreamt.reset(seed=0, options={"start": "initial", "index": index})
        np.testing.assert_allclose(dreamt.step(action)[0], recorded[1], atol=1e-5)
        calm = env(world, starts, dataclasses.replace(config, temperature=0.0))
        calm.reset(seed=0, options={"start": "initial", "index": index})
        half = env(world, starts, dataclasses.replace(config, temperature=0.25))
        half.reset(seed=0, options={"start": "initial", "index": index})
        expected = calm.step(action)[0]
        np.testing.assert_allclose(half.step(action)[0], (expected + recorded[1]) / 2, atol=1e-5)


def test_the_most_similar_step_of_a_part_is_taken(monkeypatch):
    """By hand: differences in units of the latent's spread, and those of actions as they are."""
    rng = np.random.default_rng(0)
    z, action = rng.standard_normal((40, 2), dtype=np.float32), rng.uniform(-1, 1, (40, 1)).astype(np.float32)
    value = rng.standard_normal((2, 40, 2), dtype=np.float32)
    spread = np.array([0.5, 4.0], np.float32)
    monkeypatch.setattr("worldmodels.dream.residuals.PART", 10)
    drawn = ResidualBootstrap(Residuals(z, action, value), spread)
    assert drawn.parts == 4 and drawn.size == 10
    asked, done = rng.standard_normal((6, 2), dtype=np.float32), rng.uniform(-1, 1, (6, 1)).astype(np.float32)
    part, member = torch.tensor([3, 0, 2]), torch.tensor([0, 1, 1])  # of three dreams; two candidates
    found = drawn.draw(torch.from_numpy(asked), torch.from_numpy(done), part, member).numpy()
    for row in range(6):
        dream = row % 3
        rows = np.arange(10) + 10 * int(part[dream])
        apart = (((z[rows] - asked[row]) / spread) ** 2).sum(1) + ((action[rows] - done[row]) ** 2).sum(1)
        expected = value[int(member[dream]), rows[apart.argmin()]]
        np.testing.assert_array_equal(found[row], expected)


def test_few_steps_are_one_part():
    rng = np.random.default_rng(0)
    few = Residuals(*(rng.standard_normal((7, 2), dtype=np.float32) for _ in range(2)), np.zeros((1, 7, 2), np.float32))
    assert ResidualBootstrap(few, np.ones(2, np.float32)).parts == 1


def test_each_member_of_an_ensemble_has_its_own(files):
    world = memory("ensemble", members=3, options={"hidden": 8})
    found = record_residuals(world, files, None, "mean", np.random.default_rng(0)).value
    assert found.shape == (3, 3 * STEPS, 2)
    alone = record_residuals(world.members[2], files, None, "mean", np.random.default_rng(0)).value
    np.testing.assert_allclose(found[2], alone[0], atol=1e-6)
    assert not np.allclose(found[0], found[1])


def test_the_newest_drives_alone_are_used(files):
    starts = gather_starts(files, dataclasses.replace(CONFIG, recent_episodes=2), 0, None, "mean", memory())
    newest = np.concatenate([file.read("mean")[:STEPS] for file in files[1:]])
    assert {tuple(row) for row in starts.residuals.z} == {tuple(row) for row in newest}


def test_starts_come_back_from_their_file(files, tmp_path):
    starts = gather_starts(files, CONFIG, 0, None, "mean", memory())
    save_starts(tmp_path / "starts.safetensors", starts, CONFIG)
    again = read_starts(tmp_path / "starts.safetensors")[0].arrays()
    assert again.keys() == starts.arrays().keys()
    for name, array in starts.arrays().items():
        np.testing.assert_array_equal(again[name], array)


def test_what_was_not_recorded_cannot_be_dreamt(files):
    starts = gather_starts(files, dataclasses.replace(CONFIG, noise="mixture"), 0, None, "mean")
    assert starts.residuals is None
    with pytest.raises(RunError, match=r"made with dream\.noise=mixture and hold no residuals"):
        env(memory(), starts)


def test_latents_can_be_drawn_as_the_memory_learnt_them(files):
    still = record_residuals(memory(), files, None, "mean", np.random.default_rng(0))
    drawn = record_residuals(memory(), files, None, "sample", np.random.default_rng(0))
    assert drawn.z.std() == pytest.approx(2**0.5, abs=0.15) and still.z.std() == pytest.approx(1, abs=0.1)
