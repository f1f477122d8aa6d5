import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest
import zstandard

from worldmodels.errors import RunError
from worldmodels.rollouts.episode import CHUNK, Episode, EpisodeFile, encode_episode, write_episode


def make_episode(steps=230, track=7, size=16):
    rng = np.random.default_rng(track)
    return Episode(
        obs=rng.integers(0, 256, (steps + 1, size, size, 3), dtype=np.uint8),
        action=rng.random((steps, 3), dtype=np.float32),
        reward=rng.random(steps, dtype=np.float32),
        state=rng.random((steps + 1, 5), dtype=np.float32),
        terminated=True,
        truncated=False,
        track=track,
        meta={"policy": "test", "env": {"id": "Test-v0"}},
    )


def test_a_file_gives_back_what_was_written(tmp_path):
    episode = make_episode()
    write_episode(tmp_path / "e.zip", encode_episode(episode))
    read = EpisodeFile(tmp_path / "e.zip").read()
    for name in ("obs", "action", "reward", "state"):
        np.testing.assert_array_equal(getattr(read, name), getattr(episode, name))
        assert getattr(read, name).dtype == getattr(episode, name).dtype
    assert read.meta["env"] == {"id": "Test-v0"}
    assert (read.terminated, read.truncated, read.track, read.meta["policy"]) == (True, False, 7, "test")


def test_chunks_are_parts_of_the_episode(tmp_path):
    episode = make_episode(steps=CHUNK + 20)
    write_episode(tmp_path / "e.zip", encode_episode(episode))
    np.testing.assert_array_equal(EpisodeFile(tmp_path / "e.zip").chunks([1]), episode.obs[CHUNK:])


def test_numpy_opens_the_arrays_without_pickle(tmp_path):
    write_episode(tmp_path / "e.zip", encode_episode(make_episode(steps=3)))
    with zipfile.ZipFile(tmp_path / "e.zip") as archive:
        assert set(archive.namelist()) == {
            "meta.json",
            "env.json",
            "action.npy",
            "reward.npy",
            "state.npy",
            "obs_00000.zst",
        }
        assert np.load(io.BytesIO(archive.read("action.npy")), allow_pickle=False).shape == (3, 3)


def test_a_truncated_file_is_named(tmp_path):
    content = encode_episode(make_episode(steps=50))
    (tmp_path / "e.zip").write_bytes(content[: len(content) // 2])
    with pytest.raises(RunError, match=r"e\.zip is no whole episode.*delete it"):
        _ = EpisodeFile(tmp_path / "e.zip").meta


def test_a_changed_byte_is_noticed(tmp_path):
    content = bytearray(encode_episode(make_episode(steps=50)))
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as archive:
        place = archive.getinfo("reward.npy").header_offset + 150
    content[place] ^= 0xFF
    (tmp_path / "e.zip").write_bytes(bytes(content))
    with pytest.raises(RunError, match="no whole episode"):
        EpisodeFile(tmp_path / "e.zip").steps()


def altered(path, **entries):
    """Write an episode's file with other entries, every checksum right."""
    content = encode_episode(make_episode(steps=30))
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, entries.get(name.partition(".")[0], old.read(name)))
    return EpisodeFile(path)


def facts(**changes):
    shown = {"format_version": 1, "track": 7, "steps": 30, "obs_shape": [16, 16, 3], "terminated": True,
             "truncated": False}  # fmt: skip
    return json.dumps({**shown, **changes})


@pytest.mark.slow
def test_a_small_file_that_claims_gigabytes_is_refused_before_any_are_made(tmp_path):
    compressor = zstandard.ZstdCompressor().compressobj(size=1 << 31)
    chunk = b"".join(compressor.compress(bytes(1 << 24)) for _ in range(128)) + compressor.flush()
    file = altered(tmp_path / "e.zip", obs_00000=chunk)
    tracemalloc.start()
    with pytest.raises(RunError, match=r"chunk 0 claims 2147483648 bytes where its frames have 23808"):
        file.read()
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


@pytest.mark.parametrize("claim", [
    {"steps": 10**12}, {"steps": -1}, {"steps": "x"}, {"steps": None}, {"obs_shape": [1 << 20, 1 << 20, 3]},
    {"obs_shape": [16, 16]}, {"obs_shape": 3}, {"obs_shape": [16, -16, 3]}, {"obs_shape": [32, 32, 3]},
    {"steps": 29},
])  # fmt: skip
def test_claims_that_the_rest_does_not_bear_out_are_refused(tmp_path, claim):
    with pytest.raises(RunError, match=r"e\.zip is no whole episode.*delete it"):
        altered(tmp_path / "e.zip", meta=facts(**claim)).read()


@pytest.mark.parametrize("entries", [
    {"meta": "[1]"}, {"meta": "{"}, {"meta": "[" * 100_000}, {"obs_00000": b"no zstd"},
    {"reward": b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }"},
    {"reward": b""}, {"action": b"x" * 200},
])  # fmt: skip
def test_entries_that_are_none_are_refused(tmp_path, entries):
    with pytest.raises(RunError, match=r"e\.zip is no whole episode.*delete it"):
        altered(tmp_path / "e.zip", **entries).read()


def test_an_entry_that_is_packed_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "e.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.json", " " * 100_000)
    with pytest.raises(RunError, match="compressed in another way"):
        _ = EpisodeFile(tmp_path / "e.zip").meta


def test_lengths_must_fit():
    with pytest.raises(ValueError, match="4 frames, 4 states and 3 rewards"):
        Episode(
            obs=np.zeros((3, 8, 8, 3), np.uint8),
            action=np.zeros((3, 2), np.float32),
            reward=np.zeros(3, np.float32),
            state=np.zeros((4, 0), np.float32),
            terminated=False,
            truncated=True,
            track=0,
        )


def test_a_stop_within_an_entry_is_a_stop(monkeypatch):
    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(zipfile, "_ZipWriteFile", stopped)  # when the archive counts the entry as open
    with pytest.raises(KeyboardInterrupt):
        encode_episode(make_episode())
