"""What memories share: heads that predict latent, reward and end from hidden features, their targets and their losses.

A memory that builds on `HeadedMemory` says how `(z, action)` and a state become features; everything that is read off
the features, and everything learnt from it, is here.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from generative.core.options import check_numbers
from generative.networks.mixture import Mixture, MixtureHead, mixture_log_prob
from worldmodels.memories.contract import (
    Metrics,
    Predicted,
    Prediction,
    SequenceBatch,
    State,
    masked_mean,
    sample_latents,
)
from worldmodels.memories.targets import RewardTarget

STD_FLOOR = 1e-2
"""Smallest standard deviation of a Gaussian: keeps the density of a constant latent finite."""

END_WEIGHT = 10.0
"""How much more an end counts than any other step in the termination loss; ends are rare."""


@dataclass(frozen=True)
class HeadsConfig:
    """Sizes and heads that all memories have, and how they are regularised."""

    latent: int = 0
    """Latent dimensions Z; 0 until the memory is assembled with a vision."""
    action: int = 0
    """Action dimensions A; 0 until the memory is assembled with an environment."""
    reward: bool = True
    """Predict the reward (a dream needs it)."""
    reward_target: RewardTarget = "smoothed"
    """What the reward head was given as targets; event-rate makes it a rate in [0, 1]."""
    termination: bool = True
    """Predict the end of the episode."""
    input_noise: float = 0.0
    """Standard deviation of noise on the latents that the memory reads in training, not on those that it predicts: in a
    dream it reads its own errors, and a few hundred episodes are soon learnt by heart."""
    dropout: float = 0.0
    """Share of the features that the heads do without at each step of training."""

    SIZES: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name in self.SIZES:
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: a size; give 1 or more.")
        for name in ("latent", "action", "input_noise"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)}: must not be negative; give 0 or more.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}: is a share, at least 0 and below 1.")
        check_numbers(self)
        if self.reward_target not in get_args(RewardTarget):
            known = ", ".join(get_args(RewardTarget))
            raise ValueError(f"reward_target={self.reward_target}: unknown; choose one of {known}.")


def in_units(output: Tensor, factor: Tensor, offset: Tensor, rate: bool) -> Tensor:
    """Turn a reward head's output, which is the logit of a rate or not, into the environment's units."""
    return (torch.sigmoid(output) if rate else output) * factor + offset


def true_logit(output: Tensor) -> Tensor:
    """Turn a termination head's output into the log-odds of an end.

    Training on ends that count more than other steps has raised it by the logarithm of that weight (King and Zeng,
    "Logistic Regression in Rare Events Data", 2001, section 4.1): a dream that drew its end from the raw output would
    end ten times too often.
    """
    return output - math.log(END_WEIGHT)


class HeadedMemory(nn.Module):
    """A memory whose predictions are read off H hidden features: the base that says how features come to be.

    Its state holds the features; `feature` takes them out. Behind them a memory may carry what only the next latent is
    made from.
    """

    seam: ClassVar[str] = "memory"

    reward_mean: Tensor
    reward_std: Tensor
    event_value: Tensor
    step_cost: Tensor
    config: Any  # a `HeadsConfig` that each type adds its own fields to

    def __init__(self, config: HeadsConfig, hidden: int) -> None:
        super().__init__()
        if config.latent < 1 or config.action < 1:
            raise ValueError(
                f"latent={config.latent}, action={config.action}: fill in both when assembling, from the"
                " vision's latent size and the environment's action size."
            )
        self.config = config
        self._hidden = hidden

    def add_heads(self) -> None:
        """Make the heads; called once the layers before them are made, so that weights are drawn in that order."""
        config = self.config
        self.add_latent_head()
        self.reward_head = nn.Linear(self._hidden, 1) if config.reward else None
        self.termination_head = nn.Linear(self._hidden, 1) if config.termination else None
        scales = {"reward_mean": 0.0, "reward_std": 1.0, "event_value": 1.0, "step_cost": 0.0}
        for name, value in scales.items():
            self.register_buffer(name, torch.tensor(value))

    def add_latent_head(self) -> None:
        """Make the head over the next latent: a Gaussian mixture per dimension."""
        config = self.config
        self.mixture_head = MixtureHead(self._hidden, config.latent, config.mixtures, STD_FLOOR)

    @property
    def feature_size(self) -> int:
        """H, the hidden features that heads and, beside the latent, the controller read."""
        return self._hidden

    @property
    def units(self) -> int:
        """How many of the features, the first ones, are units of layers: `dropout` spares the data behind them."""
        return self._hidden

    def initial(self, batch: int, device: torch.device | str = "cpu") -> State:
        """Make the state in which every episode starts, B rows."""
        raise NotImplementedError

    def feature(self, state: State) -> Float[Tensor, "B H"]:
        """Return `h`, what the controller reads beside the latent."""
        return state[0][..., : self._hidden]

    def advance(self, z: Float[Tensor, "B Z"], action: Float[Tensor, "B A"], state: State) -> State:
        """Take in one step without predicting anything: all that acting in the real environment needs."""
        raise NotImplementedError

    def unroll(
        self, z: Float[Tensor, "B T Z"], action: Float[Tensor, "B T A"], state: State | None
    ) -> tuple[Float[Tensor, "B T F"], State]:
        """Return the features after each step of whole sequences, and what comes with them.

        `hidden[:, t]` has seen `(z[t], action[t])`; its first H numbers are the features.
        """
        raise NotImplementedError

    def step(self, z: Float[Tensor, "B Z"], action: Float[Tensor, "B A"], state: State) -> tuple[Predicted, State]:
        """Take in one step and predict what follows; the same numbers as `forward_sequence`, step by step."""
        state = self.advance(z, action, state)
        return self.predict(state[0]), state

    def forward_sequence(
        self, z: Float[Tensor, "B T Z"], action: Float[Tensor, "B T A"], state: State | None = None
    ) -> tuple[Predicted, State]:
        """Take in T steps, from `state` or the start of an episode, and predict what follows each of them."""
        hidden, state = self.unroll(z, action, state)
        return self.predict(hidden), state

    def predict(self, hidden: Float[Tensor, "*B F"]) -> Prediction:
        """Read the heads; `hidden` has seen a latent and the action that followed it."""
        return Prediction(self.next_latent(hidden), *self.reward_and_end(hidden))

    def reward_and_end(self, hidden: Float[Tensor, "*B F"]) -> tuple[Float[Tensor, "*B"], Float[Tensor, "*B"]]:
        """Return the reward in the environment's units, and the log-odds that the step ends the episode."""
        hidden = hidden[..., : self._hidden]
        reward = hidden.new_full(hidden.shape[:-1], math.nan)
        termination_logit = hidden.new_full(hidden.shape[:-1], -math.inf)
        if self.termination_head is not None:
            termination_logit = true_logit(self.termination_head(hidden)[..., 0])
        if self.reward_head is not None:
            reward = self.scaled_reward(self.reward_head(hidden)[..., 0])
        return reward, termination_logit

    def next_latent(self, hidden: Float[Tensor, "*B F"]) -> Mixture:
        """Return the distribution of the next latent."""
        mixture: Mixture = self.mixture_head(hidden)
        return mixture

    def loss(self, batch: SequenceBatch, generator: torch.Generator) -> tuple[Float[Tensor, ""], Metrics]:
        """Measure how well the real steps of a batch are predicted.

        The loss is the negative log-likelihood of the next latent in nats per dimension (the mean over
        dimensions, as in the paper's code; the sum is Z times that), plus the losses of the heads:
        squared error of the standardised reward, or cross-entropy of the event rate; and that of the
        termination, where an end counts `END_WEIGHT` times.

        Args:
            batch: latents as mean and std, from which one sample is drawn for each call; targets; mask.
            generator: the source of that sample.

        Returns:
            The loss, and the metrics `nll`, `reward_loss`, `reward_explained` (share of its variance; 0 if it
            is constant), `termination_loss` and `termination_positives` (a count).
        """
        z = sample_latents(batch, generator)
        seen = self._blurred(z[:, :-1], generator)  # (B T Z)
        hidden, _ = self.unroll(seen, batch.action, None)
        hidden = self._thinned(hidden, generator)
        loss, metrics = self.latent_loss(hidden, z[:, 1:], batch, generator)
        hidden = hidden[..., : self._hidden]
        if self.reward_head is not None:
            output = self.reward_head(hidden)[..., 0]  # (B T)
            reward_loss = masked_mean(self._reward_error(output, batch.reward), batch.mask)
            loss = loss + reward_loss
            metrics["reward_loss"] = reward_loss.detach()
            explained = self.reward_explained(self.scaled_reward(output.detach()), batch)
            metrics["reward_explained"] = explained.nan_to_num()
        if self.termination_head is not None:
            termination_loss = self._termination_loss(hidden, batch)
            loss = loss + termination_loss
            metrics["termination_loss"] = termination_loss.detach()
            metrics["termination_positives"] = (batch.termination * batch.mask).sum()
        return loss, metrics

    def latent_loss(
        self,
        hidden: Float[Tensor, "B T F"],
        after: Float[Tensor, "B T Z"],
        batch: SequenceBatch,
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, ""], Metrics]:
        """Return the negative log-likelihood of the next latents in nats per dimension, as loss and as metric."""
        log_prob = mixture_log_prob(self.next_latent(hidden), after)  # (B T Z)
        nll = masked_mean(-log_prob.mean(-1), batch.mask)
        return nll, {"nll": nll.detach()}

    def _blurred(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Return what the memory reads instead of latents: in training with `input_noise`."""
        if not (self.training and self.config.input_noise):
            return z
        noise = torch.randn(z.shape, generator=generator, device=generator.device).to(z.device)
        return z + self.config.input_noise * noise

    def _thinned(self, hidden: Tensor, generator: torch.Generator) -> Tensor:
        """Return the features that the heads read: in training without a share `dropout` of the units."""
        if not (self.training and self.config.dropout):
            return hidden
        units, data = hidden[..., : self.units], hidden[..., self.units :]
        drawn = torch.rand(units.shape, generator=generator, device=generator.device).to(hidden.device)
        units = units * (drawn >= self.config.dropout) / (1 - self.config.dropout)
        return torch.cat([units, data], -1) if data.shape[-1] else units

    def set_reward_scale(self, mean: float, std: float) -> None:
        """Set the scale of raw or smoothed reward targets (`targets.reward_scale` measures it)."""
        if self.config.reward_target == "event-rate":
            raise ValueError("reward_target=event-rate: its scale is an event's value; use set_event_scale.")
        if not std > 0:
            raise ValueError(f"std={std}: must be above 0; give 1 for a constant reward.")
        self.reward_mean.fill_(mean)
        self.reward_std.fill_(std)

    def set_event_scale(self, event_value: float, step_cost: float) -> None:
        """Set what a rate earns, rate * event_value + step_cost (`targets.event_scale` measures it)."""
        if self.config.reward_target != "event-rate":
            raise ValueError(f"reward_target={self.config.reward_target}: no rate; use set_reward_scale.")
        self.event_value.fill_(event_value)
        self.step_cost.fill_(step_cost)

    def scaled_reward(self, output: Tensor) -> Tensor:
        """Turn the head's output into the environment's units."""
        return in_units(output, *self.reward_scale)

    @property
    def reward_scale(self) -> tuple[Tensor, Tensor, bool]:
        """Return a factor, an offset and whether the head gives a rate: what `in_units` takes."""
        if self.config.reward_target == "event-rate":
            return self.event_value, self.step_cost, True
        return self.reward_std, self.reward_mean, False

    def reward_explained(self, reward: Float[Tensor, "B T"], batch: SequenceBatch) -> Float[Tensor, ""]:
        """Return the share of targets' variance that rewards, in the environment's units, explain; NaN if constant."""
        target, mask = batch.reward, batch.mask
        if self.config.reward_target == "event-rate":
            target = target * self.event_value + self.step_cost
        variance = masked_mean((target - masked_mean(target, mask)).square(), mask)
        explained = 1 - masked_mean((reward - target).square(), mask) / variance
        varies = variance > 1e-10 * masked_mean(target.square(), mask)  # more than rounding does
        return torch.where(varies, explained, math.nan)

    def _reward_error(self, output: Tensor, target: Tensor) -> Tensor:
        if self.config.reward_target == "event-rate":
            return F.binary_cross_entropy_with_logits(output, target, reduction="none")
        return (output - (target - self.reward_mean) / self.reward_std).square()

    def _termination_loss(self, hidden: Tensor, batch: SequenceBatch) -> Tensor:
        assert self.termination_head is not None
        logit = self.termination_head(hidden)[..., 0]
        weight = logit.new_full((), END_WEIGHT)
        surprise = F.binary_cross_entropy_with_logits(logit, batch.termination, pos_weight=weight, reduction="none")
        return masked_mean(surprise, batch.mask)
