"""All that is random in dreams: a function of their seeds alone, shared by all candidates."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from worldmodels.dream.config import DreamConfig
from worldmodels.dream.residuals import ResidualBootstrap
from worldmodels.dream.starts import Starts
from worldmodels.memories.contract import NOISE


class Noise(NamedTuple):
    """All that is random in E dreams of T steps, as a function of their seeds."""

    initial: Tensor
    """bool (E): whether the dream starts at an episode's first frame."""
    initial_index: Tensor
    """int64 (E): at which one."""
    warm_index: Tensor
    """int64 (E): which of the starts inside episodes."""
    normal: Tensor
    """float32 (E T Z), or (E 0 Z) where the memory draws none."""
    uniform: Tensor
    """Likewise, in [0, 1)."""
    end: Tensor
    """float32 (E T): the dream ends where this is below the termination probability."""
    first: Tensor
    """int64 (E): which part of the recorded steps the dream looks at first."""

    @classmethod
    def draw(cls, seeds: Sequence[int], starts: Starts, config: DreamConfig, draws: Sequence[str] = NOISE) -> "Noise":
        """Draw the noise of one dream per seed.

        Args:
            seeds: one a dream.
            starts: of the run, for the latent's size and how many starts there are.
            config: how dreams go.
            draws: the kinds of noise that the memory uses (`draws_of`); only these are kept. A kind's numbers are the
                same whatever else is used.
        """
        shape = (config.horizon if config.noise == "mixture" else 0), starts.initial.shape[1]
        rows: list[tuple[object, ...]] = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            begin = rng.random() < config.initial_state_fraction, rng.integers(len(starts.initial))
            warm = rng.integers(len(starts.z))
            drawn = {"normal": rng.standard_normal(shape, dtype=np.float32)}
            drawn["uniform"] = rng.random(shape, dtype=np.float32)
            used = (each if kind in draws else each[:0] for kind, each in drawn.items())
            rows.append((*begin, warm, *used, rng.random(config.horizon, dtype=np.float32), rng.integers(2**31)))
        return cls(*(torch.from_numpy(np.array(column)) for column in zip(*rows, strict=True)))


class StepNoise:
    """Gives the noise of each step of E dreams for C candidates, as `DreamWorld.step` takes it."""

    def __init__(self, noise: Noise, residuals: ResidualBootstrap | None, member: Tensor, candidates: int) -> None:
        """Hold the noise.

        Args:
            noise: of the E dreams.
            residuals: what is added to expectations; None where latents are drawn from the memory's mixture.
            member: which member of an ensemble each dream has (E).
            candidates: C.
        """
        self._noise, self._residuals, self._member, self._candidates = noise, residuals, member, candidates
        if residuals is not None:
            steps = torch.arange(noise.end.shape[1], device=noise.first.device)
            self._part = (noise.first + steps[:, None]) % residuals.parts  # (T E)

    def draw(self, step: int, z: Tensor, action: Tensor) -> tuple[Tensor | None, Tensor]:
        """Return `uniform` and `spread` of a step; zeros in place of what the memory does not draw."""
        if self._residuals is None:
            return self._drawn(self._noise.uniform, step, z), self._drawn(self._noise.normal, step, z)
        return None, self._residuals.draw(z, action, self._part[step], self._member)

    def _drawn(self, noise: Tensor, step: int, z: Tensor) -> Tensor:
        return noise[:, step].repeat(self._candidates, 1) if noise.shape[1] else z.new_zeros(()).expand(z.shape)

    def end(self, step: int) -> Tensor:
        """Return the numbers that decide which dreams end in a step (E)."""
        return self._noise.end[:, step]
