"""A memory that remembers one step: layers over `(z[t], action[t])` under a mixture head, nothing carried on.

What such a memory cannot predict is what needs a past: its gap to the others is the worth of remembering.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from worldmodels.memories.contract import State
from worldmodels.memories.heads import HeadedMemory, HeadsConfig


@dataclass(frozen=True)
class FeedForwardConfig(HeadsConfig):
    """Sizes and heads of the feed-forward memory."""

    hidden: int = 256
    """Units of each layer; those of the last are what the controller reads beside the latent."""
    layers: int = 2
    """Hidden layers."""
    mixtures: int = 5
    """Gaussians in the mixture of each latent dimension."""

    SIZES: ClassVar[tuple[str, ...]] = ("hidden", "layers", "mixtures")


class FeedForward(HeadedMemory):
    """Hidden layers under the heads.

    Its state is the activations of the last hidden layer at the step before, (B H), zeros at first. They are what the
    controller reads: `feature` has seen `(z[t - 1], action[t - 1])` and nothing earlier, and no later step depends on
    it.
    """

    type_name: ClassVar[str] = "feed-forward"
    fixed_step: ClassVar[bool] = True
    Config = FeedForwardConfig
    config: FeedForwardConfig

    def __init__(self, config: FeedForwardConfig) -> None:
        super().__init__(config, config.hidden)
        sizes = [config.latent + config.action, *[config.hidden] * config.layers]
        self.hidden_layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(sizes))
        self.add_heads()

    def initial(self, batch: int, device: torch.device | str = "cpu") -> State:
        """Make the state in which every episode starts: zeros, (B H)."""
        return (torch.zeros(batch, self.feature_size, device=device),)

    def advance(self, z: Float[Tensor, "B Z"], action: Float[Tensor, "B A"], state: State) -> State:
        """Take in one step and forget the one before."""
        return (self._activations(z, action),)

    def unroll(
        self, z: Float[Tensor, "B T Z"], action: Float[Tensor, "B T A"], state: State | None
    ) -> tuple[Float[Tensor, "B T H"], State]:
        """Return the activations at each step."""
        hidden = self._activations(z, action)
        return hidden, (hidden[:, -1],)

    def _activations(self, z: Tensor, action: Tensor) -> Tensor:
        """Return activations between -1 and 1, as an LSTM's are: a linear controller reads them."""
        hidden = torch.cat([z, action], dim=-1)
        for layer in self.hidden_layers:
            hidden = torch.tanh(layer(hidden))
        return hidden
