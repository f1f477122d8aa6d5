"""Where dreams begin, and what stands for a frame."""

import dataclasses

import numpy as np
import pytest
from safetensors.numpy import save_file

from worldmodels.dream.config import DreamConfig
from worldmodels.dream.starts import Starts, gather_starts, read_starts, save_starts
from worldmodels.errors import RunError
from worldmodels.memories.sequences import SequenceBatches
from worldmodels.memories.targets import RewardTargetConfig, TerminationTargetConfig
from worldmodels.vision.latent_files import LatentFile

STEPS = 30


@pytest.fixture
def files(tmp_path):
    return write(tmp_path, lambda number: np.zeros(STEPS))


@pytest.fixture
def paid(tmp_path):
    return write(tmp_path, lambda number: np.where(np.arange(STEPS) < 12, number + 1, -100))


def write(folder, rewards):
    found = []
    for number in range(3):
        path = folder / f"{number}.safetensors"
        mean = np.tile(np.arange(STEPS + 1, dtype=np.float32)[:, None], (1, 2)) + 100 * number
        arrays = {
            "mean": mean,
            "std": np.ones_like(mean),
            "action": np.zeros((STEPS, 1), np.float32),
            "reward": rewards(number).astype(np.float32),
            "state": np.zeros((STEPS + 1, 0), np.float32),
        }
        save_file(arrays, path, {"track": str(number), "terminated": "0"})
        found.append(LatentFile(path))
    return found


def test_no_dream_starts_where_it_would_be_over(files):
    """The mean says which step it is: step 12 is the last before the end."""
    ended = [(np.arange(STEPS) >= 12).astype(np.float32)] * 3
    config = DreamConfig(warmup=5)
    begun = gather_starts(files, config, 0, ended, "mean").z[:, -1, 0] % 100
    assert set(begun.astype(int)) == set(range(5, 13))
    anywhere = gather_starts(files, config, 0, None, "mean").z[:, -1, 0] % 100
    assert set(anywhere.astype(int)) == set(range(5, STEPS + 1))


def test_dreams_start_where_the_episode_goes_on_for_a_while(files):
    """Step 12 is the last before the end, so from step 9 on the end is within 4 steps."""
    ended = [(np.arange(STEPS) >= 12).astype(np.float32)] * 3
    begun = gather_starts(files, DreamConfig(warmup=5, min_steps_to_end=4), 0, ended, "mean").z[:, -1, 0] % 100
    assert set(begun.astype(int)) == set(range(5, 9))
    whole = gather_starts(files, DreamConfig(warmup=5, min_steps_to_end=4), 0, [np.zeros(STEPS)] * 3, "mean")
    assert set((whole.z[:, -1, 0] % 100).astype(int)) == set(range(5, STEPS + 1))


def test_dreams_start_inside_recent_episodes_and_at_the_first_frames_of_all(files):
    starts = gather_starts(files, DreamConfig(warmup=5, recent_episodes=2), 0, None, "mean")
    assert set(starts.z[:, -1, 0] // 100) == {1, 2}
    assert set(starts.initial[:, 0]) == {0, 100, 200}
    every = gather_starts(files, DreamConfig(warmup=5, recent_episodes=9), 0, None, "mean")
    assert set(every.z[:, -1, 0] // 100) == {0, 1, 2}


def test_what_drivers_earn_is_counted_up_to_their_ends_and_over_the_newest_ones(paid):
    """Every step of episode n is paid n + 1, but after step 12 the ground eats 100 a step."""
    ended = [(np.arange(STEPS) >= 12).astype(np.float32)] * 3
    assert gather_starts(paid, DreamConfig(warmup=5, recent_episodes=2), 0, ended).step_value == pytest.approx(2.5)
    assert gather_starts(paid, DreamConfig(warmup=5), 0, ended).step_value == pytest.approx(2.0)
    lost = (12 * 2.0 - 18 * 100) / 30
    assert gather_starts(paid, DreamConfig(warmup=5), 0).step_value == pytest.approx(-lost)  # never below 0


def test_starts_come_back_from_their_file(paid, tmp_path):
    starts = gather_starts(paid, DreamConfig(warmup=5, recent_episodes=2), 0, [np.zeros(STEPS)] * 3)
    starts = dataclasses.replace(starts, step_value=np.array(1.5, np.float32))
    save_starts(tmp_path / "starts.safetensors", starts, DreamConfig(warmup=5))
    again, made_with = read_starts(tmp_path / "starts.safetensors")
    assert made_with == {"noise": "mixture", "warmup": 5, "recent_episodes": 0, "min_steps_to_end": 0}
    for field in dataclasses.fields(Starts):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(starts, field.name))


def test_episodes_that_are_over_from_the_first_step_are_named(files):
    with pytest.raises(RunError, match=r"lower dream\.warmup"):
        gather_starts(files, DreamConfig(warmup=5), 0, [np.ones(STEPS, np.float32)] * 3)


def test_starts_are_means_or_draws(files):
    config = DreamConfig(warmup=0)
    means = gather_starts(files, config, 0, None, "mean")
    assert np.array_equal(means.initial, np.round(means.initial))
    draws = gather_starts(files, config, 0)
    assert (draws.initial - means.initial).std() == pytest.approx(1.0, rel=0.2)


def test_sequences_are_means_or_posteriors(files):
    def first(latent):
        targets = RewardTargetConfig(type="raw"), TerminationTargetConfig(type="env")
        return next(SequenceBatches(files, 4, 8, 0, *targets, latent)(0))

    mean, sample = first("mean"), first("sample")
    assert not mean.std.any() and (sample.std == 1).all()
    assert (mean.mean == sample.mean).all()
