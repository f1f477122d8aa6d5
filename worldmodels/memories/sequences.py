"""What a memory learns from: sequences of encoded episodes, with the targets of its heads.

Latents stay in memory where they fit, on a GPU in its own; else sequences are read from files as they are needed, so
that the memory in use does not grow with the number of episodes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from safetensors import safe_open
from torch import Tensor

from generative.hardware.device import home
from generative.training.batches import on_device
from worldmodels.errors import RunError
from worldmodels.memories.contract import SequenceBatch
from worldmodels.memories.targets import RewardTargetConfig, TerminationTargetConfig, episode_targets
from worldmodels.vision.latent_files import LatentFile

CPU = torch.device("cpu")


def latent_targets(
    file: LatentFile, reward: RewardTargetConfig, termination: TerminationTargetConfig
) -> dict[str, np.ndarray]:
    """Return what the heads learn of an encoded episode: `reward` and `termination`, float32 (T).

    Raises:
        RunError: the simulator's state does not tell one of them.
    """
    state = file.read("state")
    found = state if state.shape[1] else None
    worth = file.read("worth") if reward.type == "progress" else None
    if worth is not None and len(worth) < file.steps:
        worth = None
    try:
        return episode_targets(file.read("reward"), file.lost, found, reward, termination, worth)
    except ValueError as error:
        field = "reward" if reward.type == "progress" and worth is None else "termination"
        raise RunError(f"memory.{field}: {error}") from error


@dataclass(frozen=True)
class SequenceBatches:
    """An endless, seeded stream of sequence batches; call it with the step to start at."""

    files: list[LatentFile]
    batch: int
    length: int
    """T: longer episodes are cut at a random place, shorter ones padded and masked."""
    seed: int
    reward: RewardTargetConfig
    termination: TerminationTargetConfig
    latent: Literal["sample", "mean"] = "sample"
    """mean: posteriors are handed on without their spread."""
    device: torch.device = CPU
    """Where batches are wanted."""

    def __call__(self, start_step: int = 0) -> Iterator[SequenceBatch]:
        """Yield batches from number `start_step` on; episodes are drawn in proportion to their steps."""
        targets = [latent_targets(file, self.reward, self.termination) for file in self.files]
        steps = np.array([file.steps for file in self.files])
        share = steps / steps.sum()
        kept = self._kept(targets)
        step = start_step
        while True:
            rng = np.random.default_rng([self.seed, step])
            numbers = rng.choice(len(self.files), self.batch, p=share)
            starts = [int(rng.integers(max(1, steps[number] - self.length + 1))) for number in numbers]
            if kept is not None:
                yield kept.sequences(numbers, np.array(starts), self.length)
            else:
                places = zip(numbers, starts, strict=True)
                pieces = [(self.files[number], targets[number], start) for number, start in places]
                yield stack_sequences(pieces, self.length, self.latent)
            step += 1

    def _kept(self, targets: list[dict[str, np.ndarray]]) -> "Kept | None":
        """Return all episodes in memory; None where they do not fit."""
        latent, action = (self.files[0].read(name, 0, 1).shape[1] for name in ("mean", "action"))
        numbers = sum(file.steps + 1 for file in self.files) * (
            latent * (2 if self.latent == "sample" else 1) + action + 2
        )
        device = home(self.device, 4 * numbers)
        return None if device is None else Kept(self.files, targets, self.latent, device)


class Kept:
    """Encoded episodes one after the other in memory; a batch is gathered where they are."""

    def __init__(
        self,
        files: list[LatentFile],
        targets: list[dict[str, np.ndarray]],
        latent: Literal["sample", "mean"],
        device: torch.device,
    ) -> None:
        """Read the episodes."""
        self._device = device
        self._steps = np.array([file.steps for file in files])
        self._begins = np.cumsum([0, *self._steps[:-1]])
        self._mean = self._joined([file.read("mean") for file in files])
        self._std = self._joined([file.read("std") for file in files]) if latent == "sample" else None
        self._action = self._joined([file.read("action") for file in files])
        self._targets = [self._joined([each[name] for each in targets]) for name in ("reward", "termination")]

    def _joined(self, parts: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.concatenate(parts)).to(self._device)

    def sequences(self, numbers: np.ndarray, starts: np.ndarray, length: int) -> SequenceBatch:
        """Return pieces of episodes from their steps `starts` on, padded with zeros to `length` steps."""
        begins = self._begins[numbers] + starts
        filled = np.minimum(self._steps[numbers] - starts, length)
        # An episode has one frame more than steps, so in the rows of frames those before it have shifted it.
        places = torch.from_numpy(np.stack([begins, begins + numbers, filled]))
        begin, first, count = on_device(places, self._device).unsqueeze(-1)  # (B 1) each
        frame = torch.arange(length + 1, device=self._device)
        step, frames, steps = frame[:-1], frame <= count, frame[:-1] < count
        mean = _gathered(self._mean, first + frame, frames)
        std = torch.zeros_like(mean) if self._std is None else _gathered(self._std, first + frame, frames)
        action, reward, termination = (_gathered(each, begin + step, steps) for each in (self._action, *self._targets))
        return SequenceBatch(mean, std, action, reward, termination, steps)


def _gathered(table: Tensor, rows: Int[Tensor, "B T"], known: Tensor) -> Tensor:
    """Return rows of a table, (B T ...), and zeros where a row is not known."""
    found = table[torch.where(known, rows, 0)]
    return torch.where(known.view(*known.shape, *[1] * (found.dim() - 2)), found, 0.0)


def stack_sequences(
    pieces: list[tuple[LatentFile, dict[str, np.ndarray], int]],
    length: int,
    latent: Literal["sample", "mean"] = "sample",
) -> SequenceBatch:
    """Read pieces `(file, targets, start)` and pad them to `length` steps; with latent=mean, spreads are 0."""
    first = pieces[0][0]
    size, action_size = first.read("mean", 0, 1).shape[1], first.read("action", 0, 1).shape[1]
    count = len(pieces)
    mean = np.zeros((count, length + 1, size), dtype=np.float32)
    std = np.zeros_like(mean)
    action = np.zeros((count, length, action_size), dtype=np.float32)
    reward = np.zeros((count, length), dtype=np.float32)
    termination = np.zeros_like(reward)
    mask = np.zeros((count, length), dtype=bool)
    for row, (file, targets, start) in enumerate(pieces):
        stop = min(start + length, file.steps)
        filled = stop - start
        with safe_open(file.path, "np") as opened:
            mean[row, : filled + 1] = opened.get_slice("mean")[start : stop + 1]
            if latent == "sample":
                std[row, : filled + 1] = opened.get_slice("std")[start : stop + 1]
            action[row, :filled] = opened.get_slice("action")[start:stop]
        reward[row, :filled] = targets["reward"][start:stop]
        termination[row, :filled] = targets["termination"][start:stop]
        mask[row, :filled] = True
    return SequenceBatch(*(torch.from_numpy(array) for array in (mean, std, action, reward, termination, mask)))


def held_out_batches(
    files: list[LatentFile],
    length: int,
    reward: RewardTargetConfig,
    termination: TerminationTargetConfig,
    latent: Literal["sample", "mean"] = "sample",
    most: int = 64,
) -> list[SequenceBatch]:
    """Return the held-out episodes from their first step on, at most `most` of them, in batches of 16."""
    pieces = [(file, latent_targets(file, reward, termination), 0) for file in files[:most]]
    return [stack_sequences(pieces[start : start + 16], length, latent) for start in range(0, len(pieces), 16)]
