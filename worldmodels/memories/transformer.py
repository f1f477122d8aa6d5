"""A causal Transformer as a memory: it looks back over its last steps instead of carrying a state on.

Pre-norm blocks of attention and a two-layer network (Vaswani et al. 2017; Xiong et al. 2020) over one token a step,
`(z[t], action[t])`. Each layer looks at the last `context` tokens, so L layers see L * (context - 1) steps back.
Positions enter as rotations of queries and keys (Su et al., *RoFormer*, arXiv:2104.09864): only distances count, and a
key stays valid wherever the window has moved to. That makes one step cost one token: the keys and values of the window
are the state.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from worldmodels.memories.contract import State
from worldmodels.memories.heads import HeadedMemory, HeadsConfig

PERIOD = 10_000.0
"""Base of the rotations' periods, as in the paper."""


@dataclass(frozen=True)
class TransformerConfig(HeadsConfig):
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


class Transformer(HeadedMemory):
    """Attention over a sliding window under the heads.

    Its state: the last token's features `h` (B H), the steps seen (B 1, int64), and the keys and values of the last
    `context - 1` tokens in every layer, (B L context-1 H) each, oldest first.
    """

    type_name: ClassVar[str] = "transformer"
    fixed_step: ClassVar[bool] = True
    Config = TransformerConfig
    config: TransformerConfig

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config, config.hidden)
        self.embed = nn.Linear(config.latent + config.action, config.hidden)
        self.blocks = nn.ModuleList(Block(config.hidden, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.hidden)
        self.add_heads()

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
        turns = self._turns(seen + torch.arange(steps, device=z.device))  # (B T D/2), twice
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

    def _turns(self, position: Tensor) -> tuple[Tensor, Tensor]:
        """Return cosine and sine of each pair's angle at positions (B T), (B T D/2) each."""
        pairs = self.config.hidden // self.config.heads // 2
        frequency = PERIOD ** (-torch.arange(pairs, device=position.device) / pairs)
        angle = position.unsqueeze(-1) * frequency
        return angle.cos(), angle.sin()


class Block(nn.Module):
    """Attention, then a network on each token; both read a normalised token and add to it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_network = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(
        self, token: Tensor, turns: tuple[Tensor, Tensor], visible: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return tokens (B T H), and the keys and values of window and tokens, (B window+T H)."""
        query, key, value = self.project(self.norm_attention(token)).chunk(3, dim=-1)
        keys = torch.cat([keys, self._turned(key, turns)], dim=1)
        values = torch.cat([values, value], dim=1)
        parts = (self._turned(query, turns), keys, values)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)  # (B heads T D)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        token = token + self.merge(seen.transpose(1, 2).flatten(2))
        return token + self.network(self.norm_network(token)), keys, values

    def _turned(self, part: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        """Rotate each head's pairs, the first half of its entries with the second, by their position's angle."""
        cosine, sine = (turn.unsqueeze(2).to(part.dtype) for turn in turns)  # (B T 1 D/2)
        first, second = part.unflatten(-1, (self.heads, 2, -1)).unbind(-2)  # (B T heads D/2)
        turned = torch.stack([first * cosine - second * sine, first * sine + second * cosine], dim=-2)
        return turned.flatten(2)
