"""An episode's latents: each frame encoded once by a finished vision, kept in a file and read in parts.

A latent is stored as mean and standard deviation, so that every batch can draw it anew.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from generative import to_float
from generative.capabilities import Encodes
from worldmodels.errors import RunError
from worldmodels.files import write_bytes
from worldmodels.memories.targets import step_worth
from worldmodels.rollouts.episode import EpisodeFile

ENCODE_BATCH = {"cpu": 128, "cuda": 2048}
"""Frames that are encoded together: on a processor few enough to stay in its caches, on a GPU enough to fill it."""
AGAIN = "delete it and run the command again, which encodes the episode anew"


@torch.inference_mode()
def encode_episode_latents(
    file: EpisodeFile, vision: Encodes, path: Path, device: str = "cpu", weights: str = ""
) -> None:
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
    batch = ENCODE_BATCH.get(torch.device(device).type, 128)
    for start in range(0, len(episode.obs), batch):
        mean, std = vision.encode(to_float(torch.from_numpy(episode.obs[start : start + batch]).to(device)))
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
