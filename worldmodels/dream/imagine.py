"""Controllers in the dream (Ha and Schmidhuber 2018, section 4): many candidates times many dreams, step by step.

`Imagination` evolves controllers: few batched operations, and never a decoded frame. On a GPU the whole horizon is one
recorded sequence of operations. `moments` are the same dreams step by step, for whoever wants to look.
`worldmodels.dream.env` is the same world as a gymnasium environment.

The noise of a dream, the ensemble member that dreams it and where it starts are functions of its seed alone, and shared
by all candidates.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from agents import ActionSpec, Controller
from generative.hardware.cuda_graphs import Replayed, fused, many_times
from worldmodels.agent.features import Perception
from worldmodels.dream.config import DreamConfig
from worldmodels.dream.ends import Ends, Outcome
from worldmodels.dream.noise import Noise, StepNoise
from worldmodels.dream.starts import Starts
from worldmodels.dream.world import DreamWorld, draw_members
from worldmodels.memories import Ensemble, Memory, State, draws_of

BLOCK = 16
"""Candidates that evolution imagines in one batch on a processor."""


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


class _Inputs(NamedTuple):
    """What differs from one call to the next."""

    parameters: Tensor
    """float32 (C N)."""
    noise: Noise
    first: tuple[State, ...]
    """The states in which the memories' dreams start (`DreamWorld.first_states`)."""

    def tensors(self) -> list[Tensor]:
        """Return all tensors, always in the same order."""
        return [self.parameters, *self.noise, *(part for state in self.first for part in state)]


class Imagination:
    """Plays candidates in dreams, again and again: what stays the same between calls is made once.

    On a GPU the horizon is recorded once and replayed, unless an ensemble dreams: which rows a member steps follows
    from the seeds, so nothing stays the same there.
    """

    @torch.no_grad()
    def __init__(
        self,
        generator: Memory,
        perception: Perception,
        controller: Controller,
        starts: Starts,
        config: DreamConfig,
        dreams: int,
        action_cost: float = 0.0,
    ) -> None:
        """Hold the parts.

        Args:
            generator: the memory that dreams, on the perception's device; of an ensemble, each dream has one member.
            perception: of C candidates times E rows; where its memory is the one that dreams, it advances once for
                both.
            controller: population-batched.
            starts: where dreams begin.
            config: how they go.
            dreams: E.
            action_cost: charge on the effort (`ActionSpec.effort`) of every step that is played.
        """
        self._candidates, rest = divmod(perception.rows, dreams)
        if rest:
            raise ValueError(f"{dreams} dreams do not fit into {perception.rows} rows")
        self._generator, self._perception, self._controller = generator, perception, controller
        self._starts, self._config, self._dreams, self._action_cost = starts, config, dreams, action_cost
        self._device = perception.device
        pools = (starts.initial, starts.z, starts.action)
        self._initial, self._z, self._action = (torch.from_numpy(pool).to(self._device) for pool in pools)
        self._residuals = starts.bootstrap(self._device) if config.noise == "residual" else None
        self._fixed = not isinstance(generator, Ensemble)
        if self._fixed:
            self._choose(draw_members(range(dreams), generator))
        self._replayed = Replayed(self._scores, self._device)
        self._inputs: _Inputs | None = None

    @torch.inference_mode()
    def __call__(self, parameters: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Play every candidate in every dream and return the returns, float64 (C E).

        Args:
            parameters: (C N); fewer candidates than rows were made for are padded.
            seeds: of the E dreams, common to all candidates.
        """
        self._set(self._drawn(parameters, seeds))
        with many_times():
            score = self._replayed() if self._fixed else self._scores()
        return score.view(-1, self._dreams)[: len(parameters)].cpu().numpy()

    def moments(self, parameters: np.ndarray, seeds: Sequence[int]) -> Iterator[Moment]:
        """Play every candidate in every dream and yield `config.horizon` steps; arguments as of a call.

        Gradients are the caller's affair: without `torch.inference_mode` around it, they are kept.
        """
        self._inputs = self._drawn(parameters, seeds)
        yield from self._moments()

    def _drawn(self, parameters: np.ndarray, seeds: Sequence[int]) -> _Inputs:
        if len(seeds) != self._dreams or len(parameters) > self._candidates:
            raise ValueError(
                f"{len(parameters)} candidates in {len(seeds)} dreams do not fit into {self._candidates} times "
                f"{self._dreams} rows"
            )
        padded = torch.zeros(self._candidates, parameters.shape[1])
        padded[: len(parameters)] = torch.from_numpy(np.asarray(parameters, dtype=np.float32))
        if not self._fixed:
            self._choose(draw_members(seeds, self._generator))
        noise = Noise.draw(seeds, self._starts, self._config, draws_of(self._generator))
        first = self._world.first_states(torch.tensor(list(seeds), dtype=torch.int64, device=self._device))
        return _Inputs(padded.to(self._device), Noise(*(part.to(self._device) for part in noise)), tuple(first))

    def _set(self, inputs: _Inputs) -> None:
        """Copy what differs into the tensors of the first call, which a recording reads."""
        if self._inputs is None or not self._fixed:
            self._inputs = inputs
            return
        for kept, new in zip(self._inputs.tensors(), inputs.tensors(), strict=True):
            kept.copy_(new)

    def _choose(self, member: Tensor) -> None:
        """Build the world of dreams with these members."""
        perception, self._member = self._perception, member.to(self._device)
        self._world = DreamWorld(
            self._generator, perception.memory, member, self._candidates, perception.dtype, self._device
        )

    def _scores(self) -> Tensor:
        """Return every row's return, float64 (C*E)."""
        score = torch.zeros(self._perception.rows, dtype=torch.float64, device=self._device)
        for moment in self._moments():
            score = self.earned(score, moment)
        return score

    def earned(self, score: Tensor, moment: Moment) -> Tensor:
        """Return every row's return after a step, float64 (C*E), from the returns before it."""
        return _earned(score, moment.action, moment.outcome, self._controller.action_spec, self._action_cost)

    def _moments(self) -> Iterator[Moment]:
        assert self._inputs is not None
        parameters, noise, _ = self._inputs
        perception, controller, world, config = self._perception, self._controller, self._world, self._config
        z = self._wake(self._inputs)
        steps = StepNoise(noise, self._residuals, self._member, self._candidates)
        ends = Ends(config, float(self._starts.step_value), perception.rows, self._device)
        for step in range(config.horizon):
            perception.adopt(world.agent_state)
            features = perception.features(z).view(self._candidates, self._dreams, -1)
            action = controller.act_population(features, parameters).flatten(0, 1)
            after, reward, end_logit = world.step(z, action, config.temperature, *steps.draw(step, z, action))
            yield Moment(z, action, after, ends.step(reward, end_logit, steps.end(step)))
            z = after

    def _wake(self, inputs: _Inputs) -> Tensor:
        """Warm world and perception up on real steps and return the first latent of every row, (C*E Z)."""
        noise, perception = inputs.noise, self._perception
        path = self._z[noise.warm_index]  # (E K+1 Z)
        self._world.wake(path, self._action[noise.warm_index], noise.initial, inputs.first)
        perception.begin_dreams()
        if perception.config.reads == "frame-stack":
            for step in range(path.shape[1] - 1):
                perception.features(path[:, step].repeat(self._candidates, 1))
        perception.begin_dreams(noise.initial.repeat(self._candidates))
        first = self._initial[noise.initial_index]
        return torch.where(noise.initial[:, None], first, path[:, -1]).repeat(self._candidates, 1)


@fused
def _earned(score: Tensor, action: Tensor, outcome: Outcome, spec: ActionSpec, cost: float) -> Tensor:
    """Return the returns so far, after a step."""
    reward = outcome.reward
    if cost:
        reward = torch.where(outcome.playing, reward - cost * spec.effort(action), 0)
    return score + reward.double() - outcome.penalty
