"""What the controller reads: the latent of the frame and what the memory remembers, in both worlds.

Timing (Ha and Schmidhuber 2018): at step t the controller reads `(z[t], h[t])`, where `h[t]` has seen everything up to
`(z[t-1], action[t-1])`; it acts; only then the memory advances with `(z[t], action[t])`.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from generative import to_float
from generative.capabilities import Encodes
from worldmodels.agent.config import FeaturesConfig
from worldmodels.memories import Remembers, first_state


def feature_size(config: FeaturesConfig, latent: int, hidden: int) -> int:
    """Return F, the number of features that the controller reads."""
    return {"vision": latent, "vision+memory": latent + hidden, "frame-stack": latent * config.stack}[config.reads]


class Remembered(NamedTuple):
    """What a perception knows of the past, one row an episode; unchanged by what the perception does next."""

    state: tuple[Tensor, ...]
    """Of the memory; empty without one."""
    stack: Tensor | None
    """Latents of the last frames (B stack*Z), for a frame-stack."""
    new: Tensor
    """Bool (B): rows whose episode has not begun."""
    generators: Mapping[int, np.random.Generator]
    """Of each row's noise, where its episode has begun."""


class Perception:
    """Turns frames or latents into features for a fixed number of rows, and keeps what each row remembers."""

    def __init__(
        self,
        vision: Encodes | None,
        memory: Remembers | None,
        config: FeaturesConfig,
        rows: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ):
        """Hold the parts.

        Args:
            vision: anything with `encode(obs (B C H W)) -> (mean, std)`, its weights of this `dtype`; None where all
                latents are dreamt.
            memory: anything with `initial`, `advance` and `feature`; None where the features do not use one.
            config: what is read.
            rows: B, kept constant so that a row's numbers do not depend on how many others there are.
            dtype: number type in which frames are encoded, and in which a memory dreams for this perception.
            device: where vision and memory are.
        """
        if config.uses_memory and memory is None:
            raise ValueError("features.reads=vision+memory needs a memory")
        self.vision = vision
        self.memory = memory if config.uses_memory else None
        self.config, self.rows, self.dtype, self.device = config, rows, dtype, torch.device(device)
        self._state: tuple[Tensor, ...] | None = None
        self._stack: Tensor | None = None
        self._new = torch.ones(rows, dtype=torch.bool, device=device)
        self._generators: dict[int, np.random.Generator] = {}
        self._z: Tensor | None = None

    @torch.inference_mode()
    def begin(self, row: int, seed: int = 0) -> None:
        """Forget a row's past; `seed` is that of its noise."""
        if self.memory is not None:
            fresh = first_state(self.memory, torch.tensor([seed]))
            for part, new in zip(self._known(), fresh, strict=True):
                part[row] = new[0]
        self._new[row] = True
        self._generators[row] = np.random.default_rng([seed, 1])

    @torch.inference_mode()
    def remembered(self) -> Remembered:
        """Return a copy of what every row knows of the past."""
        state = tuple(part.clone() for part in self._known())
        return Remembered(state, self._stack, self._new.clone(), deepcopy(self._generators))

    @torch.inference_mode()
    def recall(self, past: Remembered) -> None:
        """Go on from a past that `remembered` returned, which stays as it is."""
        self._state = tuple(part.clone() for part in past.state)
        self._stack, self._new = past.stack, past.new.clone()
        self._generators = deepcopy(dict(past.generators))

    @torch.inference_mode()
    def begin_dreams(self, rows: Bool[Tensor, " B"] | None = None) -> None:
        """Begin the dreams of many rows at once, of all by default; each world brings its memory's state (`adopt`).

        Latents are dreamt and so need no noise of their own.
        """
        if rows is None:
            self._stack, self._new = None, torch.ones_like(self._new)
        else:
            self._new = self._new | rows

    @torch.inference_mode()
    def observe(self, obs: np.ndarray) -> Float[Tensor, "B F"]:
        """Return the features of frames, uint8 (B H W C)."""
        assert self.vision is not None, "a perception of dreams sees no frames"
        mean, std = self.vision.encode(to_float(torch.from_numpy(obs).to(self.device)).to(self.dtype))
        mean, std = mean.float(), std.float()
        if self.config.latent == "sample":
            rows = [self._generators.setdefault(row, np.random.default_rng(0)) for row in range(len(mean))]
            noise = np.stack([rng.standard_normal(mean.shape[1], dtype=np.float32) for rng in rows])
            mean = mean + std * torch.from_numpy(noise).to(mean.device)
        return self.features(mean)

    @torch.inference_mode()
    def features(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B F"]:
        """Return the features that go with latents."""
        self._z = z
        if self.config.reads == "frame-stack":
            past = z.repeat(1, self.config.stack) if self._stack is None else self._stack
            moved = torch.cat([past[:, z.shape[1] :], z], dim=1)
            features = torch.where(self._new[:, None], z.repeat(1, self.config.stack), moved)  # (B stack*Z)
            self._stack = features
            self._new = torch.zeros_like(self._new)
        elif self.memory is not None:
            features = torch.cat([z, self.memory.feature(self._known())], dim=1)  # (B Z+H)
        else:
            features = z
        return features

    def adopt(self, state: tuple[Tensor, ...]) -> None:
        """Take over the state of a memory that advances elsewhere: in a dream the world's memory may be the agent's."""
        if self.memory is not None:
            self._state = state

    @torch.inference_mode()
    def advance(self, action: Float[Tensor, "B A"]) -> None:
        """Let the memory see the last latent and the action that followed it."""
        if self.memory is not None:
            assert self._z is not None, "observe before advance"
            self._state = self.memory.advance(self._z, action, self._known())

    def _known(self) -> tuple[Tensor, ...]:
        """Return the memory's state, which is that of first frames until something else has been."""
        if self._state is None:
            initial = () if self.memory is None else self.memory.initial(self.rows)
            self._state = tuple(part.to(self.device) for part in initial)
        return self._state
