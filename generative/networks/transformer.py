"""The Transformer's block with rotary positions and a cache of keys and values.

Pre-norm attention and a two-layer network (Vaswani et al., *Attention Is All You Need*, arXiv:1706.03762; Xiong et al.
2020, arXiv:2002.04745). Positions enter as rotations of queries and keys (Su et al., *RoFormer*, arXiv:2104.09864):
only distances between tokens count, so cached keys stay valid.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PERIOD = 10_000.0
"""Base of the rotations' periods, as in the paper."""


def rotations(position: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of the angle of each pair of a head's entries, (B T D/2) each.

    Args:
        position: of tokens, integers (B T).
        size: entries of a head, D.
    """
    pairs = size // 2
    frequency = PERIOD ** (-torch.arange(pairs, device=position.device) / pairs)
    angle = position.unsqueeze(-1) * frequency
    return angle.cos(), angle.sin()


class TransformerBlock(nn.Module):
    """Attention, then a network on each token; both read a normalised token and add to it (pre-norm).

    Keys and values of earlier tokens come in and go out, so a token can be added for the cost of one token.
    """

    def __init__(self, width: int, heads: int) -> None:
        """Build the layers.

        Args:
            width: of a token, H; a multiple of twice `heads`, because pairs of a head's entries are rotated.
            heads: of the attention.
        """
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_network = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(
        self, token: Tensor, turns: tuple[Tensor, Tensor], visible: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return tokens (B T H), and the keys and values of earlier and new tokens, (B W+T H).

        Args:
            token: the new ones (B T H).
            turns: of their positions, from `rotations`.
            visible: which of the earlier and the new ones each new one looks at, bool (B 1 T W+T).
            keys: of the earlier ones (B W H); W may be 0.
            values: likewise.
        """
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
