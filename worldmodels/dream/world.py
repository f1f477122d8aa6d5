"""Who dreams what: the memory, or the members of an ensemble, that step many dreams, and the agent's own memory.

Rows are candidates times dreams, candidate after candidate. Rows of dreams that have the same member are stepped
together, so each row is stepped once whatever the number of members; smaller products and the agent's memory make five
members about twice as slow as one. The agent's memory sees every dream: where it is the memory that dreams a row it is
not advanced a second time.

Dropout dreams (Dropout's Dream Land, arXiv:2109.08342): a mask over the features that the heads read and a recurrent
memory is fed again, one for each dream. It belongs to the world: the agent's own memory is whole.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from worldmodels.dream.step import FusedStep, FusedSteps, dream_step, thin_out
from worldmodels.memories import Ensemble, State, choose_rows, first_state


class Variants(NamedTuple):
    """What differs between the worlds of E dreams, as a function of their seeds."""

    seeds: Int[Tensor, " E"]
    member: Int[Tensor, " E"]
    """Which of an ensemble's members dreams; 0 for any other memory."""
    mask: Float[Tensor, "E H"] | None
    """0 for the share of features that is dropped, one over the share that is kept for the others; None: all kept."""


class Moved(NamedTuple):
    """What a step of B rows came to."""

    z: Float[Tensor, "B Z"]
    """The next latent."""
    reward: Float[Tensor, " B"]
    """In the environment's units, less the price of disagreement."""
    termination_logit: Float[Tensor, " B"]
    """Log-odds of the end."""


def draw_variants(seeds: Sequence[int], memory: nn.Module, dropout: float = 0.0) -> Variants:
    """Draw each dream's member and mask from its seed.

    Args:
        seeds: one a dream.
        memory: that dreams.
        dropout: share of features to drop.
    """
    count = len(memory.members) if isinstance(memory, Ensemble) else 1
    members, masks = [], []
    for seed in seeds:
        rng = np.random.default_rng([seed, 4])
        members.append(int(rng.integers(count)))
        if dropout > 0:
            size: Any = memory.feature_size
            masks.append((rng.random(size, dtype=np.float32) >= dropout).astype(np.float32) / np.float32(1 - dropout))
    mask = torch.from_numpy(np.stack(masks)) if masks else None
    return Variants(torch.tensor(list(seeds), dtype=torch.int64), torch.tensor(members), mask)


class World:
    """The memories that dream, and the agent's, over C candidates times E dreams."""

    def __init__(
        self,
        memory: nn.Module,
        agent: nn.Module | None,
        variants: Variants,
        candidates: int,
        dtype: torch.dtype = torch.float32,
        price: Float[Tensor, " Z"] | None = None,
    ) -> None:
        """Give each dream its memory.

        Args:
            memory: that dreams.
            agent: the memory whose state the controller reads; None where it reads none.
            variants: of the E dreams.
            candidates: C.
            dtype: of the memories' products, where it is a choice.
            price: what a disagreement of 1 between an ensemble's members costs in each dimension, averaged over them.
                All members then step all rows.

        Raises:
            ValueError: a price is asked of a memory that has no members.
        """
        if price is not None and not isinstance(memory, Ensemble):
            raise ValueError("dream.penalty: only the members of an ensemble can disagree; take memory.type=ensemble")
        members = list(memory.members) if isinstance(memory, Ensemble) else [memory]
        self._price, self._rows = price, candidates * len(variants.member)
        self._member = variants.member.repeat(candidates)  # (C*E)
        self._groups = []
        lender = None
        for number, member in enumerate(members):
            own = variants.member == number if price is None else torch.ones_like(variants.member, dtype=torch.bool)
            if own.any():
                group = _Group(member, own, variants, candidates, dtype, price is not None)
                self._groups.append(group)
                if agent is not None and variants.mask is None and lender is None and same_weights(member, agent):
                    lender = group
        self._joint = _join(self._groups) if price is None else None
        self._lender, self._agent = lender, None
        rest = torch.ones_like(variants.member, dtype=torch.bool) if lender is None else ~lender.own
        if agent is not None and rest.any():
            self._agent = _Group(agent, rest, variants._replace(mask=None), candidates, dtype, False)

    def wake(self, z: Float[Tensor, "E frames Z"], action: Float[Tensor, "E K A"], still: Bool[Tensor, " E"]) -> None:
        """Warm all memories up on K real steps, but for dreams that begin at standstill."""
        for group in [*self._groups, *([self._agent] if self._agent else [])]:
            group.wake(z, action, still)

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
            temperature: of chance.
            uniform: chooses among Gaussians; None where `spread` is added to the expectation instead.
            spread: standard normal, or recorded innovations.
        """
        if self._agent is not None:
            self._agent.advance(z, action)
        if self._joint is not None:
            return self._step_together(self._joint, z, action, temperature, uniform, spread)
        moves = []
        for group in self._groups:
            chance = None if uniform is None else group.of(uniform), group.of(spread)
            dreamt = group.step(group.of(z), group.of(action), group.state, temperature, *chance)
            group.state = dreamt.state
            moves.append(dreamt)
        if self._price is not None:
            every = torch.arange(self._rows)
            mine = Moved(*(torch.stack(list(part))[self._member, every] for part in list(zip(*moves, strict=True))[:3]))
            apart = torch.stack([move.expected for move in moves if move.expected is not None]).std(0, correction=0)
            return mine._replace(reward=mine.reward - (apart * self._price).mean(1))
        if len(moves) == 1:
            return Moved(*moves[0][:3])
        return self._put_back([group.rows for group in self._groups], moves)

    def _step_together(
        self, joint: FusedSteps, z: Tensor, action: Tensor, temperature: float, uniform: Tensor | None, spread: Tensor
    ) -> Moved:
        """Take one step of all dreams in the groups' order, so that only products are made group by group."""
        order = torch.cat([group.rows for group in self._groups if group.rows is not None])
        state = tuple(torch.cat(parts) for parts in zip(*(group.state for group in self._groups), strict=True))
        chance = None if uniform is None else uniform[order], spread[order]
        dreamt = joint(z[order], action[order], state, temperature, *chance)
        pieces = zip(*(part.split(joint.sizes) for part in dreamt.state), strict=True)
        for group, piece in zip(self._groups, pieces, strict=True):
            group.state = piece
        return self._put_back([order], [dreamt])

    def _put_back(self, rows: Sequence[Tensor | None], moves: Sequence[Any]) -> Moved:
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
        self, memory: Any, own: Tensor, variants: Variants, candidates: int, dtype: torch.dtype, expects: bool
    ) -> None:
        self.memory, self.own, self.candidates = memory, own, candidates
        self.rows = None if own.all() else own.repeat(candidates).nonzero()[:, 0]
        self.seeds, self.mask = variants.seeds[own], None if variants.mask is None else variants.mask[own]
        wide = None if self.mask is None else self.mask.repeat(candidates, 1)
        self.step = dream_step(memory, dtype, wide, expects)
        self.state: State = ()

    def of(self, part: Tensor) -> Tensor:
        """Return this group's rows."""
        return part if self.rows is None else part[self.rows]

    def wake(self, z: Tensor, action: Tensor, still: Tensor) -> None:
        """Warm up: once for each dream, since all candidates wake in the same state."""
        z, action = z[self.own], action[self.own]
        fresh = state = first_state(self.memory, self.seeds)
        for step in range(action.shape[1]):
            state = thin_out(self.memory, self.memory.advance(z[:, step], action[:, step], state), self.mask)
        state = choose_rows(still[self.own], fresh, state)
        self.state = tuple(part.repeat(self.candidates, *[1] * (part.dim() - 1)) for part in state)

    def advance(self, z: Tensor, action: Tensor) -> None:
        """Take in a step without predicting anything."""
        self.state = self.step.advance(self.of(z), self.of(action), self.state)


def same_weights(memory: nn.Module, other: nn.Module) -> bool:
    """Return whether two memories are one, or exact copies."""
    if memory is other:
        return True
    if type(memory) is not type(other) or memory.config != other.config:
        return False
    mine, theirs = memory.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
