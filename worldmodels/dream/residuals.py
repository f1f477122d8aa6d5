"""A memory's residuals on real drives: the noise of dreams that are to have real roads.

A memory trained on a few hundred thousand frames predicts the mean of what comes into sight. Its mixture adds noise to
every latent apart, so within ten steps a dream has left all bends behind, and brings no new ones. A controller evolved
in it has never met a bend that it was not born in. Here the noise of a step is a residual: the difference between a
recorded latent and its expectation, at a real step with a similar latent and a similar action. It holds the bends that
real roads bring in such a place, and the memory's own errors in it. This is a nearest-neighbour bootstrap of residuals
(Lall and Sharma, *A Nearest Neighbor Bootstrap for Resampling Hydrologic Time Series*, 1996) around a neural
expectation.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor

from generative.hardware.cuda_graphs import fused
from worldmodels.memories import Ensemble, Memory
from worldmodels.vision.latent_files import LatentFile

PART = 1000
"""Least number of recorded steps, others at each step of a dream, of which the most similar one is taken."""


class Residuals(NamedTuple):
    """N real steps in random order, and the memory's errors at them."""

    z: Float32[np.ndarray, "N Z"]
    """The latent of each."""
    action: Float32[np.ndarray, "N A"]
    """What was done."""
    value: Float32[np.ndarray, "M N Z"]
    """The next latent less its expectation: of each member of an ensemble, of one where the memory is none."""


@torch.inference_mode()
def record_residuals(
    memory: Memory,
    files: Sequence[LatentFile],
    ended: Sequence[np.ndarray] | None,
    latent: Literal["sample", "mean"],
    rng: np.random.Generator,
) -> Residuals:
    """Return a memory's residuals in encoded episodes, each seen from its first step on.

    Args:
        memory: a memory, or an ensemble.
        files: the episodes.
        ended: for each episode (T), 1 where a dream would be over after the step: such steps are left out.
        latent: whether latents are drawn from their posteriors or are their means.
        rng: of that draw and of the order.
    """
    members: Sequence[Memory] = memory.each if isinstance(memory, Ensemble) else [memory]
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for number, file in enumerate(files):
        z, action = file.read("mean"), file.read("action", 0, file.steps)
        if latent == "sample":
            z = (z + file.read("std") * rng.standard_normal(z.shape)).astype(np.float32)
        seen, done = torch.from_numpy(z[None, :-1]), torch.from_numpy(action[None])
        expected = [member.forward_sequence(seen, done)[0].expected_latent()[0].numpy() for member in members]
        kept = np.ones(file.steps, dtype=bool) if ended is None else ended[number] == 0
        parts.append((z[:-1][kept], action[kept], (z[1:] - np.stack(expected))[:, kept]))
    before, done, value = zip(*parts, strict=True)
    order = rng.permutation(sum(map(len, before)))
    return Residuals(np.concatenate(before)[order], np.concatenate(done)[order], np.concatenate(value, 1)[:, order])


class ResidualBootstrap:
    """Draws residuals for dreams.

    The recorded steps are in S parts. A dream goes through them from a part of its own on, so the step that is most
    like it in one part is a draw among the most similar of all, and a function of the dream's seed.

    Attributes:
        parts: S.
        size: N/S, the steps in each.
        spread: of each dimension of the latent, its unit in measuring differences (Z).
        key_of: what similarity is measured by, of every step (S Z+A N/S).
        value: the residual of every step (M N Z).
    """

    def __init__(
        self, recorded: Residuals, spread: Float32[np.ndarray, " Z"], device: torch.device | str = "cpu"
    ) -> None:
        """Arrange the steps in parts of equal size, at least `PART` where there are as many.

        Args:
            recorded: the steps.
            spread: of each dimension of the latent: its unit in measuring differences; actions have none.
            device: where they are drawn.
        """
        count = len(recorded.z)
        self.parts = max(1, count // PART)
        self.size = count // self.parts
        kept = self.parts * self.size
        self.spread = torch.from_numpy(spread)
        key = _key(torch.from_numpy(recorded.z[:kept]), torch.from_numpy(recorded.action[:kept]), self.spread)  # (N K)
        self._half = 0.5 * key.square().sum(1).view(self.parts, 1, self.size)
        self.key_of = key.view(self.parts, self.size, -1).transpose(1, 2).contiguous()  # (S K N/S)
        self.value = torch.from_numpy(recorded.value[:, :kept])
        for name in ("spread", "_half", "key_of", "value"):
            setattr(self, name, getattr(self, name).to(device))

    def draw(self, z: Tensor, action: Tensor, part: Int[Tensor, " E"], member: Int[Tensor, " E"]) -> Tensor:
        """Return a residual for each row, float32 (C*E Z).

        Args:
            z: the latents (C*E Z), candidate after candidate.
            action: what is done (C*E A).
            part: which part of the steps each dream looks at.
            member: which member of an ensemble each dream has.
        """
        key = _key(z, action, self.spread).view(-1, len(part), self.key_of.shape[1]).transpose(0, 1)  # (E C K)
        nearest = _nearest(key, self.key_of, self._half, part)
        return _value_at(nearest, part, member, self.value, self.size)


@fused
def _key(z: Tensor, action: Tensor, spread: Tensor) -> Tensor:
    """Return what similarity is measured by, (B Z+A)."""
    return torch.cat([z / spread, action], dim=1)


@fused
def _nearest(key: Tensor, key_of: Tensor, half: Tensor, part: Tensor) -> Int[Tensor, "E C"]:
    """Return which step of a dream's part is most like each row.

    |a - b|^2 is least where a b - |b|^2 / 2 is largest.
    """
    return torch.bmm(key, key_of[part]).sub_(half[part]).argmax(2)


@fused
def _value_at(nearest: Tensor, part: Tensor, member: Tensor, value: Tensor, size: int) -> Tensor:
    """Return the residuals (C*E Z) of the steps `nearest` (E C), counted from the beginning of each dream's part."""
    row = (nearest + part[:, None] * size).T.flatten()  # (C*E)
    return value[member.clamp(max=len(value) - 1).repeat(nearest.shape[1]), row]
