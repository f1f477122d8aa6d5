"""What a controller reads as a control: memory features of other moments, which tell nothing of this one."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from worldmodels.memories import Remembers
from worldmodels.vision.latent_files import LatentFile

BANK = 1024
"""Moments that a shuffled memory draws from."""
EPISODES, LENGTH, SKIPPED = 64, 256, 10
"""Most episodes and steps of each that moments are taken from, and first steps that are left out."""


def shuffled_bank(files: Sequence[LatentFile], memory: Remembers, seed: int) -> Float32[np.ndarray, "S H"]:
    """Return what a memory remembered at random moments of encoded episodes, at most `BANK` of them."""
    rng = np.random.default_rng(seed)
    samples = []
    for number in rng.permutation(len(files))[:EPISODES]:
        z = files[number].read("mean", 0, LENGTH)
        action = files[number].read("action", 0, LENGTH)[: len(z) - 1]
        remembered = _remembered(memory, torch.from_numpy(z[:-1]), torch.from_numpy(action))
        samples.append(remembered[min(SKIPPED, len(remembered) - 1) :])
    every = np.concatenate(samples)
    order = np.random.default_rng([seed, 6]).permutation(len(every))
    return np.ascontiguousarray(every[order][:BANK], dtype=np.float32)


@torch.inference_mode()
def _remembered(memory: Remembers, z: Tensor, action: Tensor) -> np.ndarray:
    """Return the memory's features (T H) behind each step of a sequence."""
    state = memory.initial(1)
    features = []
    for step in range(len(action)):
        state = memory.advance(z[step : step + 1], action[step : step + 1], state)
        features.append(memory.feature(state).numpy())
    return np.concatenate(features)
