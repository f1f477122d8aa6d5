"""What a memory did not expect in real drives: the chance of dreams that are to have real roads.

A memory trained on a few hundred thousand frames predicts the mean of what comes into sight, and its mixture adds
chance to every latent apart: a dream forgets bends within ten steps and brings no new ones, so what is evolved in it
has never met one. The differences between recorded latents and their expectations, replayed in the order in which they
occurred, bring the bends of the recorded roads into a dream, whatever is done in it; with the recorded actions the
dream is the recorded drive. This is the counterfactual of Buesing et al., *Woulda, Coulda, Shoulda:
Counterfactually-Guided Policy Search* (2019), with the memory's expectation as the mechanism and what is left over as
the scenario.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int

from worldmodels.latents import LatentFile


class Innovations(NamedTuple):
    """Recorded latents less their expectations, all episodes' steps in one array of N rows."""

    value: Float32[np.ndarray, "M N Z"]
    """By the expectation of each member of an ensemble; of one where the memory is none."""
    last: Int[np.ndarray, " N"]
    """For each row, the row that its episode is over at; no later than that of the next end."""
    still_row: Int[np.ndarray, " S"]
    """First rows of the episodes that dreams begin at standstill in."""
    warm_row: Int[np.ndarray, " W"]
    """Rows of the steps that dreams begin inside an episode with."""

    def rows(self, first: int, count: int, rng: np.random.Generator) -> Int[np.ndarray, " T"]:
        """Return the rows of a dream of `count` steps: from `first` on, then from other starts where that is over."""
        found: list[np.ndarray] = []
        while count > 0:
            some = np.arange(first, min(int(self.last[first]), first + count))
            found.append(some)
            count, first = count - len(some), int(self.warm_row[rng.integers(len(self.warm_row))])
        return np.concatenate(found)


def last_rows(
    steps: Sequence[int], ended: Sequence[np.ndarray] | None
) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, " F"]]:
    """Return, for F episodes one after another, where each row is over, and the first row of each episode.

    Args:
        steps: of each episode.
        ended: for each episode (T), 1 where a dream would be over after the step: what was unexpected in it and after
            it is of a car that has left the road.
    """
    offset = np.concatenate([[0], np.cumsum(steps)])
    last = np.empty(offset[-1], dtype=np.int64)
    for number, count in enumerate(steps):
        stops = np.append(np.flatnonzero(ended[number]) if ended is not None else [], count).astype(np.int64)
        last[offset[number] : offset[number + 1]] = offset[number] + stops[np.searchsorted(stops, np.arange(count))]
    return last, offset[:-1]


@torch.inference_mode()
def record_innovations(
    memory: Any, files: Sequence[LatentFile], latent: Literal["sample", "mean"], rng: np.random.Generator
) -> Float32[np.ndarray, "M N Z"]:
    """Return what a memory did not expect in encoded episodes, each seen from its first step on.

    Args:
        memory: a memory, or an ensemble: then of each member.
        files: the episodes.
        latent: whether latents are drawn from their posteriors or are their means.
        rng: of that draw.
    """
    members = list(getattr(memory, "members", [memory]))
    parts: list[np.ndarray] = []
    for file in files:
        z = file.read("mean")
        if latent == "sample":
            z = (z + file.read("std") * rng.standard_normal(z.shape)).astype(np.float32)
        recorded, action = torch.from_numpy(z)[None], torch.from_numpy(file.read("action"))[None, : file.steps]
        expected = [member.forward_sequence(recorded[:, :-1], action)[0].expected_latent()[0] for member in members]
        parts.append((recorded[0, 1:] - torch.stack(expected)).numpy())
    return np.concatenate(parts, axis=1)
