"""Controllers in the dream (Ha and Schmidhuber 2018, section 4): many candidates times many dreams, step by step.

`imagine` evolves controllers: few batched operations, and never a decoded frame. `moments` are the same dreams step by
step, for whoever wants to look. `worldmodels.dream.env` is the same world as a gymnasium environment.

The noise of a dream, the ensemble member that dreams it and where it starts are functions of its seed alone, and shared
by all candidates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from agents import Controller
from worldmodels.agent.features import Perception
from worldmodels.dream.config import DreamConfig
from worldmodels.dream.ends import Ends, Outcome
from worldmodels.dream.starts import Starts
from worldmodels.dream.world import DreamWorld, draw_variants
from worldmodels.memories import Memory

BLOCK = 16
"""Candidates that evolution imagines in one batch."""


@dataclass(frozen=True)
class Noise:
    """All that is random in E dreams of T steps, as a function of their seeds."""

    initial: Tensor
    """bool (E): whether the dream starts at an episode's first frame."""
    initial_index: Tensor
    """int64 (E): at which one."""
    warm_index: Tensor
    """int64 (E): which of the starts inside episodes."""
    normal: Tensor
    """float32 (E T Z)."""
    uniform: Tensor
    """float32 (E T Z)."""
    end: Tensor
    """float32 (E T): the dream ends where this is below the termination probability."""
    first: Tensor
    """int64 (E): which part of the recorded steps the dream looks at first."""

    @classmethod
    def draw(cls, seeds: Sequence[int], starts: Starts, config: DreamConfig) -> "Noise":
        """Draw the noise of one dream per seed."""
        shape = (config.horizon if config.noise == "mixture" else 0), starts.initial.shape[1]
        rows: list[tuple[object, ...]] = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            rows.append(
                (
                    rng.random() < config.initial_state_fraction,
                    rng.integers(len(starts.initial)),
                    rng.integers(len(starts.z)),
                    rng.standard_normal(shape, dtype=np.float32),
                    rng.random(shape, dtype=np.float32),
                    rng.random(config.horizon, dtype=np.float32),
                    rng.integers(2**31),
                )
            )
        return cls(*(torch.from_numpy(np.array(column)) for column in zip(*rows, strict=True)))


class StepNoise:
    """Gives the noise of each step of E dreams for C candidates, as `DreamWorld.step` takes it."""

    def __init__(self, noise: Noise, starts: Starts, config: DreamConfig, member: Tensor, candidates: int) -> None:
        self._first, self._member = noise.first, member
        self._residuals = starts.bootstrap() if config.noise == "residual" else None
        self._uniform, self._normal = (_by_step(part, candidates) for part in (noise.uniform, noise.normal))

    def draw(self, step: int, z: Tensor, action: Tensor) -> tuple[Tensor | None, Tensor]:
        """Return `uniform` and `spread` of a step."""
        if self._residuals is None:
            return self._uniform[step], self._normal[step]
        part = (self._first + step) % self._residuals.parts
        return None, self._residuals.draw(z, action, part, self._member)


def _by_step(noise: Tensor, candidates: int) -> tuple[Tensor, ...]:
    """Return the noise of each step for all candidates, T times (C*E ...), from that of the dreams, (E T ...)."""
    steps = noise.transpose(0, 1)  # (T E ...)
    return steps.repeat(1, candidates, *[1] * (steps.dim() - 2)).unbind(0)


class Moment(NamedTuple):
    """One step of all dreams; rows are candidates times dreams, candidate after candidate."""

    z: Float32[Tensor, "B Z"]
    """What was seen."""
    action: Float32[Tensor, "B A"]
    """What the candidate did."""
    after: Float[Tensor, "B Z"]
    """What came of it."""
    outcome: Outcome
    """What it earned, and whether the dream ended."""


@torch.inference_mode()
def imagine(
    generator: Memory,
    perception: Perception,
    controller: Controller,
    parameters: np.ndarray,
    seeds: Sequence[int],
    starts: Starts,
    config: DreamConfig,
    action_cost: float = 0.0,
) -> np.ndarray:
    """Play every candidate in every dream and return the returns, float64 (C E).

    Args:
        generator: the memory that dreams; of an ensemble, each dream has one member.
        perception: of a block of candidates times E rows; where its memory is the one that dreams, it advances once for
            both.
        controller: population-batched.
        parameters: (C N), at most as many candidates as the block has.
        seeds: of the E dreams, common to all candidates.
        starts: where dreams begin.
        config: how they go.
        action_cost: charge on the effort (`ActionSpec.effort`) of every step that is played.
    """
    score = torch.zeros(perception.rows, dtype=torch.float64)
    for moment in moments(generator, perception, controller, parameters, seeds, starts, config):
        outcome = moment.outcome
        reward = outcome.reward
        if action_cost:
            effort = controller.action_spec.effort(moment.action)
            reward = torch.where(outcome.playing, reward - action_cost * effort, 0)
        score += reward.double()
        score -= outcome.penalty
    return score.view(-1, len(seeds))[: len(parameters)].numpy()


def moments(
    generator: Memory,
    perception: Perception,
    controller: Controller,
    parameters: np.ndarray,
    seeds: Sequence[int],
    starts: Starts,
    config: DreamConfig,
) -> Iterator[Moment]:
    """Play every candidate in every dream and yield `config.horizon` steps; arguments as of `imagine`.

    Gradients are the caller's affair: without `torch.inference_mode` around it, they are kept.
    """
    dreams = len(seeds)
    candidates, rest = divmod(perception.rows, dreams)
    if rest or len(parameters) > candidates:
        raise ValueError(f"{len(parameters)} candidates in {dreams} dreams do not fit into {perception.rows} rows")
    padded = torch.zeros(candidates, parameters.shape[1])
    padded[: len(parameters)] = torch.from_numpy(np.asarray(parameters, dtype=np.float32))
    noise = Noise.draw(seeds, starts, config)
    variants = draw_variants(seeds, generator)
    world = DreamWorld(generator, perception.memory, variants, candidates, perception.dtype)
    z = _wake(world, perception, starts, noise, candidates)
    steps = StepNoise(noise, starts, config, variants.member, candidates)
    end = _by_step(noise.end, candidates)
    ends = Ends(config, float(starts.step_value), perception.rows)
    for step in range(config.horizon):
        perception.adopt(world.agent_state)
        features = perception.features(z)
        action = controller.act_population(features.view(candidates, dreams, -1), padded).flatten(0, 1)
        after, reward, end_logit = world.step(z, action, config.temperature, *steps.draw(step, z, action))
        yield Moment(z, action, after, ends.step(reward, end_logit, end[step]))
        z = after


def _wake(world: DreamWorld, perception: Perception, starts: Starts, noise: Noise, candidates: int) -> Tensor:
    """Warm world and perception up on real steps and return the first latent of every row, (C*E Z)."""
    path = torch.from_numpy(starts.z)[noise.warm_index]  # (E K+1 Z)
    world.wake(path, torch.from_numpy(starts.action)[noise.warm_index], noise.initial)
    initial = noise.initial.repeat(candidates)
    perception.begin_dreams(torch.ones(len(initial), dtype=torch.bool))
    if perception.config.reads == "frame-stack":
        for step in range(path.shape[1] - 1):
            perception.features(path[:, step].repeat(candidates, 1))
    perception.begin_dreams(initial)
    first = torch.from_numpy(starts.initial)[noise.initial_index]
    return torch.where(noise.initial[:, None], first, path[:, -1]).repeat(candidates, 1)
