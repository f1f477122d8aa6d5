"""Sequences that stay in memory are those that are read from files."""

import itertools

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from worldmodels.memories.sequences import SequenceBatches
from worldmodels.memories.targets import RewardTargetConfig, TerminationTargetConfig
from worldmodels.vision.latent_files import LatentFile

LENGTHS = (5, 12, 3, 30)
TARGETS = RewardTargetConfig(window=3), TerminationTargetConfig(type="env")


@pytest.fixture
def files(tmp_path):
    rng, found = np.random.default_rng(0), []
    for number, steps in enumerate(LENGTHS):
        arrays = {
            "mean": rng.standard_normal((steps + 1, 4), dtype=np.float32),
            "std": rng.random((steps + 1, 4), dtype=np.float32),
            "action": rng.standard_normal((steps, 2), dtype=np.float32),
            "reward": rng.standard_normal(steps, dtype=np.float32),
            "state": np.zeros((steps + 1, 0), np.float32),
        }
        save_file(arrays, tmp_path / f"{number}.safetensors", {"track": str(number), "lost": str(number % 2)})
        found.append(LatentFile(tmp_path / f"{number}.safetensors"))
    return found


@pytest.mark.parametrize("latent", ["sample", "mean"])
def test_what_stays_in_memory_is_what_is_in_the_files(files, monkeypatch, latent):
    batches = SequenceBatches(files, 8, 10, 3, *TARGETS, latent)
    with monkeypatch.context() as patch:
        patch.setattr("worldmodels.memories.sequences.home", lambda device, size: None)
        read = list(itertools.islice(batches(2), 12))
    kept = list(itertools.islice(batches(2), 12))
    assert {int(count) for batch in read for count in batch.mask.sum(1)} == {3, 5, 10}
    for one, other in zip(read, kept, strict=True):
        for expected, found in zip(one, other, strict=True):
            assert found.dtype == expected.dtype and torch.equal(found, expected)


def test_files_are_read_once_where_latents_fit(files, monkeypatch):
    asked = []
    monkeypatch.setattr("worldmodels.memories.sequences.home", lambda device, size: asked.append(size) or device)
    batches = SequenceBatches(files, 8, 10, 3, *TARGETS)(0)
    next(batches)
    for file in files:
        file.path.unlink()
    next(batches)
    frames = sum(LENGTHS) + len(LENGTHS)
    assert asked == [4 * frames * (4 + 4 + 2 + 2)]
