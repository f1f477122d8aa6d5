"""Rollouts as training data: frames in shuffled batches, through a buffer whose size is fixed.

Random single frames out of a compressed file cost more than training on them, so chunks are shuffled, pooled until the
buffer is full, and the frames of a pool are shuffled. The stream is a pure function of the seed: it can be taken up at
any step without reading what came before.
"""

import itertools
import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from generative.hardware.device import fits_on
from worldmodels.errors import RunError
from worldmodels.rollouts.episode import CHUNK, EpisodeFile
from worldmodels.run.finished import checked

GOLDEN = 0.6180339887498949
"""Multiples of it, modulo 1, never come together: what is picked by them meets no rhythm of the data."""
READERS = 8
"""Files that are read at the same time."""
HELD_OUT_EVERY = 10
"""Every tenth episode, so every tenth track, is held out of training."""
CPU = torch.device("cpu")

Pool = list[tuple[int, int]]
"""Numbers of files, and of chunks in them."""
Order = TypeVar("Order", np.ndarray, Tensor)


def episode_files(folder: Path) -> list[EpisodeFile]:
    """Return the episodes of a rollouts folder in the order of their numbers.

    Raises:
        RunError: there are none, or those of a finished collection have changed since.
    """
    files = [EpisodeFile(path) for path in checked(folder, "episode_*.zip")]
    if not files:
        raise RunError(f"{folder} holds no episodes: run `worldmodels collect` first")
    return files


def recorded_path(folder: Path, generation: int, number: int) -> Path:
    """Return where an evolution keeps an episode that the mean drove after a generation."""
    return folder / "recorded" / f"{generation:05d}_{number:03d}.zip"


def recorded_files(folder: Path) -> list[EpisodeFile]:
    """Return the episodes that an evolution recorded, in the order of generations."""
    return [EpisodeFile(path) for path in checked(folder, "recorded/*.zip")]


def split(files: list[EpisodeFile]) -> tuple[list[EpisodeFile], list[EpisodeFile]]:
    """Split episodes into training and held-out ones, by track: no track is in both."""
    if len(files) < 2:
        raise RunError(f"{len(files)} episode is too little to hold one out: collect at least 2")
    tracks = sorted({file.meta["track"] for file in files})
    held = set(tracks[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]) or {tracks[-1]}
    return (
        [file for file in files if file.meta["track"] not in held],
        [file for file in files if file.meta["track"] in held],
    )


@dataclass(frozen=True)
class FrameBatches:
    """An endless, seeded stream of shuffled frame batches; call it with the step to start at."""

    files: list[EpisodeFile]
    batch: int
    buffer: int
    """Frames in memory at a time; at least a batch."""
    seed: int
    device: torch.device = CPU
    """Where batches are wanted; on a GPU frames are kept there, and only the order travels."""

    def __post_init__(self) -> None:
        frames = sum(file.frames for file in self.files)
        if frames < self.batch:
            raise RunError(f"{frames} frames do not fill a batch of {self.batch}: collect more or set a smaller batch")

    def __call__(self, start_step: int = 0) -> Iterator[Tensor]:
        """Yield uint8 (B H W C) from batch number `start_step` on."""
        if self.device.type == "cuda":
            yield from self._on_gpu(start_step)
        for pool, order, first in self._orders(start_step):
            frames = self._load(pool, len(order))
            for chosen in self._chosen(order, first):
                yield torch.from_numpy(frames[chosen])

    def _orders(self, start_step: int) -> Iterator[tuple[Pool, np.ndarray, int]]:
        """Yield pools, the order of their frames, and the number of the first batch that is wanted of each."""
        skip, epoch = start_step, 0
        while True:
            rng = np.random.default_rng([self.seed, epoch])
            for pool, size in self._pools(rng):
                order = rng.permutation(size)
                if skip < size // self.batch:
                    yield pool, order, skip
                skip = max(0, skip - size // self.batch)
            epoch += 1

    def _chosen(self, order: Order, first: int) -> Iterator[Order]:
        for index in range(first, len(order) // self.batch):
            yield order[index * self.batch : (index + 1) * self.batch]

    def _on_gpu(self, start_step: int) -> Iterator[Tensor]:
        for frames, order, first in self._kept(start_step):
            places = torch.from_numpy(order).to(self.device)
            for chosen in self._chosen(places, first):
                yield frames.index_select(0, chosen)

    def _kept(self, start_step: int) -> Iterator[tuple[Tensor, np.ndarray, int]]:
        """Yield frames on the GPU, the order of places among them, and the number of the first batch.

        The frames are all there are, where they fit, and else those of a pool, the next one being read meanwhile.
        """
        if self._resident is not None:
            for pool, order, first in self._orders(start_step):
                yield self._resident, self._places(pool)[order], first
        with ThreadPoolExecutor(1) as ahead:  # reads only: a thread must not use the GPU while steps are recorded
            waiting: deque[tuple[Future[np.ndarray], np.ndarray, int]] = deque()
            for pool, order, first in self._orders(start_step):
                waiting.append((ahead.submit(self._load, pool, len(order)), order, first))
                if len(waiting) == 2:
                    frames, its_order, its_first = waiting.popleft()
                    yield torch.from_numpy(frames.result()).to(self.device), its_order, its_first

    @cached_property
    def _resident(self) -> Tensor | None:
        """All frames in the order of the files, on the GPU; None where they do not fit."""
        shape = (sum(file.frames for file in self.files), *self.files[0].meta["obs_shape"])
        if not fits_on(self.device, math.prod(shape)):
            return None
        frames, filled = torch.empty(shape, dtype=torch.uint8, device=self.device), 0
        with ThreadPoolExecutor(READERS) as readers:
            for start in range(0, len(self.files), READERS):  # no more files than are read at a time wait in memory
                for read in readers.map(EpisodeFile.all_frames, self.files[start : start + READERS]):
                    frames[filled : filled + len(read)].copy_(torch.from_numpy(read))
                    filled += len(read)
        return frames

    def _places(self, pool: Pool) -> np.ndarray:
        """Return where the frames of a pool are among all, in the order in which `_load` reads them."""
        begins = np.cumsum([0, *(file.frames for file in self.files)])
        return np.concatenate(
            [
                np.arange(begins[number] + chunk * CHUNK, min(begins[number] + (chunk + 1) * CHUNK, begins[number + 1]))
                for number, chunks in by_file(pool).items()
                for chunk in chunks
            ]
        )

    def _pools(self, rng: np.random.Generator) -> Iterator[tuple[Pool, int]]:
        """Yield groups of (file, chunk) that fill the buffer; the last one joins the pool before it if too small."""
        chunks = [
            (number, chunk, min(CHUNK, file.frames - chunk * CHUNK))
            for number, file in enumerate(self.files)
            for chunk in range(-(-file.frames // CHUNK))
        ]
        pool: Pool = []
        size, left = 0, sum(length for _, _, length in chunks)
        for position in rng.permutation(len(chunks)):
            number, chunk, length = chunks[position]
            pool.append((number, chunk))
            size, left = size + length, left - length
            if size >= max(self.buffer, self.batch) and left >= self.batch:
                yield pool, size
                pool, size = [], 0
        yield pool, size

    def _load(self, pool: Pool, size: int) -> np.ndarray:
        frames = np.empty((size, *self.files[0].meta["obs_shape"]), dtype=np.uint8)
        filled = 0
        for number, indices in by_file(pool).items():
            read = self.files[number].chunks(indices)
            frames[filled : filled + len(read)] = read
            filled += len(read)
        return frames


def by_file(pool: Pool) -> dict[int, list[int]]:
    """Return a pool's chunks by the number of their file."""
    found: dict[int, list[int]] = {}
    for number, chunk in pool:
        found.setdefault(number, []).append(chunk)
    return found


def sample_frames(files: list[EpisodeFile], count: int, seed: int) -> Tensor:
    """Return about `count` frames, uint8 (B H W C), spread over the episodes; the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    each = max(1, -(-count // len(files)))
    frames = []
    for number in rng.permutation(len(files))[: max(1, min(len(files), count))]:
        file = files[number]
        chunk = file.chunks([int(rng.integers(-(-file.frames // CHUNK)))])
        frames.append(chunk[np.sort(rng.choice(len(chunk), min(each, len(chunk)), replace=False))])
    return torch.from_numpy(np.concatenate(frames)[:count])


def places_over(count: int, most: int) -> list[int]:
    """Return at most `most` of `count` places, ascending and different, one in each of `most` equal parts.

    Where in its part a place lies changes from part to part: a fixed stride would meet the turns that drivers take.
    """
    if count <= most:
        return list(range(count))
    bounds = [part * count // most for part in range(most + 1)]
    parts = itertools.pairwise(bounds)
    return [low + int(number * GOLDEN % 1.0 * (high - low)) for number, (low, high) in enumerate(parts)]


def frames_over(files: list[EpisodeFile], count: int) -> Tensor:
    """Return `count` frames, uint8 (B H W C), of episodes spread over all and of moments spread over an episode."""
    chosen = places_over(len(files), count)
    frames = []
    for number in range(count):
        file = files[chosen[number * len(chosen) // count]]
        place = int((number + 1) * GOLDEN % 1.0 * file.frames)
        frames.append(file.chunks([place // CHUNK])[place % CHUNK])
    return torch.from_numpy(np.stack(frames))
