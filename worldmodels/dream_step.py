"""One step of many dreams at once, the operation that evolution in the dream spends its time on.

`FusedStep` is the MDN-RNN's `step` and `Prediction.sample` in one: a single product for the LSTM's inputs and state and
one for all heads, one sigmoid for all gates, mixtures laid out so that every operation runs along the latent axis, and
a spread computed only for the Gaussian that was chosen. In bfloat16 the weights fit the second-level cache. Any other
memory dreams through `PlainStep`.
"""

import math
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from generative.mixture import LOG_STD_RANGE
from worldmodels.memory import MDNRNN


class Dreamt(NamedTuple):
    """What a step of B dreams came to."""

    z: Float[Tensor, "B Z"]
    """The next latent, drawn."""
    reward: Float[Tensor, " B"]
    """In the environment's units; NaN without a reward head."""
    termination_logit: Float[Tensor, " B"]
    """Log-odds of the end; minus infinity without a termination head."""
    state: tuple[Tensor, ...]
    """The memory's state after the step."""


@runtime_checkable
class DreamStep(Protocol):
    """Advances dreams by a step; `uniform` and `normal` (B Z) are the only chance in it."""

    def __call__(
        self, z: Tensor, action: Tensor, state: tuple[Tensor, ...], temperature: float, uniform: Tensor, normal: Tensor
    ) -> Dreamt:
        """Take one step."""
        ...


def dream_step(memory: nn.Module, dtype: torch.dtype = torch.float32) -> DreamStep:
    """Return the fastest step there is for a memory; `dtype` is that of its products, where it is a choice."""
    return FusedStep(memory, dtype) if type(memory) is MDNRNN else PlainStep(memory)


class PlainStep:
    """A memory's own `step`, then a sample of its prediction."""

    def __init__(self, memory: Any) -> None:
        self.memory = memory

    def __call__(
        self, z: Tensor, action: Tensor, state: tuple[Tensor, ...], temperature: float, uniform: Tensor, normal: Tensor
    ) -> Dreamt:
        """Take one step."""
        prediction, state = self.memory.step(z, action, state)
        z = prediction.sample(temperature, uniform, normal)
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
        order = torch.arange(3 * self.latent * self.components).view(3, self.latent, -1).transpose(1, 2).flatten()
        weights, biases = [head.weight[order]], [head.bias[order]]  # rows (3 K Z)
        for extra in (memory.reward_head, memory.termination_head):
            if extra is not None:
                weights.append(extra.weight)
                biases.append(extra.bias)
        self.head_weight, self.head_bias = torch.cat(weights).to(dtype), torch.cat(biases).to(dtype)

    def __call__(
        self, z: Tensor, action: Tensor, state: tuple[Tensor, ...], temperature: float, uniform: Tensor, normal: Tensor
    ) -> Dreamt:
        """Take one step."""
        h, c = self.advance(z, action, *state)
        out = F.linear(h.to(self.dtype), self.head_weight, self.head_bias).float()  # (B 3KZ + heads)
        moved = self._sample(out, temperature, uniform, normal)
        if self.memory.config.predict == "difference":
            moved += z
        return Dreamt(moved, *self._heads(out), (h, c))

    def advance(self, z: Tensor, action: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """The LSTM of `torch.nn.LSTM`, its hyperbolic tangents as sigmoids, tanh(x) = 2 sigmoid(2 x) - 1."""
        seen = torch.cat([part.to(self.dtype) for part in (z, action, h)], dim=1)  # (B Z+A+H)
        gates = F.linear(seen, self.lstm_weight, self.lstm_bias).float()  # (B 4H)
        let_in, keep, cell, show = gates.sigmoid_().chunk(4, dim=1)  # (B H) each
        c = torch.addcmul(keep * c, let_in, cell, value=2.0).sub_(let_in)
        return show * torch.sigmoid(2 * c).mul_(2).sub_(1), c

    def _sample(self, out: Tensor, temperature: float, uniform: Tensor, normal: Tensor) -> Tensor:
        """Invert the weights at `uniform`, as `mixture_sample` does, without dividing by their sum."""
        width = self.latent * self.components
        logits = out[:, :width].unflatten(1, (self.components, self.latent))  # (B K Z)
        means = out[:, width : 2 * width].unflatten(1, (self.components, self.latent))
        if temperature == 0:
            return means.gather(1, logits.argmax(1, keepdim=True)).squeeze(1)
        weights = ((logits - logits.amax(1, keepdim=True)) / temperature).exp_()
        total = weights[:, 0]
        sums = [total]
        for component in range(1, self.components):
            total = total + weights[:, component]
            sums.append(total)
        level = uniform * total
        chosen = torch.zeros_like(uniform, dtype=torch.int64)
        for below in sums[:-1]:
            chosen += below <= level
        chosen = chosen.unsqueeze(1)  # (B 1 Z)
        raw = out[:, 2 * width : 3 * width].unflatten(1, (self.components, self.latent)).gather(1, chosen).squeeze(1)
        log_std = torch.logaddexp(raw, raw.new_tensor(self.log_floor)).clamp_(*LOG_STD_RANGE)
        return torch.addcmul(means.gather(1, chosen).squeeze(1), log_std.exp_(), normal, value=math.sqrt(temperature))

    def _heads(self, out: Tensor) -> tuple[Tensor, Tensor]:
        """Reward and termination, from the columns after the mixture's."""
        memory, column = self.memory, 3 * self.latent * self.components
        reward, end = out.new_full((len(out),), math.nan), out.new_full((len(out),), -math.inf)
        if memory.reward_head is not None:
            reward, column = memory.scaled_reward(out[:, column]), column + 1
        if memory.termination_head is not None:
            end = out[:, column]
        return reward, end
