"""Rollouts as the memory sees them: each frame's latent, encoded once by a finished vision and kept in files.

A latent is stored as mean and standard deviation, so that every batch can draw it anew. Sequences are read from the
files as they are needed: memory use does not grow with the number of episodes.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from generative import to_float
from worldmodels.agent.features import FeaturesConfig
from worldmodels.errors import RunError
from worldmodels.files import write_bytes
from worldmodels.memories import SequenceBatch
from worldmodels.memories.targets import RewardTargetConfig, TerminationTargetConfig, episode_targets, step_worth
from worldmodels.rollouts.episode import EpisodeFile

ENCODE_BATCH = 128
AGAIN = "delete it and run the command again, which encodes the episode anew"


@torch.inference_mode()
def encode_episode_latents(file: EpisodeFile, vision: Any, path: Path, device: str = "cpu", weights: str = "") -> None:
    """Encode an episode's frames and write latents, actions, rewards and states to a safetensors file.

    Args:
        file: the episode.
        vision: what encodes it.
        path: where to; the file says itself what it is of, with a digest of its content.
        device: where the vision is.
        weights: digest of the vision's weights.
    """
    episode, facts = file.read(), file.env()
    worth = step_worth(episode.state, facts.get("simulator_state_names", ()), facts.get("action_repeat", 1))
    means, stds = [], []
    for start in range(0, len(episode.obs), ENCODE_BATCH):
        mean, std = vision.encode(to_float(torch.from_numpy(episode.obs[start : start + ENCODE_BATCH])).to(device))
        means.append(mean.cpu())
        stds.append(std.cpu())
    arrays = {
        "mean": torch.cat(means).numpy(),
        "std": torch.cat(stds).numpy(),
        "action": episode.action,
        "reward": episode.reward,
        "state": episode.state,
        "worth": np.zeros(0, np.float32) if worth is None else worth,
    }
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    meta = {"track": str(episode.track), "lost": str(int(episode.lost)), "episode": file.path.stem, "vision": weights}
    said = json.dumps({**meta, "sha256": _digest(arrays, meta)})
    write_bytes(path, save(arrays, {"facts": said}))  # one entry: safetensors writes several in any order


def _digest(arrays: Mapping[str, np.ndarray], meta: Mapping[str, str]) -> str:
    digest = hashlib.sha256(repr(sorted(meta.items())).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


class LatentFile:
    """Reads parts of an encoded episode."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        try:
            with safe_open(self.path, "np") as file:
                self.steps = int(file.get_slice("reward").get_shape()[0])
                facts = dict(file.metadata())
                facts = json.loads(facts["facts"]) if "facts" in facts else facts
                written = facts.pop("sha256", None)
                if written and written != _digest({name: file.get_tensor(name) for name in file.keys()}, facts):
                    raise ValueError("not what was written")
            lost = facts.get("lost") or facts["terminated"]  # as older versions wrote, which knew no success
            self.track, self.lost = int(facts["track"]), lost == "1"
            self.episode, self.vision = facts.get("episode"), facts.get("vision")
        except (SafetensorError, KeyError, TypeError, OSError, ValueError, IndexError) as error:
            raise RunError(f"{self.path} holds no latents ({error}): {AGAIN}") from error

    def check_of(self, episode: str, vision: str) -> "LatentFile":
        """Return itself; a RunError where it holds the latents of another episode or of another vision.

        Args:
            episode: name of the episode's file, without its suffix.
            vision: digest of the vision's weights.
        """
        for name, found, wanted in (("episode", self.episode, episode), ("vision", self.vision, vision)):
            if found and found != wanted:
                raise RunError(f"{self.path} holds the latents of another {name}: {AGAIN}")
        return self

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Return the rows `start` to `stop` of an array: mean, std, action, reward, state or worth."""
        with safe_open(self.path, "np") as file:
            if name not in file.keys():
                raise RunError(
                    f"{self.path} has no `{name}`, an older version wrote it: delete {self.path.parent} and run "
                    "`worldmodels train-memory` again"
                )
            part = file.get_slice(name)
            length, *shape = part.get_shape()
            end = length if stop is None else min(stop, length)
            rows: np.ndarray = part[start:end] if start < end else np.zeros((0, *shape), np.float32)
        return rows

    def targets(self, reward: RewardTargetConfig, termination: TerminationTargetConfig) -> dict[str, np.ndarray]:
        """Return what the heads learn of the episode: `reward` and `termination`, float32 (T)."""
        state = self.read("state")
        found = state if state.shape[1] else None
        worth = self.read("worth") if reward.type == "progress" else None
        if worth is not None and len(worth) < self.steps:
            worth = None
        try:
            return episode_targets(self.read("reward"), self.lost, found, reward, termination, worth)
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

    def __call__(self, start_step: int = 0) -> Iterator[SequenceBatch]:
        """Yield batches from number `start_step` on; episodes are drawn in proportion to their steps."""
        targets = [file.targets(self.reward, self.termination) for file in self.files]
        steps = np.array([file.steps for file in self.files])
        chance = steps / steps.sum()
        step = start_step
        while True:
            rng = np.random.default_rng([self.seed, step])
            numbers = rng.choice(len(self.files), self.batch, p=chance)
            starts = [int(rng.integers(max(1, steps[number] - self.length + 1))) for number in numbers]
            pieces = [
                (self.files[number], targets[number], start) for number, start in zip(numbers, starts, strict=True)
            ]
            yield stack_sequences(pieces, self.length, self.latent)
            step += 1


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
    pieces = [(file, file.targets(reward, termination), 0) for file in files[:most]]
    return [stack_sequences(pieces[start : start + 16], length, latent) for start in range(0, len(pieces), 16)]


def feature_samples(
    files: Sequence[LatentFile], features: FeaturesConfig, memory: Any, seed: int, count: int = 64, length: int = 256
) -> Float32[np.ndarray, "S F"]:
    """Return what the controller would read, unscaled, along pieces of rollouts, without their first steps."""
    rng = np.random.default_rng(seed)
    samples = []
    for number in rng.permutation(len(files))[:count]:
        z = files[number].read("mean", 0, length)
        action = files[number].read("action", 0, length)[: len(z) - 1]
        if features.reads == "frame-stack":
            windows = np.lib.stride_tricks.sliding_window_view(z, min(features.stack, len(z)), axis=0)  # (T Z stack)
            samples.append(windows.transpose(0, 2, 1).reshape(len(windows), -1))
        elif memory is not None:
            remembered = _remembered(memory, torch.from_numpy(z[:-1]), torch.from_numpy(action))
            samples.append(np.concatenate([z[1:], remembered], axis=1)[min(10, len(remembered) - 1) :])
        else:
            samples.append(z)
    width = max(sample.shape[1] for sample in samples)
    return np.concatenate([sample for sample in samples if sample.shape[1] == width])


@torch.inference_mode()
def _remembered(memory: Any, z: Tensor, action: Tensor) -> np.ndarray:
    """Return the memory's features (T H) behind each step of a sequence."""
    state = memory.initial(1)
    features = []
    for step in range(len(action)):
        state = memory.advance(z[step : step + 1], action[step : step + 1], state)
        features.append(memory.feature(state).numpy())
    return np.concatenate(features)
