"""Rollouts as a Minari data set, the offline format of the Farama Foundation, and Minari data sets as rollouts.

Frames are stored as they are: Minari's own default is JPEG, which loses. The simulator's state travels in `infos`, the
seed, the policy and success in the metadata of an episode.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from agents import ActionSpec
from envs import EnvConfig, model_frame
from generative.core.facts import Facts, FactsView
from worldmodels.agent.build import EnvShape
from worldmodels.errors import RunError
from worldmodels.files import new_folder
from worldmodels.optional import optional_package
from worldmodels.rollouts.episode import Episode, EpisodeFile
from worldmodels.seeds import TEST, TRAINING, VALIDATION

PREFIX = "minari:"
"""What a field that names a run begins with where it names a Minari data set instead."""
NOTES = ("policy", "policy_seed", "env_frames")
"""What our episodes say of themselves besides Minari's own fields."""
DATA = "data"
"""The folder in a data set that holds metadata.json and the episodes."""


def minari_name(field: str) -> str | None:
    """Return the data set that a field names, or None where it names a run."""
    return field.removeprefix(PREFIX) if field.startswith(PREFIX) else None


def place_of(name: str) -> Path:
    """Return the folder of a data set: a path where the name is one, and else where Minari keeps it.

    Raises:
        RunError: Minari is not installed.
    """
    path = Path(name)
    if path.is_absolute() or path.parts[:1] in ((".",), ("..",)) or name.startswith(f".{os.sep}") or path.is_dir():
        return path
    return Path(_minari().storage.get_dataset_path(name))


def write_minari(name: str, files: Iterable[EpisodeFile], shape: EnvShape, facts: FactsView) -> tuple[Path, int]:
    """Write episodes as a data set, whole or not at all, and return its folder and how many there are.

    Args:
        name: as NAME-v0, or NAMESPACE/NAME-v0; or a path whose last part is such a name.
        files: the episodes; one is in memory at a time.
        shape: of the environment that they were recorded in.
        facts: of that environment, as `env_facts`.

    Raises:
        RunError: Minari is not installed, the name is none for it, or is taken.
    """
    minari = _minari()
    folder = place_of(name)
    named = folder.name if folder == Path(name) else name
    try:
        minari.dataset.minari_dataset.parse_dataset_id(named)
    except (ValueError, TypeError):  # the latter for a name without a version
        raise RunError(f"{named}: Minari's names end in a version, such as {named}-v0") from None
    if folder.exists():
        raise RunError(f"{folder} exists; choose another name, or remove that data set first")
    with new_folder(folder) as new:
        data = new.absolute() / DATA  # Minari takes a relative path for one inside the data set
        data.mkdir()
        storage = minari.dataset.minari_storage.MinariStorage.new(
            data, *shape.spaces, data_format="hdf5", jpeg_encoding=False
        )
        about = {
            "dataset_id": named,
            "minari_version": minari.__version__,
            "description": f"Recorded with worldmodels in {facts['id']}, at the size of its model's frames.",
            "worldmodels": json.dumps(facts),
        }
        storage.update_metadata(about)
        notes: list[Facts] = []
        storage.update_episodes(_buffer(minari, file.read(), shape.spec, notes) for file in files)
        storage.update_episode_metadata(notes)
    return folder, len(notes)


def _buffer(minari: Any, episode: Episode, spec: ActionSpec, notes: list[Facts]) -> Any:
    """Return an episode as Minari writes it, and note what else is known of it."""
    last = np.arange(len(episode)) == len(episode) - 1
    known = {key: episode.meta[key] for key in NOTES if key in episode.meta}
    notes.append({"goal_reached": episode.goal_reached, **known})
    return minari.data_collector.EpisodeBuffer(
        seed=episode.track,
        observations=episode.obs,
        actions=spec.to_env(episode.action),
        rewards=episode.reward,
        terminations=last & episode.terminated,
        truncations=last & episode.truncated,
        infos={"state": episode.state} if episode.state.size else {},
    )


class MinariEpisodes:
    """The episodes of a data set as rollouts of an environment; nothing is kept open between them."""

    def __init__(self, name: str, env: EnvConfig, shape: EnvShape):
        """Open it.

        Raises:
            RunError: Minari is not installed, there is no such data set here, or its frames or actions are others.
        """
        self.name, self._env, self._shape = name, env, shape
        folder = place_of(name)
        try:
            self._storage = _minari().dataset.minari_storage.MinariStorage.read(folder / DATA)
        except (ValueError, OSError, KeyError, AssertionError) as error:
            raise RunError(
                f"{PREFIX}{name}: no data set of Minari in {folder} ({error}); `minari list local` shows what is "
                f"here, `minari download {name}` fetches one"
            ) from error
        about = self._storage.metadata
        self._facts: Facts = json.loads(about.get("worldmodels") or "{}")
        self._check(about["observation_space"], about["action_space"])
        seeds = [about.get("seed") for about in self._metadata(range(self._storage.total_episodes))]
        kept = [number for number, seed in enumerate(seeds) if seed not in TEST and seed not in VALIDATION]
        self.tracks = {number: _track(seeds[number], number) for number in kept}
        """Episodes that can be learnt from, and the seed of each; one without a seed counts as a track of its own."""
        self.left_out = len(seeds) - len(kept)
        """Episodes on test and validation tracks, which nothing may learn from."""

    def __len__(self) -> int:
        return len(self.tracks)

    def episode(self, place: int) -> Episode:
        """Return one of those that can be learnt from, as frames of the model's size."""
        number, track = list(self.tracks.items())[place]
        found, about = next(iter(self._storage.get_episodes([number]))), next(self._metadata([number]))
        steps = len(found["rewards"])
        terminated = bool(found["terminations"][-1])
        state = (found["infos"] or {}).get("state", np.zeros((steps + 1, 0), dtype=np.float32))
        notes = {key: _plain(about[key]) for key in NOTES if key in about}
        return Episode(
            obs=self._frames(found["observations"]),
            action=self._shape.spec.from_env(np.asarray(found["actions"])),
            reward=np.asarray(found["rewards"], dtype=np.float32),
            state=np.asarray(state, dtype=np.float32),
            terminated=terminated,
            truncated=bool(found["truncations"][-1]) or not terminated,  # Minari may store a part of an episode
            track=track,
            goal_reached=bool(about.get("goal_reached", False)),
            meta={
                "policy": PREFIX + self.name,
                "env_frames": steps * self._env.action_repeat,
                **notes,
                "env": self._facts,
            },
        )

    def _metadata(self, numbers: Iterable[int]) -> Iterator[Facts]:
        yield from self._storage.get_episode_metadata(numbers)

    def _frames(self, obs: np.ndarray) -> np.ndarray:
        size = self._env.size
        if obs.shape[1:3] == (size, size):
            return obs if obs.ndim == 4 else obs[..., None]
        return np.stack([model_frame(frame, size, self._env.crop) for frame in obs])

    def _check(self, frames: gym.Space[Any], actions: gym.Space[Any]) -> None:
        """Refuse what is not of this run's world, as far as the data set tells."""
        mine, what = self._shape.spaces, f"{PREFIX}{self.name}"
        channels = (frames.shape or ())[2:] or (1,)
        if not isinstance(frames, gym.spaces.Box) or frames.dtype != np.uint8 or channels != mine[0].shape[2:]:
            raise RunError(f"{what} holds {frames}; this run is about {mine[0]}, frames of any height and width")
        if actions != mine[1]:
            raise RunError(f"{what} has actions {actions}; those of {self._env.id} are {mine[1]}")
        for name, ours in (("id", self._env.id), ("action_repeat", self._env.action_repeat)):
            if self._facts.get(name, ours) != ours:
                raise RunError(f"{what} was recorded with {name}={self._facts[name]}; this run has {ours}")


def _track(seed: int | None, number: int) -> int:
    return TRAINING.start + number if seed is None else int(seed)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _minari() -> Any:
    """Return the package, with what is used of it; RunError where it is not installed."""
    inner = ("minari.dataset.minari_dataset", "minari.dataset.minari_storage", "minari.storage", "h5py")
    return optional_package("minari", *inner, install="minari[hdf5]")
