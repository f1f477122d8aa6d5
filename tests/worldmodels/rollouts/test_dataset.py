import itertools

import numpy as np
import pytest

from tests.worldmodels.rollouts.test_episode import make_episode
from worldmodels.errors import RunError
from worldmodels.rollouts.dataset import FrameBatches, episode_files, frames_over, places_over, sample_frames, split
from worldmodels.rollouts.episode import encode_episode, write_episode


@pytest.fixture
def files(tmp_path):
    for number in range(12):
        write_episode(tmp_path / f"episode_{number:06d}.zip", encode_episode(make_episode(150, track=number, size=8)))
    return episode_files(tmp_path)


def take(batches, start, count):
    return [batch.numpy() for batch in itertools.islice(batches(start), count)]


def test_the_stream_can_be_taken_up_at_any_step(files):
    batches = FrameBatches(files, batch=32, buffer=300, seed=3)
    whole = take(batches, 0, 130)  # more than two passes
    for start in (1, 8, 57, 120):
        for expected, got in zip(whole[start : start + 5], take(batches, start, 5), strict=False):
            np.testing.assert_array_equal(expected, got)


def test_a_pass_shows_almost_every_frame_once(files):
    frames = sum(file.frames for file in files)
    seen = np.concatenate(take(FrameBatches(files, batch=32, buffer=400, seed=0), 0, frames // 32 - 4))
    assert len(np.unique(seen.reshape(len(seen), -1), axis=0)) == len(seen)


def test_frames_of_a_batch_come_from_several_episodes(files):
    (batch,) = take(FrameBatches(files, batch=64, buffer=600, seed=0), 0, 1)
    first = {file.path.stem: file.chunks([0, 1]).reshape(-1, 192) for file in files}
    owners = [name for row in batch.reshape(64, -1) for name, rows in first.items() if (rows == row).all(1).any()]
    assert len(set(owners)) >= 3


def test_the_seed_is_used(files):
    one, other = (take(FrameBatches(files, 32, 300, seed), 0, 1)[0] for seed in (0, 1))
    assert (one != other).any()


def test_no_track_is_on_both_sides_of_the_split(files):
    training, held_out = split(files)
    assert len(held_out) == 1 and len(training) == 11
    assert not {file.meta["track"] for file in training} & {file.meta["track"] for file in held_out}


def test_two_episodes_of_one_track_stay_together(tmp_path):
    for number in range(10):
        content = encode_episode(make_episode(5, track=number // 2, size=8))
        write_episode(tmp_path / f"episode_{number:06d}.zip", content)
    training, held_out = split(episode_files(tmp_path))
    assert {file.meta["track"] for file in held_out} == {4} and len(held_out) == 2 and len(training) == 8


def test_too_few_frames_are_refused(files):
    with pytest.raises(RunError, match="do not fill a batch"):
        FrameBatches(files[:1], batch=1000, buffer=1000, seed=0)


def test_sampled_frames_are_the_same_for_a_seed(files):
    np.testing.assert_array_equal(sample_frames(files, 40, 1).numpy(), sample_frames(files, 40, 1).numpy())
    assert sample_frames(files, 40, 1).shape == (40, 8, 8, 3)


def test_an_empty_folder_says_what_to_do(tmp_path):
    with pytest.raises(RunError, match="worldmodels collect"):
        episode_files(tmp_path)


@pytest.mark.parametrize("count", [3, 12, 13, 40, 256, 301])
@pytest.mark.parametrize("most", [5, 12, 64])
def test_places_are_spread_over_all(count, most):
    places = places_over(count, most)
    assert len(places) == len(set(places)) == min(count, most) and places == sorted(places)
    assert places[-1] >= count * (1 - 1 / most) - 1


@pytest.mark.parametrize("turns", [2, 3, 4])
def test_places_meet_every_turn_of_the_drivers(turns):
    """A fixed stride of a multiple would meet one driver alone."""
    assert {place % turns for place in places_over(24 * turns * 12, 24)} == set(range(turns))


@pytest.mark.parametrize("episodes", [1, 2, 5, 12, 25, 60])
@pytest.mark.parametrize("length", [15, 75, 150])
def test_shown_frames_come_from_all_episodes_and_all_moments(tmp_path, episodes, length):
    """The frames of `make_episode` tell their episode's track and their time."""
    frames = []
    for number in range(episodes):
        episode = make_episode(length, track=number, size=8)
        episode.obs[:] = 0
        episode.obs[:, 0, 0, 0] = np.arange(length + 1)
        episode.obs[:, 0, 0, 1] = number
        write_episode(tmp_path / f"episode_{number:06d}.zip", encode_episode(episode))
    frames = frames_over(episode_files(tmp_path), 12).numpy()
    times, numbers = np.sort(frames[:, 0, 0, 0] / length), frames[:, 0, 0, 1]
    assert len(frames) == 12 and len(set(numbers)) == min(12, episodes)
    assert (np.diff([0.0, *times, 1.0]) < 0.25).all()  # no part of an episode is left out
    assert numbers.max() - numbers.min() >= 0.8 * (episodes - 1)


@pytest.mark.parametrize("fits", [True, False])
def test_frames_that_stay_on_a_gpu_come_in_the_same_order(files, monkeypatch, fits):
    batches = FrameBatches([*files, files[0]], batch=32, buffer=300, seed=3)
    monkeypatch.setattr("worldmodels.rollouts.dataset.fits_on", lambda device, size: fits)
    monkeypatch.setattr("worldmodels.rollouts.dataset.READERS", 5)
    whole = take(batches, 0, 130)
    for start in (0, 57, 120):
        kept = itertools.islice(batches._on_gpu(start), 10)
        for expected, got in zip(whole[start : start + 10], kept, strict=True):
            np.testing.assert_array_equal(expected, got.numpy())
    assert (batches._resident is not None) == fits
