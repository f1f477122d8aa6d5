"""What a memory did not expect in recorded drives, and dreams that have it as their chance."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from agents import ActionSpec
from generative import VAE, VAEConfig
from worldmodels.dream import DreamConfig, Noise, Starts, gather_starts
from worldmodels.dream_env import DreamEnv
from worldmodels.errors import RunError
from worldmodels.innovations import Innovations, last_rows, record_innovations
from worldmodels.latents import LatentFile
from worldmodels.parts import MEMORIES

STEPS = 30
SPEC = ActionSpec(1, (-1.0,), (1.0,), ("tanh",), False)
SPACES = gym.spaces.Box(0, 255, (32, 32, 3), np.uint8), gym.spaces.Box(-1, 1, (1,))
CONFIG = DreamConfig(warmup=5, starts=12, horizon=20, noise="recorded", terminates=False)


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
    made = MEMORIES.create(name, {"latent": 2, "action": 1, **options}, 0).eval()
    for parameter in made.parameters():
        parameter.data *= 1.5
    return made


def env(world, starts, config=CONFIG):
    vision = VAE(VAEConfig(latent=2, image_size=32, width=8))
    return DreamEnv(vision, world, starts, SPACES, SPEC, config, "latents")


@pytest.mark.parametrize("name", ["mdn-rnn", "lstm", "transformer"])
def test_with_the_recorded_actions_the_dream_is_the_recorded_drive(files, name):
    world = memory(name)
    starts = gather_starts(files, CONFIG, 0, None, "mean", world)
    dreamt = env(world, starts)
    for index in range(3):
        _, info = dreamt.reset(seed=0, options={"start": "standstill", "index": index})
        recorded = files[index].read("mean")
        np.testing.assert_array_equal(info["z"], recorded[0])
        for step, action in enumerate(files[index].read("action")[: CONFIG.horizon]):
            z = dreamt.step(action)[0]
            np.testing.assert_allclose(z, recorded[step + 1], atol=1e-4)
        other = env(world, starts)
        other.reset(seed=0, options={"start": "standstill", "index": index})
        elsewhere = [other.step(-action)[0] for action in files[index].read("action")[:3]]
        assert not np.allclose(elsewhere[-1], recorded[3], atol=1e-3)


def test_the_temperature_scales_what_was_not_expected(files):
    world = memory()
    starts = gather_starts(files, CONFIG, 0, None, "mean", world)
    action = files[0].read("action")[0]
    moved = []
    for temperature in (0.0, 0.25, 1.0):
        dreamt = env(world, starts, dataclasses.replace(CONFIG, temperature=temperature))
        dreamt.reset(seed=0, options={"start": "standstill", "index": 0})
        moved.append(dreamt.step(action)[0])
    np.testing.assert_allclose(moved[1], (moved[0] + moved[2]) / 2, atol=1e-5)
    np.testing.assert_allclose(moved[2] - moved[0], starts.innovations.value[0, 0], atol=1e-5)


def test_where_a_recording_is_over_another_one_goes_on(files):
    """Ends after step 12 of each episode: no row of such a step or later ones is a dream's."""
    ended = [(np.arange(STEPS) >= 12).astype(np.float32)] * 3
    starts = gather_starts(files, CONFIG, 0, ended, "mean", memory())
    noise = Noise.draw(range(200), starts, CONFIG)
    assert noise.uniform is None and noise.spread.shape == (200, CONFIG.horizon)
    within = noise.spread.numpy() % STEPS
    assert within.max() == 11
    jumps = np.diff(noise.spread.numpy(), axis=1) != 1
    assert jumps.any(1).all()  # 20 steps are more than the 12 that there are
    assert (within[:, :-1][jumps] == 11).all()
    assert (within[:, 1:][jumps] >= CONFIG.warmup).all()
    first = np.where(noise.still.numpy(), 0, within[:, 0])
    assert (within[:, 0] == first).all() and (first[~noise.still.numpy()] >= CONFIG.warmup).all()


def test_rows_are_over_at_the_next_end():
    last, offset = last_rows([4, 3], [np.array([0, 1, 0, 0]), np.zeros(3)])
    assert last.tolist() == [1, 1, 4, 4, 7, 7, 7] and offset.tolist() == [0, 4]
    assert last_rows([2, 1], None)[0].tolist() == [2, 2, 3]
    recorded = Innovations(np.zeros((1, 7, 2), np.float32), last, np.array([0, 4]), np.array([2, 5]))
    rows = recorded.rows(0, 9, np.random.default_rng(0))
    assert len(rows) == 9 and rows[0] == 0 and set(rows[1:]) <= {2, 3, 5, 6}


def test_each_member_of_an_ensemble_has_its_own(files):
    world = memory("ensemble", members=3, options={"hidden": 8})
    value = record_innovations(world, files, "mean", np.random.default_rng(0))
    assert value.shape == (3, 3 * STEPS, 2)
    alone = record_innovations(world.members[2], files, "mean", np.random.default_rng(0))
    np.testing.assert_allclose(value[2], alone[0], atol=1e-6)
    assert not np.allclose(value[0], value[1])


def test_the_newest_drives_alone_are_recorded(files):
    starts = gather_starts(files, dataclasses.replace(CONFIG, newest=2), 0, None, "mean", memory())
    assert starts.innovations.value.shape == (1, 2 * STEPS, 2)
    newest = np.stack([file.read("mean", 0, 1)[0] for file in files[1:]])
    assert {tuple(row) for row in starts.still} == {tuple(row) for row in newest}
    begun = starts.innovations.warm_row
    path = np.concatenate([file.read("mean")[:STEPS] for file in files[1:]])
    np.testing.assert_array_equal(starts.z[:, -1], path[begun])


def test_starts_come_back_from_their_file(files, tmp_path):
    starts = gather_starts(files, CONFIG, 0, None, "mean", memory())
    starts.save(tmp_path / "starts.safetensors")
    again = Starts.load(tmp_path / "starts.safetensors")
    for name, array in starts.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
        assert again.arrays()[name].dtype == array.dtype


def test_what_was_not_recorded_cannot_be_dreamt(files):
    starts = gather_starts(files, CONFIG, 0, None, "mean")
    assert starts.innovations is None
    with pytest.raises(RunError, match=r"trained with dream\.noise=drawn"):
        Noise.draw([0], starts, CONFIG)


def test_latents_can_be_drawn_as_the_memory_learnt_them(files):
    sampled = record_innovations(memory(), files, "sample", np.random.default_rng(0))
    assert not torch.allclose(
        torch.from_numpy(sampled),
        torch.from_numpy(record_innovations(memory(), files, "mean", np.random.default_rng(0))),
    )
