"""What a memory (M) takes and gives: the one page that a memory from another package is written against.

Alignment: the controller reads `(z[t], h[t])`, where `h[t]` has seen all up to `(z[t - 1], action[t - 1])`;
then `step(z[t], action[t], state)` predicts `z[t + 1]`, `reward[t]`, `terminated[t]`, and moves the state on.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from generative.networks.mixture import Mixture, mixture_log_prob, mixture_mean, mixture_sample

State = tuple[Tensor, ...]
"""What a memory keeps between steps: tensors with one row an episode, (B ...) each."""

Metrics = dict[str, Tensor]

NOISE = ("uniform", "normal")
"""The kinds of noise that a dream has, a number of each for every number of a latent."""


class SequenceBatch(NamedTuple):
    """B episodes, or pieces of some that start from a zero state, padded with finite values to T steps."""

    mean: Float[Tensor, "B T+1 Z"]
    """Mean of each frame's latent."""
    std: Float[Tensor, "B T+1 Z"]
    """Its standard deviation (0 for an encoder that has none)."""
    action: Float[Tensor, "B T A"]
    """Action taken at each frame but the last."""
    reward: Float[Tensor, "B T"]
    """Target of the reward head, in the units of its type (`worldmodels.memories.targets`)."""
    termination: Float[Tensor, "B T"]
    """Target of the termination head, 0 or 1."""
    mask: Bool[Tensor, "B T"]
    """True for the real steps, which come first; False for padding."""


@runtime_checkable
class Predicted(Protocol):
    """What a memory says follows `(z[t], action[t])`."""

    @property
    def reward(self) -> Float[Tensor, "*B"]:
        """Reward of the step in the environment's units; NaN without a reward head."""
        ...

    @property
    def termination_logit(self) -> Float[Tensor, "*B"]:
        """Log-odds that the step ends the episode; minus infinity without a termination head."""
        ...

    def sample(
        self, temperature: float, uniform: Float[Tensor, "*B Z"], normal: Float[Tensor, "*B Z"]
    ) -> Float[Tensor, "*B Z"]:
        """Draw `z[t + 1]`; `uniform` in [0, 1) and `normal` are all the noise in it.

        What the memory does not say that it `draws` may hold anything.
        """
        ...

    def log_prob(self, z: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B Z"]:
        """Measure the log-density of `z[t + 1]`, in nats for each dimension."""
        ...

    def expected_latent(self) -> Float[Tensor, "*B Z"]:
        """Return the expectation of `z[t + 1]`."""
        ...


@runtime_checkable
class PredictedMixture(Predicted, Protocol):
    """A prediction of the next latent that is a mixture of Gaussians."""

    @property
    def mixture(self) -> Mixture:
        """`logits`, `mean` and `log_std`, each (*B Z K)."""
        ...


@runtime_checkable
class Remembers(Protocol):
    """What a controller reads the past from: a memory, or a control in its place, which need not predict anything."""

    @property
    def feature_size(self) -> int:
        """H, the entries of `feature`."""
        ...

    def initial(self, batch: int) -> State:
        """Return the state in which every episode starts, B rows."""
        ...

    def feature(self, state: State) -> Float[Tensor, "B H"]:
        """Return what the controller reads beside the latent."""
        ...

    def advance(self, z: Float[Tensor, "B Z"], action: Float[Tensor, "B A"], state: State) -> State:
        """Take in one step without predicting anything."""
        ...


@runtime_checkable
class Memory(Remembers, Protocol):
    """A memory: an `nn.Module` that is also a `generative.Component` whose `loss` takes a `SequenceBatch`.

    Its `Config` may have fields `latent`, `action` and `reward_target`, which are filled in at assembly. A class
    attribute `draws` may say which of `NOISE` its samples use: tokens are chosen by uniform numbers, what is denoised
    begins at normal ones, a mixture needs both, a point nothing. Without it both are drawn.
    """

    config: Any  # a dataclass, another one for each type

    def step(self, z: Float[Tensor, "B Z"], action: Float[Tensor, "B A"], state: State) -> tuple[Predicted, State]:
        """Take in one step and predict what follows."""
        ...

    def forward_sequence(
        self, z: Float[Tensor, "B T Z"], action: Float[Tensor, "B T A"], state: State | None = None
    ) -> tuple[Predicted, State]:
        """Take in T steps, from `state` or the start of an episode, and predict what follows each of them."""
        ...

    def reward_explained(self, reward: Float[Tensor, "B T"], batch: SequenceBatch) -> Float[Tensor, ""]:
        """Return the share of targets' variance that rewards, in the environment's units, explain; NaN if constant."""
        ...

    def set_reward_scale(self, mean: float, std: float) -> None:
        """Set the scale of raw or smoothed reward targets."""
        ...

    def set_event_scale(self, event_value: float, step_cost: float) -> None:
        """Set what an event rate earns."""
        ...


if TYPE_CHECKING:

    class MemoryModule(nn.Module, Memory):
        """A memory as the `nn.Module` that it also is: to be moved, trained or saved."""

        type_name: ClassVar[str]

        def loss(self, batch: SequenceBatch, generator: torch.Generator) -> tuple[Float[Tensor, ""], Metrics]:
            """Return what training lowers, and metrics by name."""
            ...

else:
    MemoryModule = Memory


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


class PointPrediction(Prediction):
    """A prediction of a single latent: the Gaussian around it says how far off it usually is, and is never drawn."""

    def sample(
        self, temperature: float, uniform: Float[Tensor, "*B Z"], normal: Float[Tensor, "*B Z"]
    ) -> Float[Tensor, "*B Z"]:
        """Return the predicted latent, whatever the temperature and the noise."""
        return self.mixture.mean[..., 0]


def sample_latents(batch: SequenceBatch, generator: torch.Generator) -> Float[Tensor, "B frames Z"]:
    """Draw every latent of a batch from its mean and std: anew each time, so that no noise is learned."""
    normal = torch.randn(batch.mean.shape, generator=generator, device=generator.device)
    return batch.mean + batch.std * normal.to(batch.mean.device)


def draws_of(memory: Remembers) -> tuple[str, ...]:
    """Return which kinds of noise a memory's samples use: all that it does not disclaim."""
    return tuple(getattr(memory, "draws", NOISE))


def masked_mean(values: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Average over the real steps."""
    return torch.where(mask, values, 0.0).sum() / mask.sum()


def choose_rows(rows: Bool[Tensor, " B"], new: Sequence[Tensor], old: Sequence[Tensor]) -> State:
    """Return a state that is `new` where `rows` is true and `old` elsewhere."""
    pairs = zip(new, old, strict=True)
    return tuple(torch.where(rows.view(-1, *[1] * (part.dim() - 1)), part, before) for part, before in pairs)


def initial_on(memory: Remembers, batch: int, device: torch.device | str) -> State:
    """Return the state in which every episode starts, B rows, on a device."""
    return tuple(part.to(device) for part in memory.initial(batch))


def first_state(memory: Remembers, seeds: Int[Tensor, " B"]) -> State:
    """Return the state in which episodes of these seeds start, on the device of the seeds.

    Only a shuffled memory's depends on the seeds.
    """
    state: State = memory.seeded(seeds) if hasattr(memory, "seeded") else memory.initial(len(seeds))
    return tuple(part.to(seeds.device) for part in state)
