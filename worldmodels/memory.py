"""MDN-RNN: an LSTM that predicts the next latent as a mixture density, the reward and the end of an episode.

Ha and Schmidhuber, *World Models* (2018), section 2.3: h[t + 1] = LSTM(h[t], [z[t], action[t]]), and every
dimension of z[t + 1] given h[t + 1] is a mixture of Gaussians of its own. Linear heads on the same h[t + 1]
predict reward[t] and whether step t ends the episode: a dream needs them.

Alignment: the controller reads `(z[t], h[t])`, where `h[t]` has seen all up to `(z[t - 1], action[t - 1])`;
then `step(z[t], action[t], state)` predicts `z[t + 1]`, `reward[t]`, `terminated[t]`, and moves the state on.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from generative.mixture import Mixture, MixtureHead, mixture_log_prob, mixture_mean, mixture_sample
from worldmodels.targets import RewardTarget

State = tuple[Float[Tensor, "B H"], Float[Tensor, "B H"]]
Metrics = dict[str, Tensor]


@dataclass(frozen=True)
class MDNRNNConfig:
    """Sizes, heads and loss weights of the memory."""

    latent: int = 0
    """Latent dimensions Z; 0 until the memory is assembled with a vision."""
    action: int = 0
    """Action dimensions A; 0 until the memory is assembled with an environment."""
    hidden: int = 256
    """Units of the LSTM: what the controller reads beside the latent."""
    mixtures: int = 5
    """Gaussians in the mixture of each latent dimension."""
    std_floor: float = 1e-2
    """Smallest standard deviation of a component: keeps the density of a constant latent finite."""
    predict: Literal["next", "difference"] = "next"
    """What the mixture is over: the next latent, or its difference to this one."""
    reward: bool = True
    """Predict the reward (a dream needs it)."""
    reward_target: RewardTarget = "smoothed"
    """What the reward head was given as targets; event-rate makes it a rate in [0, 1]."""
    reward_weight: float = 1.0
    """Weight of the reward loss beside the latent's negative log-likelihood per dimension."""
    termination: bool = True
    """Predict the end of the episode."""
    termination_weight: float = 1.0
    """Weight of the termination loss."""
    termination_positive_weight: float = 10.0
    """How much more an end counts than any other step in the termination loss; ends are rare."""

    def __post_init__(self) -> None:
        for name in ("hidden", "mixtures"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: a size; give 1 or more.")
        for name in ("std_floor", "termination_positive_weight"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)}: must be above 0.")
        for name in ("latent", "action", "reward_weight", "termination_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)}: must not be negative; give 0 or more.")
        for name, choices in (("predict", ("next", "difference")), ("reward_target", get_args(RewardTarget))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}={getattr(self, name)}: unknown; choose one of {', '.join(choices)}.")


class SequenceBatch(NamedTuple):
    """B episodes, or pieces of some that start from a zero state, padded with finite values to T steps."""

    mean: Float[Tensor, "B T+1 Z"]
    """Mean of each frame's latent."""
    std: Float[Tensor, "B T+1 Z"]
    """Its standard deviation (0 for an encoder that has none)."""
    action: Float[Tensor, "B T A"]
    """Action taken at each frame but the last."""
    reward: Float[Tensor, "B T"]
    """Target of the reward head, in the units of its type (`worldmodels.targets`)."""
    termination: Float[Tensor, "B T"]
    """Target of the termination head, 0 or 1."""
    mask: Bool[Tensor, "B T"]
    """True for the real steps, which come first; False for padding."""


class Prediction(NamedTuple):
    """What follows `(z[t], action[t])`: one Gaussian mixture per latent dimension, a reward and an end."""

    mixture: Mixture
    """Over `z[t + 1]`: `logits`, `mean` and `log_std`, each (B Z K), or (B T Z K) for sequences."""
    reward: Float[Tensor, "*B"]
    """Reward of the step in the environment's units; NaN without a reward head."""
    termination_logit: Float[Tensor, "*B"]
    """Log-odds that the step ends the episode; minus infinity without a termination head."""

    def sample(
        self, temperature: float, uniform: Float[Tensor, "*B Z"], normal: Float[Tensor, "*B Z"]
    ) -> Float[Tensor, "*B Z"]:
        """Draw `z[t + 1]`: `uniform` in [0, 1) chooses the Gaussians, `normal` is scaled to their spread.

        The temperature divides the logits and multiplies the variances; at 0 only the likeliest mean is left.
        """
        return mixture_sample(self.mixture, temperature, uniform, normal)

    def log_prob(self, z: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B Z"]:
        """Measure the log-density of `z[t + 1]`, in nats for each dimension."""
        return mixture_log_prob(self.mixture, z)

    def expected_latent(self) -> Float[Tensor, "*B Z"]:
        """Average `z[t + 1]` over the mixture."""
        return mixture_mean(self.mixture)


class MDNRNN(nn.Module):
    """The memory: an LSTM layer, a mixture head over the next latent, a reward head and a termination head.

    Attributes:
        config: the options it was built from; `config.hidden` is the size of `feature`.
    """

    type: ClassVar[str] = "mdn-rnn"  # type: ignore[assignment]  # nn.Module has such a method
    seam: ClassVar[str] = "memory"
    Config = MDNRNNConfig

    reward_mean: Tensor
    reward_std: Tensor
    event_value: Tensor
    step_cost: Tensor

    def __init__(self, config: MDNRNNConfig) -> None:
        super().__init__()
        if config.latent < 1 or config.action < 1:
            raise ValueError(
                f"latent={config.latent}, action={config.action}: fill in both when assembling, from the"
                " vision's latent size and the environment's action size."
            )
        self.config = config
        self.lstm = nn.LSTM(config.latent + config.action, config.hidden, batch_first=True)
        self.mixture_head = MixtureHead(config.hidden, config.latent, config.mixtures, config.std_floor)
        self.reward_head = nn.Linear(config.hidden, 1) if config.reward else None
        self.termination_head = nn.Linear(config.hidden, 1) if config.termination else None
        scales = {"reward_mean": 0.0, "reward_std": 1.0, "event_value": 1.0, "step_cost": 0.0}
        for name, value in scales.items():
            self.register_buffer(name, torch.tensor(value))

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

    def initial(self, batch: int, device: torch.device | str = "cpu") -> State:
        """Make the state `(h, c)`, (B H) each, in which every episode starts: zeros."""
        zeros = torch.zeros(batch, self.config.hidden, device=device)
        return zeros, zeros.clone()

    def feature(self, state: State) -> Float[Tensor, "B H"]:
        """Return `h`, what the controller reads beside the latent."""
        return state[0]

    def advance(self, z: Float[Tensor, "B Z"], action: Float[Tensor, "B A"], state: State) -> State:
        """Take in one step without predicting anything: all that acting in the real environment needs."""
        return torch.lstm_cell(torch.cat([z, action], dim=-1), state, *self.lstm.all_weights[0])

    def step(self, z: Float[Tensor, "B Z"], action: Float[Tensor, "B A"], state: State) -> tuple[Prediction, State]:
        """Take in one step and predict what follows; the same numbers as `forward_sequence`, step by step."""
        state = self.advance(z, action, state)
        return self._predict(state[0], z), state

    def forward_sequence(
        self, z: Float[Tensor, "B T Z"], action: Float[Tensor, "B T A"], state: State | None = None
    ) -> tuple[Prediction, State]:
        """Take in T steps, from `state` or the start of an episode, and predict what follows each of them."""
        hidden, state = self._unroll(z, action, state)
        return self._predict(hidden, z), state

    def loss(self, batch: SequenceBatch, generator: torch.Generator) -> tuple[Float[Tensor, ""], Metrics]:
        """Measure how well the real steps of a batch are predicted.

        The loss is the negative log-likelihood of the next latent in nats per dimension (the mean over
        dimensions, as in the paper's code; the sum is Z times that), plus the weighted losses of the heads:
        squared error of the standardised reward, or cross-entropy of the event rate; and that of the
        termination, where an end counts `termination_positive_weight` times.

        Args:
            batch: latents as mean and std, from which one sample is drawn for each call; targets; mask.
            generator: the source of that sample.

        Returns:
            The loss, and the metrics `nll`, `reward_loss`, `reward_explained` (share of its variance; 0 if it
            is constant), `termination_loss` and `termination_positives` (a count).
        """
        z = sample_latents(batch, generator)
        hidden, _ = self._unroll(z[:, :-1], batch.action, None)
        log_prob = mixture_log_prob(self._mixture(hidden, z[:, :-1]), z[:, 1:])  # (B T Z)
        nll = masked_mean(-log_prob.mean(-1), batch.mask)
        loss, metrics = nll, {"nll": nll.detach()}
        if self.reward_head is not None:
            output = self.reward_head(hidden)[..., 0]  # (B T)
            reward_loss = masked_mean(self._reward_error(output, batch.reward), batch.mask)
            loss = loss + self.config.reward_weight * reward_loss
            metrics["reward_loss"] = reward_loss.detach()
            explained = self.reward_explained(self.scaled_reward(output.detach()), batch)
            metrics["reward_explained"] = explained.nan_to_num()
        if self.termination_head is not None:
            logit = self.termination_head(hidden)[..., 0]
            weight = logit.new_tensor(self.config.termination_positive_weight)
            surprise = F.binary_cross_entropy_with_logits(logit, batch.termination, pos_weight=weight, reduction="none")
            termination_loss = masked_mean(surprise, batch.mask)
            loss = loss + self.config.termination_weight * termination_loss
            metrics["termination_loss"] = termination_loss.detach()
            metrics["termination_positives"] = (batch.termination * batch.mask).sum()
        return loss, metrics

    def _unroll(self, z: Tensor, action: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Run the LSTM over whole sequences; `hidden[:, t]` has seen `(z[t], action[t])`."""
        start = None if state is None else (state[0].unsqueeze(0), state[1].unsqueeze(0))
        hidden, (h, c) = self.lstm(torch.cat([z, action], dim=-1), start)  # (B T H), (1 B H) twice
        return hidden, (h.squeeze(0), c.squeeze(0))

    def _predict(self, hidden: Tensor, z: Tensor) -> Prediction:
        reward = hidden.new_full(hidden.shape[:-1], math.nan)
        termination_logit = hidden.new_full(hidden.shape[:-1], -math.inf)
        if self.termination_head is not None:
            termination_logit = self.termination_head(hidden)[..., 0]
        if self.reward_head is not None:
            reward = self.scaled_reward(self.reward_head(hidden)[..., 0])
        return Prediction(self._mixture(hidden, z), reward, termination_logit)

    def _mixture(self, hidden: Tensor, z: Tensor) -> Mixture:
        mixture = self.mixture_head(hidden)
        if self.config.predict == "difference":
            mixture = mixture._replace(mean=mixture.mean + z.unsqueeze(-1))
        return mixture

    def scaled_reward(self, output: Tensor) -> Tensor:
        """Turn the head's output into the environment's units."""
        if self.config.reward_target == "event-rate":
            return torch.sigmoid(output) * self.event_value + self.step_cost
        return output * self.reward_std + self.reward_mean

    def _reward_error(self, output: Tensor, target: Tensor) -> Tensor:
        if self.config.reward_target == "event-rate":
            return F.binary_cross_entropy_with_logits(output, target, reduction="none")
        return (output - (target - self.reward_mean) / self.reward_std).square()

    def reward_explained(self, reward: Float[Tensor, "B T"], batch: SequenceBatch) -> Float[Tensor, ""]:
        """Return the share of targets' variance that rewards, in the environment's units, explain; NaN if constant."""
        target, mask = batch.reward, batch.mask
        if self.config.reward_target == "event-rate":
            target = target * self.event_value + self.step_cost
        variance = masked_mean((target - masked_mean(target, mask)).square(), mask)
        explained = 1 - masked_mean((reward - target).square(), mask) / variance
        varies = variance > 1e-10 * masked_mean(target.square(), mask)  # more than rounding does
        return torch.where(varies, explained, math.nan)


def sample_latents(batch: SequenceBatch, generator: torch.Generator) -> Float[Tensor, "B frames Z"]:
    """Draw every latent of a batch from its mean and std: anew each time, so that no noise is learned."""
    normal = torch.randn(batch.mean.shape, generator=generator, device=generator.device)
    return batch.mean + batch.std * normal.to(batch.mean.device)


def masked_mean(values: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Average over the real steps."""
    return torch.where(mask, values, 0.0).sum() / mask.sum()
