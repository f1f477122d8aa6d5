"""A causal Transformer as a memory: it looks back over its last steps instead of carrying a state on.

One token a step, `(z[t], action[t])`, goes through `generative.networks.attention.transformer`. Each layer looks at
the last `context` tokens, so L layers see L * (context - 1) steps back. Positions are rotations, so a key stays valid
wherever the window has moved to. That makes one step cost one token: the keys and values of the window are the state.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.networks.attention.transformer import TransformerBlock, rotations
from worldmodels.memories.contract import State
from worldmodels.memories.heads import HeadedMemory, HeadsConfig


@dataclass(frozen=True)
class TransformerMemoryConfig(HeadsConfig):
    """Sizes and heads of the Transformer."""

    hidden: int = 128
    """Width of the tokens; the last layer's is what the controller reads beside the latent."""
    layers: int = 2
    """Blocks of attention and network."""
    heads: int = 4
    """Attention heads in a block; `hidden` is divided among them."""
    context: int = 32
    """Steps that a layer looks at, this one included."""
    mixtures: int = 5
    """Gaussians in the mixture of each latent dimension."""

    SIZES: ClassVar[tuple[str, ...]] = ("hidden", "layers", "heads", "context", "mixtures")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden % (2 * self.heads):
            raise ValueError(
                f"hidden={self.hidden}: must be a multiple of twice the heads, {2 * self.heads}: pairs are rotated."
            )


class TransformerMemory(HeadedMemory):
    """Attention over a sliding window under the heads.

    Its state: the last token's features `h` (B H), the steps seen (B 1, int64), and the keys and values of the last
    `context - 1` tokens in every layer, (B L context-1 H) each, oldest first.
    """

    type_name: ClassVar[str] = "transformer"
    fixed_step: ClassVar[bool] = True
    Config = TransformerMemoryConfig
    config: TransformerMemoryConfig

    def __init__(self, config: TransformerMemoryConfig) -> None:
        super().__init__(config, config.hidden)
        self.embed = self.reader()
        self.blocks = nn.ModuleList(TransformerBlock(config.hidden, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.hidden)
        self.add_heads()

    def reader(self) -> nn.Module:
        """Return what makes a token of a latent and an action, (*B Z+A)."""
        return nn.Linear(self.config.latent + self.config.action, self.config.hidden)

    def initial(self, batch: int, device: torch.device | str = "cpu") -> State:
        """Make the state in which every episode starts: nothing seen."""
        config = self.config
        window = torch.zeros(batch, config.layers, config.context - 1, config.hidden, device=device)
        seen = torch.zeros(batch, 1, dtype=torch.int64, device=device)
        return torch.zeros(batch, config.hidden, device=device), seen, window, window.clone()

    def advance(self, z: Float[Tensor, "B Z"], action: Float[Tensor, "B A"], state: State) -> State:
        """Take in one step without predicting anything: one token against the window."""
        return self.unroll(z.unsqueeze(1), action.unsqueeze(1), state)[1]

    def unroll(
        self, z: Float[Tensor, "B T Z"], action: Float[Tensor, "B T A"], state: State | None
    ) -> tuple[Float[Tensor, "B T H"], State]:
        """Take in T tokens behind those of the window; the same function for one step and for whole sequences."""
        steps, window = z.shape[1], self.config.context - 1
        _, seen, old_keys, old_values = self.initial(len(z), z.device) if state is None else state
        turns = rotations(seen + torch.arange(steps, device=z.device), self.config.hidden // self.config.heads)
        visible = self._visible(seen, steps).unsqueeze(1)  # (B 1 T window+T)
        token = self.embed(torch.cat([z, action], dim=-1))  # (B T H)
        keys, values = [], []
        for layer, block in enumerate(self.blocks):
            token, key, value = block(token, turns, visible, old_keys[:, layer], old_values[:, layer])
            keys.append(key[:, key.shape[1] - window :])
            values.append(value[:, value.shape[1] - window :])
        hidden = self.norm(token)
        return hidden, (hidden[:, -1], seen + steps, torch.stack(keys, dim=1), torch.stack(values, dim=1))

    def _visible(self, seen: Tensor, steps: int) -> Tensor:
        """Return which of the window's and the new tokens each new one looks at, bool (B T window+T)."""
        window = self.config.context - 1
        query = torch.arange(steps, device=seen.device).unsqueeze(1)  # (T 1)
        key = torch.arange(-window, steps, device=seen.device)  # (window+T): counted from the first new token
        near = (key <= query) & (key > query - self.config.context)  # (T window+T)
        return near & (key >= -seen).unsqueeze(1)
