"""One step of many dreams at once, the operation that evolution in the dream spends its time on.

`FusedStep` is the MDN-RNN's `step` and `Prediction.sample` in one: a single product for the LSTM's inputs and state and
one for all heads, one sigmoid for all gates, mixtures laid out so that every operation runs along the latent axis, and
a spread computed only for the Gaussian that was chosen. In bfloat16 the weights fit the second-level cache. On a GPU
what lies between the two products is one kernel each. Any other memory dreams through `PlainStep`.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from generative.hardware.cuda_graphs import fused
from generative.networks.mixture import LOG_STD_RANGE
from worldmodels.memories import MDNRNN, Memory, Remembers, State
from worldmodels.memories.heads import in_units, true_logit

GPU_WIDTH = 8
"""A GPU multiplies fast where rows are multiples of this many numbers long; they are padded with zeros."""


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
        w_ih, w_hh, b_ih, b_hh = memory.lstm.all_weights[0]
        self.log_floor = torch.full((), memory.mixture_head.log_floor, device=w_ih.device)
        doubled = torch.ones(4, self.hidden, 1, device=w_ih.device)  # of the input, forget, cell and output gates
        doubled[2] = 2.0
        doubled = doubled.flatten(0, 1)  # (4H 1)
        weight = torch.cat([w_ih, w_hh], dim=1) * doubled  # (4H Z+A+H)
        self.padding = -weight.shape[1] % GPU_WIDTH if weight.is_cuda else 0
        self.lstm_weight = F.pad(weight, (0, self.padding)).to(dtype)
        self.lstm_bias = ((b_ih + b_hh) * doubled[:, 0]).to(dtype)
        head = memory.mixture_head.linear
        rows = torch.arange(head.out_features).view(3, self.latent, self.components)
        order = rows.transpose(1, 2).flatten()
        weights, biases = [head.weight[order]], [head.bias[order]]  # rows (3 K Z)
        for extra in (memory.reward_head, memory.termination_head):
            if extra is not None:
                weights.append(extra.weight)
                biases.append(extra.bias)
        weight, bias = torch.cat(weights), torch.cat(biases)
        more = -len(weight) % GPU_WIDTH if weight.is_cuda else 0
        self.head_weight, self.head_bias = F.pad(weight, (0, 0, 0, more)).to(dtype), F.pad(bias, (0, more)).to(dtype)

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
        out = self._read(h.to(self.dtype))  # (B 3KZ + heads)
        sizes = self.components, self.latent
        if uniform is None:
            moved = _moved(out, spread, sizes, temperature)
        else:
            moved = _drawn(out, uniform, spread, self.log_floor, sizes, temperature)
        return Dreamt(moved, *self._heads(out), (h, c))

    def advance(self, z: Tensor, action: Tensor, state: State) -> State:
        """Take one step without predicting anything: the LSTM of `torch.nn.LSTM`."""
        h, c = state
        return _cell(self._feed(_joined(z, action, h, self.padding, self.dtype)), c)

    def _feed(self, seen: Tensor) -> Tensor:
        """Return all gates' inputs."""
        return F.linear(seen, self.lstm_weight, self.lstm_bias)

    def _read(self, h: Tensor) -> Tensor:
        """Return all heads' outputs."""
        return F.linear(h, self.head_weight, self.head_bias)

    def _heads(self, out: Tensor) -> tuple[Tensor, Tensor]:
        """Reward and termination, from the columns after the mixture's."""
        memory, column = self.memory, 3 * self.latent * self.components
        present = memory.reward_head is not None, memory.termination_head is not None
        return _reward_and_end(out, memory.reward_scale, present, column)


@fused
def _joined(z: Tensor, action: Tensor, h: Tensor, padding: int, dtype: torch.dtype) -> Tensor:
    """Return what the LSTM's product reads, (B Z+A+H) and zeros behind it."""
    parts = [part.to(dtype) for part in (z, action, h)]
    if padding:
        parts.append(parts[0].new_zeros(len(z), padding))
    return torch.cat(parts, dim=1)


@fused
def _cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Return the LSTM's next state; hyperbolic tangents are sigmoids, tanh(x) = 2 sigmoid(2 x) - 1."""
    let_in, keep, cell, show = gates.float().sigmoid_().chunk(4, dim=1)  # (B H) each
    c = torch.addcmul(keep * c, let_in, cell, value=2.0).sub_(let_in)
    return show * torch.sigmoid(2 * c).mul_(2).sub_(1), c


@fused
def _drawn(
    out: Tensor, uniform: Tensor, normal: Tensor, log_floor: Tensor, sizes: tuple[int, int], temperature: float
) -> Tensor:
    """Invert the weights at `uniform`, as `mixture_sample` does, without dividing by their sum."""
    logits, means, raw = _mixture(out, sizes)
    if temperature == 0:
        likeliest = logits.argmax(1, keepdim=True)
        return means.gather(1, likeliest).squeeze(1)
    weights = ((logits - logits.amax(1, keepdim=True)) / temperature).exp_()
    total = weights[:, 0]
    sums = [total]
    for component in range(1, sizes[0]):
        total = total + weights[:, component]
        sums.append(total)
    level = uniform * total
    chosen = torch.zeros_like(level, dtype=torch.int64)
    for below in sums[:-1]:
        chosen += below <= level
    chosen = chosen.unsqueeze(1)  # (B 1 Z)
    spread = raw.gather(1, chosen).squeeze(1)
    log_std = torch.logaddexp(spread, log_floor).clamp_(*LOG_STD_RANGE)
    return torch.addcmul(means.gather(1, chosen).squeeze(1), log_std.exp_(), normal, value=math.sqrt(temperature))


@fused
def _reward_and_end(
    out: Tensor, scale: tuple[Tensor, Tensor, bool], present: tuple[bool, bool], column: int
) -> tuple[Tensor, Tensor]:
    """Return reward and log-odds of the end from the columns after the mixture's."""
    rows = len(out)
    reward = torch.full((rows,), math.nan, device=out.device)
    end = torch.full((rows,), -math.inf, device=out.device)
    if present[0]:
        reward, column = in_units(out[:, column].float(), *scale), column + 1
    if present[1]:
        end = true_logit(out[:, column].float())
    return reward, end


@fused
def _moved(out: Tensor, spread: Tensor, sizes: tuple[int, int], temperature: float) -> Tensor:
    """Return the next latent averaged over the mixture, plus the spread at the root of the temperature."""
    logits, means, _ = _mixture(out, sizes)
    return torch.add((torch.softmax(logits, dim=1) * means).sum(1), spread, alpha=math.sqrt(temperature))


def _mixture(out: Tensor, sizes: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits, means and what becomes spreads, (B K Z) each."""
    components, latent = sizes
    mixture = out.float()[:, : 3 * latent * components]
    logits, means, raw = mixture.unflatten(1, (3, components, latent)).unbind(1)
    return logits, means, raw


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
        self.log_floor, self.padding = first.log_floor, first.padding

    def _feed(self, seen: Tensor) -> Tensor:
        return torch.cat([step._feed(part) for step, part in self._each(seen)])

    def _read(self, h: Tensor) -> Tensor:
        return torch.cat([step._read(part) for step, part in self._each(h)])

    def _heads(self, out: Tensor) -> tuple[Tensor, Tensor]:
        rewards, ends = zip(*(step._heads(part) for step, part in self._each(out)), strict=True)
        return torch.cat(rewards), torch.cat(ends)

    def _each(self, rows: Tensor) -> Iterator[tuple[FusedStep, Tensor]]:
        return zip(self.steps, rows.split(self.sizes), strict=True)
