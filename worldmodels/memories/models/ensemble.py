"""An ensemble: memories of one type that differ by their first weights and by which sequences they learn from.

Where data is thin its members disagree, so a controller that has found a hole in one of them fails in the others: each
dream is dreamt by one member (PETS, arXiv:1805.12114; ME-TRPO, arXiv:1802.10592). An agent carries a single memory,
member 0: what it reads must not depend on who dreams.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative import config_from_mapping
from generative.core.component import has_fixed_step
from generative.core.facts import FactsView
from generative.networks.mixture import Mixture
from worldmodels.memories.contract import (
    MemoryModule,
    Metrics,
    Predicted,
    PredictedMixture,
    SequenceBatch,
    State,
    draws_of,
)
from worldmodels.memories.models.ensemble_members import MEMBERS
from worldmodels.memories.targets import RewardTarget

MOST_MEMBERS = 1_000


@dataclass(frozen=True)
class EnsembleConfig:
    """Who is in the ensemble."""

    member: str = "mdn-rnn"
    """Type of the members: any memory but another ensemble."""
    members: int = 5
    """M, how many there are; training takes M times as long, dreaming does not."""
    options: FactsView = field(default_factory=dict)
    """The members' own fields; those left out keep their defaults."""
    bootstrap: bool = True
    """Draw, for each member, each training batch's sequences anew with repetition."""
    latent: int = 0
    """Latent dimensions Z; 0 until the memory is assembled with a vision."""
    action: int = 0
    """Action dimensions A; 0 until the memory is assembled with an environment."""
    reward_target: RewardTarget = "smoothed"
    """What the reward heads were given as targets."""

    def __post_init__(self) -> None:
        if self.members < 2:
            raise ValueError(
                f"members={self.members}: an ensemble has 2 or more; for one take memory.type={self.member}"
            )
        if self.members > MOST_MEMBERS:
            raise ValueError(f"members={self.members}: more than {MOST_MEMBERS}; give fewer")
        self.member_config()

    def member_config(self) -> object:
        """Return the config of a member, its sizes filled in.

        Raises:
            ValueError: the members' type is unknown or an option does not fit it.
        """
        config: Any = config_from_mapping(MEMBERS.config_class(self.member), self.options, "options")
        known = {item.name for item in fields(config)}
        filled = {name: getattr(self, name) for name in ("latent", "action", "reward_target") if name in known}
        return replace(config, **filled)


class EnsemblePrediction(NamedTuple):
    """What all members together say: each is right with the same probability."""

    members: Sequence[Predicted]
    """Their predictions."""

    @property
    def reward(self) -> Float[Tensor, "*B"]:
        """Mean reward, in the environment's units."""
        return torch.stack([each.reward for each in self.members]).mean(0)

    @property
    def termination_logit(self) -> Float[Tensor, "*B"]:
        """Log-odds of the mean probability of the end."""
        logits = torch.stack([each.termination_logit for each in self.members])
        ends, goes_on = (nn.functional.logsigmoid(sign * logits).logsumexp(0) for sign in (1, -1))
        return ends - goes_on

    @property
    def mixture(self) -> Mixture:
        """All members' Gaussians with equal shares, (*B Z M*K), where members predict mixtures."""
        parts = [each.mixture for each in cast(Sequence[PredictedMixture], self.members)]
        logits = torch.cat([torch.log_softmax(part.logits, dim=-1) for part in parts], dim=-1)
        return Mixture(logits, *(torch.cat(list(column), dim=-1) for column in list(zip(*parts, strict=True))[1:]))

    def sample(
        self, temperature: float, uniform: Float[Tensor, "*B Z"], normal: Float[Tensor, "*B Z"]
    ) -> Float[Tensor, "*B Z"]:
        """Draw a member for each row, by the first dimension's `uniform`, then `z[t + 1]` from its prediction."""
        scaled = uniform[..., :1] * len(self.members)
        member = scaled.long().clamp(max=len(self.members) - 1)
        rest = torch.cat([scaled - member, uniform[..., 1:]], dim=-1)  # what is left of it is uniform again
        drawn = torch.stack([each.sample(temperature, rest, normal) for each in self.members])
        return torch.take_along_dim(drawn, member.expand(uniform.shape).unsqueeze(0), dim=0).squeeze(0)

    def log_prob(self, z: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B Z"]:
        """Measure the log of the members' mean density, in nats for each dimension."""
        return torch.stack([each.log_prob(z) for each in self.members]).logsumexp(0) - math.log(len(self.members))

    def expected_latent(self) -> Float[Tensor, "*B Z"]:
        """Average `z[t + 1]` over the members."""
        return torch.stack([each.expected_latent() for each in self.members]).mean(0)


class Ensemble(nn.Module):
    """Memories side by side; its state is all theirs, one after the other, and its feature member 0's.

    Attributes:
        members: the memories.
    """

    type_name: ClassVar[str] = "ensemble"
    seam: ClassVar[str] = "memory"
    Config = EnsembleConfig

    def __init__(self, config: EnsembleConfig) -> None:
        super().__init__()
        self.config = config
        options = config.member_config()
        seeds = torch.randint(2**31 - 1, (config.members,)).tolist()  # of torch's stream, as any layer's weights
        self.members = nn.ModuleList(MEMBERS.create(config.member, options, seed) for seed in seeds)

    @property
    def draws(self) -> tuple[str, ...]:
        """What the members draw, and the uniform number that chooses among them."""
        return tuple({"uniform": None, **dict.fromkeys(draws_of(self.each[0]))})

    @property
    def fixed_step(self) -> bool:
        """Whether every training step is the same operations: where those of all members are."""
        return all(map(has_fixed_step, self.members))

    @property
    def agent(self) -> MemoryModule:
        """The memory that an agent carries: member 0."""
        return self.each[0]

    @property
    def feature_size(self) -> int:
        """H of member 0."""
        return self.each[0].feature_size

    @property
    def each(self) -> list[MemoryModule]:
        """The members, as memories."""
        return [cast(MemoryModule, member) for member in self.members]

    def initial(self, batch: int) -> State:
        """Make all members' states, B rows."""
        return tuple(part for member in self.each for part in member.initial(batch))

    def feature(self, state: State) -> Float[Tensor, "B H"]:
        """Return member 0's features."""
        return self.each[0].feature(self._split(state)[0])

    def advance(self, z: Float[Tensor, "B Z"], action: Float[Tensor, "B A"], state: State) -> State:
        """Let all members take in one step."""
        pairs = zip(self.each, self._split(state), strict=True)
        return tuple(part for member, own in pairs for part in member.advance(z, action, own))

    def step(
        self, z: Float[Tensor, "B Z"], action: Float[Tensor, "B A"], state: State
    ) -> tuple[EnsemblePrediction, State]:
        """Let all members take in one step and predict what follows."""
        pairs = zip(self.each, self._split(state), strict=True)
        return _together([member.step(z, action, own) for member, own in pairs])

    def forward_sequence(
        self, z: Float[Tensor, "B T Z"], action: Float[Tensor, "B T A"], state: State | None = None
    ) -> tuple[EnsemblePrediction, State]:
        """Let all members take in T steps and predict what follows each of them."""
        states = [None] * len(self.members) if state is None else self._split(state)
        return _together(
            [member.forward_sequence(z, action, own) for member, own in zip(self.each, states, strict=True)]
        )

    def loss(self, batch: SequenceBatch, generator: torch.Generator) -> tuple[Float[Tensor, ""], Metrics]:
        """Return the mean of the members' losses and of their metrics.

        While training, with `bootstrap`, each member is given as many sequences of the batch as there are, drawn with
        repetition: a member's gradient leaves out about a third of them. The draw is made anew for every batch, since
        a batch does not say which episodes its sequences are from, so over a training all members see all data.
        """
        losses, rows = [], []
        for member in self.each:
            own = batch
            if self.training and self.config.bootstrap:
                count = len(batch.mask)
                drawn = torch.randint(count, (count,), generator=generator, device=generator.device)
                own = SequenceBatch(*(part[drawn.to(part.device)] for part in batch))
            loss, metrics = member.loss(own, generator)
            losses.append(loss)
            rows.append(metrics)
        return torch.stack(losses).mean(), {name: torch.stack([row[name] for row in rows]).mean() for name in rows[0]}

    def reward_explained(self, reward: Float[Tensor, "B T"], batch: SequenceBatch) -> Float[Tensor, ""]:
        """Return the share of targets' variance that rewards, in the environment's units, explain; NaN if constant."""
        return self.each[0].reward_explained(reward, batch)

    def set_reward_scale(self, mean: float, std: float) -> None:
        """Set every member's scale of raw or smoothed reward targets."""
        for member in self.each:
            member.set_reward_scale(mean, std)

    def set_event_scale(self, event_value: float, step_cost: float) -> None:
        """Set what a rate earns, for every member."""
        for member in self.each:
            member.set_event_scale(event_value, step_cost)

    def _split(self, state: State) -> list[State]:
        size = len(state) // len(self.members)
        return [state[start : start + size] for start in range(0, len(state), size)]


def _together(results: list[tuple[Predicted, State]]) -> tuple[EnsemblePrediction, State]:
    predictions = EnsemblePrediction([prediction for prediction, _ in results])
    return predictions, tuple(part for _, state in results for part in state)


def agent_memory(memory: MemoryModule) -> MemoryModule:
    """Return the memory that an agent carries: an ensemble's member 0, or the memory itself."""
    return memory.agent if isinstance(memory, Ensemble) else memory
