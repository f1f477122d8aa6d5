"""Who dreams what: the memory, or the members of an ensemble, that step many dreams, and the agent's own memory.

Rows are candidates times dreams, candidate after candidate. Rows of dreams that have the same member are stepped
together, so each row is stepped once whatever the number of members; smaller products and the agent's memory make five
members about twice as slow as one. The agent's memory sees every dream: where it is the memory that dreams a row it is
not advanced a second time.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from worldmodels.dream.step import Dreamt, FusedStep, FusedSteps, dream_step
from worldmodels.memories import Ensemble, Memory, Remembers, State, choose_rows, first_state


class Moved(NamedTuple):
    """What a step of B rows came to."""

    z: Float[Tensor, "B Z"]
    """The next latent."""
    reward: Float[Tensor, " B"]
    """In the environment's units."""
    termination_logit: Float[Tensor, " B"]
    """Log-odds of the end."""


def draw_members(seeds: Sequence[int], memory: Memory) -> Int[Tensor, " E"]:
    """Draw from each dream's seed which of an ensemble's members dreams it; 0 for any other memory.

    Args:
        seeds: one a dream.
        memory: that dreams.
    """
    if not isinstance(memory, Ensemble):
        return torch.zeros(len(seeds), dtype=torch.int64)
    count = len(memory.members)
    return torch.tensor([int(np.random.default_rng([seed, 4]).integers(count)) for seed in seeds])


class DreamWorld:
    """The memories that dream, and the agent's, over C candidates times E dreams."""

    def __init__(
        self,
        memory: Memory,
        agent: Remembers | None,
        chosen: Int[Tensor, " E"],
        candidates: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        """Give each dream its memory.

        Args:
            memory: that dreams.
            agent: the memory whose state the controller reads; None where it reads none.
            chosen: which member dreams each of the E dreams (`draw_members`).
            candidates: C.
            dtype: of the memories' products, where it is a choice.
            device: where the memories are.
        """
        members: Sequence[Memory] = memory.each if isinstance(memory, Ensemble) else [memory]
        self._rows = candidates * len(chosen)
        self._groups = []
        lender = None
        for number, member in enumerate(members):
            own = chosen == number
            if own.any():
                group = _Group(member, own, candidates, dtype, device)
                self._groups.append(group)
                if agent is not None and lender is None and same_weights(member, agent):
                    lender = group
        self._joint = _join(self._groups)
        self._lender, self._agent = lender, None
        rest = torch.ones_like(chosen, dtype=torch.bool) if lender is None else ~lender.own
        if agent is not None and rest.any():
            self._agent = _Group(agent, rest, candidates, dtype, device)

    def first_states(self, seeds: Int[Tensor, " E"]) -> list[State]:
        """Return the states from which each memory's dreams are warmed up, as `wake` takes them."""
        return [group.first_state(seeds) for group in self._every]

    def wake(
        self,
        z: Float[Tensor, "E frames Z"],
        action: Float[Tensor, "E K A"],
        initial: Bool[Tensor, " E"],
        first: Sequence[State],
    ) -> None:
        """Warm all memories up on K real steps, but for dreams that begin at an episode's first frame."""
        for group, state in zip(self._every, first, strict=True):
            group.wake(z, action, initial, state)

    @property
    def _every(self) -> list["_Group"]:
        return [*self._groups, *([] if self._agent is None else [self._agent])]

    @property
    def agent_state(self) -> State:
        """The state of the agent's memory, all rows; empty where it has none."""
        if self._agent is None:
            return () if self._lender is None else self._lender.state
        if self._lender is None:
            return self._agent.state
        whole = tuple(part.new_empty(self._rows, *part.shape[1:]) for part in self._agent.state)
        for group in (self._lender, self._agent):
            for part, some in zip(whole, group.state, strict=True):
                part[group.rows] = some
        return whole

    def step(
        self,
        z: Tensor,
        action: Tensor,
        temperature: float,
        uniform: Float[Tensor, "B Z"] | None,
        spread: Float[Tensor, "B Z"],
    ) -> Moved:
        """Take one step of all dreams; the agent's memory takes in what went before it.

        Args:
            z: the latents.
            action: what is done.
            temperature: of the noise.
            uniform: chooses among Gaussians; None where `spread` is added to the expectation instead.
            spread: standard normal, or recorded residuals.
        """
        if self._agent is not None:
            self._agent.advance(z, action)
        if self._joint is not None:
            return self._step_together(self._joint, z, action, temperature, uniform, spread)
        moves = []
        for group in self._groups:
            noise = None if uniform is None else group.of(uniform), group.of(spread)
            dreamt = group.step(group.of(z), group.of(action), group.state, temperature, *noise)
            group.state = dreamt.state
            moves.append(dreamt)
        if len(moves) == 1:
            return Moved(*moves[0][:3])
        return self._put_back([group.rows for group in self._groups], moves)

    def expect(self, z: Tensor, action: Tensor) -> Float[Tensor, "B Z"]:
        """Return the expected latents after a step of all dreams, which is not taken."""
        still = torch.zeros_like(z)
        moves = [
            group.step(group.of(z), group.of(action), group.state, 1.0, None, group.of(still)) for group in self._groups
        ]
        return moves[0].z if len(moves) == 1 else self._put_back([group.rows for group in self._groups], moves).z

    def _step_together(
        self, joint: FusedSteps, z: Tensor, action: Tensor, temperature: float, uniform: Tensor | None, spread: Tensor
    ) -> Moved:
        """Take one step of all dreams in the groups' order, so that only products are made group by group."""
        order = torch.cat([group.rows for group in self._groups if group.rows is not None])
        state = tuple(torch.cat(parts) for parts in zip(*(group.state for group in self._groups), strict=True))
        noise = None if uniform is None else uniform[order], spread[order]
        dreamt = joint(z[order], action[order], state, temperature, *noise)
        pieces = zip(*(part.split(joint.sizes) for part in dreamt.state), strict=True)
        for group, piece in zip(self._groups, pieces, strict=True):
            group.state = piece
        return self._put_back([order], [dreamt])

    def _put_back(self, rows: Sequence[Tensor | None], moves: Sequence[Dreamt]) -> Moved:
        """Return what groups came to, in the order of the rows."""
        z = moves[0].z
        whole = Moved(z.new_empty(self._rows, z.shape[1]), z.new_empty(self._rows), z.new_empty(self._rows))
        for some, dreamt in zip(rows, moves, strict=True):
            for part, moved in zip(whole, dreamt[:3], strict=True):
                part[some] = moved
        return whole


def _join(groups: Sequence["_Group"]) -> FusedSteps | None:
    """Return one step for several groups' rows, where their memories have one."""
    steps = [group.step for group in groups if isinstance(group.step, FusedStep)]
    if len(groups) < 2 or len(steps) < len(groups):
        return None
    return FusedSteps(steps, [len(group.rows) for group in groups if group.rows is not None])


class _Group:
    """The rows that one memory steps: those of some dreams, for all candidates."""

    def __init__(
        self, memory: Remembers, own: Tensor, candidates: int, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        self.memory, self.own, self.candidates = memory, own, candidates
        everyone = bool(own.all())
        self.rows = None if everyone else own.repeat(candidates).nonzero()[:, 0].to(device)
        self._dreams = None if everyone else own.nonzero()[:, 0].to(device)
        self.step = dream_step(memory, dtype)
        self.state: State = ()

    def of(self, part: Tensor) -> Tensor:
        """Return this group's rows."""
        return part if self.rows is None else part[self.rows]

    def first_state(self, seeds: Tensor) -> State:
        """Return the state in which this group's dreams start, from the seeds of all."""
        return first_state(self.memory, self._own(seeds))

    def wake(self, z: Tensor, action: Tensor, initial: Tensor, first: State) -> None:
        """Warm up: once for each dream, since all candidates wake in the same state."""
        z, action, state = self._own(z), self._own(action), first
        for step in range(action.shape[1]):
            state = self.memory.advance(z[:, step], action[:, step], state)
        state = choose_rows(self._own(initial), first, state)
        self.state = tuple(part.repeat(self.candidates, *[1] * (part.dim() - 1)) for part in state)

    def _own(self, part: Tensor) -> Tensor:
        """Return what belongs to this group's dreams."""
        return part if self._dreams is None else part[self._dreams]

    def advance(self, z: Tensor, action: Tensor) -> None:
        """Take in a step without predicting anything."""
        self.state = self.step.advance(self.of(z), self.of(action), self.state)


def same_weights(memory: Memory, other: Remembers) -> bool:
    """Return whether two memories are one, or exact copies."""
    if memory is other:
        return True
    if (
        not (isinstance(memory, nn.Module) and isinstance(other, nn.Module))
        or type(memory) is not type(other)
        or memory.config != other.config
    ):
        return False
    mine, theirs = memory.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
