"""What a GPU can do with a dream step: the bare loop that dreams on a GPU are compared with.

It holds what no dream can do without: an LSTM, a mixture of Gaussians for each dimension of the latent, a linear
controller, a reward and an end. Products are of bfloat16, all between them is compiled, and the whole horizon is one
recording. Its weights and noise are random, and it shares no code with `worldmodels.dream` but the recorder.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from generative.hardware.cuda_graphs import Replayed, fused

HIDDEN, MIXTURES = 256, 5
PENALTY = 50.0
WIDTH = 8
"""A GPU multiplies fast where rows are multiples of this many numbers long."""


class Sizes(NamedTuple):
    """Of the bare loop."""

    candidates: int
    """C."""
    dreams: int
    """E."""
    horizon: int
    latent: int
    """Z."""
    action: int
    """A."""
    reads_memory: bool
    """Whether the controller reads the LSTM's state beside the latent."""

    @property
    def rows(self) -> int:
        """C times E."""
        return self.candidates * self.dreams

    @property
    def products(self) -> int:
        """Multiplications of a row's step: LSTM, heads and controller."""
        lstm = 4 * HIDDEN * (self.latent + self.action + HIDDEN)
        heads = HIDDEN * (3 * self.latent * MIXTURES + 2)
        return lstm + heads + (self.latent + HIDDEN * self.reads_memory) * self.action


class Weights(NamedTuple):
    """Of the bare loop's networks, in the type of its products."""

    lstm: Tensor
    """(4H Z+A+H), zeros behind it."""
    lstm_bias: Tensor
    heads: Tensor
    """(3KZ + reward + end, H), zeros below it."""
    heads_bias: Tensor
    controller: Tensor
    """(C F A)."""


class BareDream:
    """Plays C candidates in E dreams at every call."""

    def __init__(self, sizes: Sizes, device: torch.device, dtype: torch.dtype) -> None:
        self.sizes = sizes
        generator = torch.Generator(device).manual_seed(0)

        def random(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, device=device, dtype=torch.float32) / shape[-1] ** 0.5

        inputs = sizes.latent + sizes.action + HIDDEN
        outputs = 3 * sizes.latent * MIXTURES + 2
        features = sizes.latent + HIDDEN * sizes.reads_memory
        self._weights = Weights(
            F.pad(random(4 * HIDDEN, inputs), (0, -inputs % WIDTH)).to(dtype),
            torch.zeros(4 * HIDDEN, device=device, dtype=dtype),
            F.pad(random(outputs, HIDDEN), (0, 0, 0, -outputs % WIDTH)).to(dtype),
            torch.zeros(outputs + -outputs % WIDTH, device=device, dtype=dtype),
            0.1 * random(sizes.candidates, features, sizes.action),
        )
        self._first = random(sizes.rows, sizes.latent)
        self._state = torch.zeros(sizes.rows, HIDDEN, device=device, dtype=dtype)
        self._replayed = Replayed(self._horizon, device)

    @torch.inference_mode()
    def __call__(self) -> Float[Tensor, "C E"]:
        """Return the return of every candidate in every dream, on the device."""
        return self._replayed().view(self.sizes.candidates, self.sizes.dreams)

    def _horizon(self) -> Tensor:
        z, h, c = self._first, self._state, self._state.float()
        score = torch.zeros(self.sizes.rows, device=z.device)
        playing = torch.ones(self.sizes.rows, device=z.device, dtype=torch.bool)
        for _ in range(self.sizes.horizon):
            z, h, c, score, playing = bare_step(z, h, c, score, playing, self._weights, self.sizes)
        return score


@fused
def bare_step(
    z: Tensor, h: Tensor, c: Tensor, score: Tensor, playing: Tensor, weights: Weights, sizes: Sizes
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Take one step of all rows and return what the next one begins with."""
    dtype = weights.lstm.dtype
    features = torch.cat([z, h.float()], dim=1) if sizes.reads_memory else z
    raw = torch.bmm(features.view(sizes.candidates, sizes.dreams, -1), weights.controller).flatten(0, 1).tanh()
    action = torch.cat([raw[:, :1], raw[:, 1:].clamp(min=0)], dim=1)
    padding = z.new_zeros(len(z), weights.lstm.shape[1] - z.shape[1] - action.shape[1] - HIDDEN, dtype=dtype)
    seen = torch.cat([z.to(dtype), action.to(dtype), h, padding], dim=1)
    let_in, keep, cell, show = F.linear(seen, weights.lstm, weights.lstm_bias).float().chunk(4, dim=1)
    c = torch.sigmoid(keep) * c + torch.sigmoid(let_in) * torch.tanh(cell)
    h = (torch.sigmoid(show) * torch.tanh(c)).to(dtype)
    out = F.linear(h, weights.heads, weights.heads_bias).float()
    count = 3 * sizes.latent * MIXTURES
    logits, mean, log_std = out[:, :count].unflatten(1, (3, MIXTURES, sizes.latent)).unbind(1)  # (B K Z) each
    level = torch.softmax(logits, dim=1).cumsum(1)
    chosen = (level[:, :-1] < torch.rand_like(z).unsqueeze(1)).sum(1, keepdim=True)  # (B 1 Z)
    std = log_std.gather(1, chosen).squeeze(1).clamp(max=2.0).exp()
    z = mean.gather(1, chosen).squeeze(1) + std * torch.randn_like(z)
    ended = playing & (torch.rand_like(score) < torch.sigmoid(out[:, count + 1]))
    score = score + torch.where(playing, out[:, count], 0.0) - PENALTY * ended
    return z, h, c, score, playing & ~ended
