"""A moving average of a network's weights: what adversarial and diffusion models sample from.

Weights that two objectives pull to and fro circle around good ones; their average is nearer (Yazıcı et al. 2019,
arXiv 1806.04498). It is a submodule, so checkpoints and components hold it.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

AVERAGED_BUFFERS = ("running_mean", "running_var")


class Average(nn.Module):
    """A copy of a network that follows it, never trained and always in evaluation mode."""

    updates: Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.eval()

    def train(self, mode: bool = True) -> "Average":
        """Stay in evaluation mode: looking at samples must not change running statistics."""
        return super().train(False)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards the network's present weights; call it after every step.

        The decay of update t (from 0) is at most `(1 + t) / (10 + t)`, so the weights of the start are soon
        forgotten. Running statistics of batch norm are averaged too, other buffers copied.
        """
        updates = self.updates.to(torch.float32 if self.updates.is_mps else torch.float64)
        share = (1 - ((1 + updates) / (10 + updates)).clamp(max=self.decay)).to(next(network.parameters()).dtype)
        for mine, weights in zip(self.network.parameters(), network.parameters(), strict=True):
            mine.lerp_(weights, share)
        for (name, buffer), theirs in zip(self.network.named_buffers(), network.buffers(), strict=True):
            if name.endswith(AVERAGED_BUFFERS):
                buffer.lerp_(theirs, share)
            else:
                buffer.copy_(theirs)
        self.updates += 1

    def forward(self, *inputs: Any) -> Tensor:
        """Return the averaged network's output."""
        return self.network(*inputs)
