"""One step of many dreams at once, the operation that evolution in the dream spends its time on.

`FusedStep` is the MDN-RNN's `step` and `Prediction.sample` in one: a single product for the LSTM's inputs and state and
one for all heads, one sigmoid for all gates, mixtures laid out so that every operation runs along the latent axis, and
a spread computed only for the Gaussian that was chosen. In bfloat16 the weights fit the second-level cache. Any other
memory dreams through `PlainStep`.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from generative.mixture import LOG_STD_RANGE
from worldmodels.memories import MDNRNN, Memory, Remembers, State


class Dreamt(NamedTuple):
    """What a step of B dreams came to."""

    z: Float[Tensor, "B Z"]
    """The next latent, drawn."""
    reward: Float[Tensor, " B"]
    """In the environment's units; NaN without a reward head."""
    termination_logit: Float[Tensor, " B"]
    """Log-odds of the end; minus infinity without a termination head."""
    state: State
    """The memory's state after the step."""


@runtime_checkable
class DreamStep(Protocol):
    """Advances dreams by a step; `uniform` and `spread` (B Z) are all the noise in it.

    Without `uniform` the next latent is the expectation plus `spread`, at the root of the temperature; otherwise it is
    drawn, with standard normal `spread`.
    """

    def advance(self, z: Tensor, action: Tensor, state: State) -> State:
        """Take one step without predicting anything."""
        ...

    def __call__(
        self,
        z: Tensor,
        action: Tensor,
        state: State,
        temperature: float,
        uniform: Tensor | None,
        spread: Tensor,
    ) -> Dreamt:
        """Take one step."""
        ...


def dream_step(memory: Remembers, dtype: torch.dtype = torch.float32) -> DreamStep:
    """Return the fastest step there is for a memory.

    Args:
        memory: that dreams, or is only advanced.
        dtype: of its products, where it is a choice.
    """
    return FusedStep(memory, dtype) if type(memory) is MDNRNN else PlainStep(memory)


class PlainStep:
    """A memory's own `step`, then a sample of its prediction."""

    def __init__(self, memory: Remembers) -> None:
        self.memory = memory

    def advance(self, z: Tensor, action: Tensor, state: State) -> State:
        """Take one step without predicting anything."""
        return self.memory.advance(z, action, state)

    def __call__(
        self,
        z: Tensor,
        action: Tensor,
        state: State,
        temperature: float,
        uniform: Tensor | None,
        spread: Tensor,
    ) -> Dreamt:
        """Take one step."""
        prediction, state = cast(Memory, self.memory).step(z, action, state)
        if uniform is None:
            z = torch.add(prediction.expected_latent(), spread, alpha=math.sqrt(temperature))
        else:
            z = prediction.sample(temperature, uniform, spread)
        return Dreamt(z, prediction.reward, prediction.termination_logit, state)


class FusedStep:
    """The MDN-RNN's step with weights arranged for it; a copy, which later training does not change."""

    @torch.no_grad()
    def __init__(self, memory: MDNRNN, dtype: torch.dtype = torch.float32) -> None:
        options = memory.config
        self.memory, self.dtype = memory, dtype
        self.hidden, self.latent, self.components = options.hidden, options.latent, options.mixtures
        self.log_floor = memory.mixture_head.log_floor
        w_ih, w_hh, b_ih, b_hh = memory.lstm.all_weights[0]
        doubled = torch.ones(4, self.hidden, 1)  # of the input, forget, cell and output gates
        doubled[2] = 2.0
        doubled = doubled.flatten(0, 1)  # (4H 1)
        self.lstm_weight = (torch.cat([w_ih, w_hh], dim=1) * doubled).to(dtype)  # (4H Z+A+H)
        self.lstm_bias = ((b_ih + b_hh) * doubled[:, 0]).to(dtype)
        head = memory.mixture_head.linear
        rows = torch.arange(head.out_features).view(3, self.latent, self.components)
        order = rows.transpose(1, 2).flatten()
        weights, biases = [head.weight[order]], [head.bias[order]]  # rows (3 K Z)
        for extra in (memory.reward_head, memory.termination_head):
            if extra is not None:
                weights.append(extra.weight)
                biases.append(extra.bias)
        self.head_weight, self.head_bias = torch.cat(weights).to(dtype), torch.cat(biases).to(dtype)

    def __call__(
        self,
        z: Tensor,
        action: Tensor,
        state: State,
        temperature: float,
        uniform: Tensor | None,
        spread: Tensor,
    ) -> Dreamt:
        """Take one step."""
        h, c = self.advance(z, action, state)
        out = self._read(h.to(self.dtype)).float()  # (B 3KZ + heads)
        if uniform is None:
            moved = torch.add(self._expected(out), spread, alpha=math.sqrt(temperature))
        else:
            moved = self._sample(out, temperature, uniform, spread)
        return Dreamt(moved, *self._heads(out), (h, c))

    def advance(self, z: Tensor, action: Tensor, state: State) -> State:
        """The LSTM of `torch.nn.LSTM`, its hyperbolic tangents as sigmoids, tanh(x) = 2 sigmoid(2 x) - 1."""
        h, c = state
        seen = torch.cat([part.to(self.dtype) for part in (z, action, h)], dim=1)  # (B Z+A+H)
        gates = self._feed(seen).float()  # (B 4H)
        let_in, keep, cell, show = gates.sigmoid_().chunk(4, dim=1)  # (B H) each
        c = torch.addcmul(keep * c, let_in, cell, value=2.0).sub_(let_in)
        return show * torch.sigmoid(2 * c).mul_(2).sub_(1), c

    def _feed(self, seen: Tensor) -> Tensor:
        """Return all gates' inputs."""
        return F.linear(seen, self.lstm_weight, self.lstm_bias)

    def _read(self, h: Tensor) -> Tensor:
        """Return all heads' outputs."""
        return F.linear(h, self.head_weight, self.head_bias)

    def _sample(self, out: Tensor, temperature: float, uniform: Tensor, normal: Tensor) -> Tensor:
        """Invert the weights at `uniform`, as `mixture_sample` does, without dividing by their sum."""
        logits, means, raw = self._mixture(out)
        if temperature == 0:
            likeliest = logits.argmax(1, keepdim=True)
            return means.gather(1, likeliest).squeeze(1)
        weights = ((logits - logits.amax(1, keepdim=True)) / temperature).exp_()
        total = weights[:, 0]
        sums = [total]
        for component in range(1, self.components):
            total = total + weights[:, component]
            sums.append(total)
        level = uniform * total
        chosen = torch.zeros_like(level, dtype=torch.int64)
        for below in sums[:-1]:
            chosen += below <= level
        chosen = chosen.unsqueeze(1)  # (B 1 Z)
        spread = raw.gather(1, chosen).squeeze(1)
        log_std = torch.logaddexp(spread, spread.new_tensor(self.log_floor)).clamp_(*LOG_STD_RANGE)
        return torch.addcmul(means.gather(1, chosen).squeeze(1), log_std.exp_(), normal, value=math.sqrt(temperature))

    def _expected(self, out: Tensor) -> Tensor:
        """Average the next latent over the mixture."""
        logits, means, _ = self._mixture(out)
        return (torch.softmax(logits, dim=1) * means).sum(1)

    def _mixture(self, out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, means and what becomes spreads, (B K Z) each."""
        mixture = out[:, : 3 * self.latent * self.components]
        logits, means, raw = mixture.unflatten(1, (3, self.components, self.latent)).unbind(1)
        return logits, means, raw

    def _heads(self, out: Tensor) -> tuple[Tensor, Tensor]:
        """Reward and termination, from the columns after the mixture's."""
        memory, column = self.memory, 3 * self.latent * self.components
        reward, end = out.new_full((len(out),), math.nan), out.new_full((len(out),), -math.inf)
        if memory.reward_head is not None:
            reward, column = memory.scaled_reward(out[:, column]), column + 1
        if memory.termination_head is not None:
            end = memory.true_logit(out[:, column])
        return reward, end


class FusedSteps(FusedStep):
    """Several MDN-RNNs' steps, each over its own slice of the rows: their products apart, all the rest together."""

    def __init__(self, steps: Sequence[FusedStep], sizes: Sequence[int]) -> None:
        """Join steps of memories with one config.

        Args:
            steps: made with one number type.
            sizes: rows of each, in order.
        """
        first = steps[0]
        self.steps, self.sizes = steps, list(sizes)
        self.memory, self.dtype = first.memory, first.dtype
        self.hidden, self.latent, self.components = first.hidden, first.latent, first.components
        self.log_floor = first.log_floor

    def _feed(self, seen: Tensor) -> Tensor:
        return torch.cat([step._feed(part) for step, part in self._each(seen)])

    def _read(self, h: Tensor) -> Tensor:
        return torch.cat([step._read(part) for step, part in self._each(h)])

    def _heads(self, out: Tensor) -> tuple[Tensor, Tensor]:
        rewards, ends = zip(*(step._heads(part) for step, part in self._each(out)), strict=True)
        return torch.cat(rewards), torch.cat(ends)

    def _each(self, rows: Tensor) -> Iterator[tuple[FusedStep, Tensor]]:
        return zip(self.steps, rows.split(self.sizes), strict=True)
