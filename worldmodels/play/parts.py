"""What a run lends to all who drive in it: networks, starts and the agent; parts of other runs can replace them."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import numpy as np

from envs import EnvConfig, make_env
from generative.capabilities import Decodes, refusal
from worldmodels.agent.build import EnvShape, env_shape
from worldmodels.agent.bundle import Bundle
from worldmodels.agent.features import Perception
from worldmodels.agent.precision import torch_dtype
from worldmodels.agent.trained import dreaming_memory, load_bundle, load_vision
from worldmodels.dream.config import DreamConfig
from worldmodels.dream.env import DreamEnv
from worldmodels.dream.of_run import load_starts
from worldmodels.dream.starts import Starts
from worldmodels.errors import RunError
from worldmodels.memories import MemoryModule, ShuffledMemory
from worldmodels.memories.fit import check_memory
from worldmodels.run.folder import Run
from worldmodels.vision.contract import DecodingVision, VisionModule

HORIZON = 2000
"""Steps after which a dream is over, whatever the run's own horizon: people drive longer than evolution dreams."""

PARTS = ("vision", "memory", "agent")
"""What can be taken from another run."""


@dataclass(frozen=True)
class EvolvedAgent:
    """An agent whose networks many drivers share."""

    bundle: Bundle
    parameters: np.ndarray

    @cached_property
    def encoder(self) -> VisionModule:
        """The vision, in the number type in which it encodes while playing."""
        return self.bundle.load_encoder()

    @cached_property
    def memory(self) -> MemoryModule | ShuffledMemory | None:
        """The memory whose state the controller reads; None where it reads none."""
        return self.bundle.load_memory() if self.bundle.features.uses_memory else None

    def perception(self) -> Perception:
        """Return the perception of one driver."""
        return self.bundle.perception(1, self.encoder, self.memory)


@dataclass(frozen=True)
class RunParts:
    """All that a driver needs of a run; shared by many, and changed by none."""

    env: EnvConfig
    shape: EnvShape
    vision: DecodingVision
    memory: MemoryModule
    starts: Starts
    dream: DreamConfig
    dtype: str
    agent: EvolvedAgent | None
    """None where the run has evolved none."""

    @classmethod
    def of(cls, run: Run) -> "RunParts":
        """Load them.

        Raises:
            RunError: the run has no vision that decodes, no memory, or no starts of dreams; or it is damaged.
        """
        learnt = run.learnt
        shape, vision = env_shape(learnt.env), load_vision(run)
        if not isinstance(vision, Decodes):
            raise RunError(f"{run.path}: {refusal(vision, 'decode')}; nobody can see its dreams")
        memory = dreaming_memory(run, vision, shape.spec)
        agent = EvolvedAgent(*load_bundle(run)[:2]) if run.done("evolve") is not None else None
        dream = replace(learnt.dream, horizon=HORIZON)
        seeing = cast(DecodingVision, vision)
        return cls(learnt.env, shape, seeing, memory, load_starts(run), dream, learnt.dtype, agent)

    def new_dream(self) -> DreamEnv:
        """Return a dream of one's own over the shared networks."""
        return self._dream.sibling()

    @cached_property
    def _dream(self) -> DreamEnv:
        vision, dtype, shape = cast(VisionModule, self.vision), torch_dtype(self.dtype), self.shape
        parts = vision, self.memory, self.starts, shape.spaces, shape.spec
        return DreamEnv(*parts, self.dream, "latents", shape.fps, dtype)

    def new_env(self) -> gym.Env[Any, Any]:
        """Return a real environment of one's own."""
        return make_env(self.env)

    def with_part(self, part: str, run: Run) -> "RunParts":
        """Return the same with one part of another run.

        Raises:
            RunError: that run lacks the part, is damaged or has vanished, or the part has other sizes.
        """
        if part not in PARTS:
            raise RunError(f"part={part!r}: choose {', '.join(PARTS)}")
        other = RunParts.of(run)
        mine, theirs = self.shape.spec.size, other.shape.spec.size
        if mine != theirs:
            raise RunError(f"{run.path}: its actions have {theirs} numbers, these have {mine}; choose another run")
        size = self.shape.spaces[0].shape, other.shape.spaces[0].shape
        if part != "memory" and size[0] != size[1]:
            raise RunError(f"{run.path}: its frames are {size[1]}, these are {size[0]}; choose another run")
        latent = self.vision.latent_spec.size
        if part == "vision" and other.vision.latent_spec.size != latent:
            raise RunError(
                f"{run.path}: its latents have {other.vision.latent_spec.size} numbers, this memory's have {latent}"
            )
        if part == "vision":
            return replace(self, vision=other.vision)
        if part == "agent":
            if other.agent is None:
                raise RunError(f"{run.path} has no agent yet: run `worldmodels evolve {run.path}`")
            return replace(self, agent=other.agent)
        try:
            check_memory(other.memory, latent, mine)
        except ValueError as error:
            raise RunError(f"{run.path}: {error}") from error
        return replace(self, memory=other.memory, starts=other.starts, dream=other.dream, dtype=other.dtype)


def neighbours(run: Path) -> dict[str, Path]:
    """Return the runs beside a run, by name, and itself: those whose parts can be taken."""
    beside = sorted(path.parent for path in run.resolve().parent.glob("*/config.yaml"))
    return {path.name: path for path in beside}
