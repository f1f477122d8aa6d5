"""The Transformer's block with a cache of keys and values, and where wanted rotary positions and a second attention.

Attention and a two-layer network (Vaswani et al., *Attention Is All You Need*, arXiv:1706.03762), each behind a
normalisation (pre-norm, Xiong et al. 2020, arXiv:2002.04745) or before one (post-norm, as in the paper). Positions may
enter as rotations of queries and keys (Su et al., *RoFormer*, arXiv:2104.09864): only distances between tokens count,
so cached keys stay valid.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PERIOD = 10_000.0
"""Base of the rotations' periods, as in the paper."""


def rotations(position: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of the angle of each pair of a head's entries, (... D/2) each.

    Args:
        position: of tokens, integers (...).
        size: entries of a head, D.
    """
    pairs = size // 2
    frequency = PERIOD ** (-torch.arange(pairs, device=position.device) / pairs)
    angle = position.unsqueeze(-1) * frequency
    return angle.cos(), angle.sin()


def sinusoids(position: Tensor, size: int) -> Tensor:
    """Return the positions' vectors (... H) of sines and cosines by turns (Vaswani et al., section 3.5).

    Args:
        position: of tokens, integers (...).
        size: numbers of a vector, H, which is even.
    """
    cosine, sine = rotations(position, size)
    return torch.stack([sine, cosine], dim=-1).flatten(-2)


def attention(query: Tensor, key: Tensor, visible: Tensor | None, maps: list[Tensor] | None, value: Tensor) -> Tensor:
    """Return what queries see of values, (B heads T D) each.

    Args:
        query: (B heads T D).
        key: (B heads S D).
        visible: which keys each query looks at, bool (B 1 T S); None for those up to its own place, T = S.
        maps: the shares of attention (B heads T S) are appended to it, where there is one.
        value: (B heads S D).
    """
    if maps is not None:
        ones = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device)
        seen = ones.tril() if visible is None else visible
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        maps.append(scores.masked_fill(~seen, -torch.inf).softmax(-1))
    return F.scaled_dot_product_attention(query, key, value, attn_mask=visible, is_causal=visible is None)


class TransformerBlock(nn.Module):
    """Attention to its own sequence, perhaps to another one, then a network on each token; each adds to the token.

    Keys and values of earlier tokens come in and go out, so a token can be added for the cost of one token.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        dropout: float = 0.0,
        activation: Literal["gelu", "gelu-tanh", "relu"] = "gelu",
        pre_norm: bool = True,
        cross: bool = False,
    ) -> None:
        """Build the layers.

        Args:
            width: of a token, H; a multiple of `heads`, and of twice that where pairs of a head's entries are rotated.
            heads: of the attention.
            dropout: probability that a number is left out of what is added.
            activation: the network's nonlinearity; gelu-tanh is GPT-2's approximation, relu the first Transformer's.
            pre_norm: normalise what is read, and not what comes out.
            cross: attend to another sequence too, see `remember`.
        """
        super().__init__()
        self.heads, self.pre_norm = heads, pre_norm
        self.norm_attention, self.norm_network = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        nonlinear = nn.ReLU() if activation == "relu" else nn.GELU("none" if activation == "gelu" else "tanh")
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nonlinear, nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        if cross:
            self.norm_cross = nn.LayerNorm(width)
            self.ask, self.offer, self.merge_cross = (nn.Linear(width, each * width) for each in (1, 2, 1))

    def forward(
        self,
        token: Tensor,
        turns: tuple[Tensor, Tensor] | None,
        visible: Tensor | None,
        keys: Tensor,
        values: Tensor,
        other: tuple[Tensor, Tensor, Tensor] | None = None,
        maps: list[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return tokens (B T H), and the keys and values of earlier and new tokens, (B W+T H).

        Args:
            token: the new ones (B T H).
            turns: of their positions, from `rotations`; None where positions come in otherwise.
            visible: which of the earlier and the new ones each new one looks at, bool (B 1 T W+T); None without earlier
                ones, for those up to itself.
            keys: of the earlier ones (B W H); W may be 0.
            values: likewise.
            other: keys and values (B S H) of another sequence, see `remember`, and where it is none, bool (B 1 1 S).
            maps: see `attention`; shares of the second attention follow those of the first.
        """
        query, key, value = self.project(self.norm_attention(token) if self.pre_norm else token).chunk(3, dim=-1)
        keys = torch.cat([keys, self._turned(key, turns)], dim=1)
        values = torch.cat([values, value], dim=1)
        added = self.merge(self._attended(self._turned(query, turns), keys, values, visible, maps))
        token = self._plus(token, added, self.norm_attention)
        if other is not None:
            query = self.ask(self.norm_cross(token) if self.pre_norm else token)
            added = self.merge_cross(self._attended(query, *other, maps))
            token = self._plus(token, added, self.norm_cross)
        added = self.network(self.norm_network(token) if self.pre_norm else token)
        return self._plus(token, added, self.norm_network), keys, values

    def remember(self, other: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and values of another sequence (B S H), which are computed once."""
        key, value = self.offer(other).chunk(2, dim=-1)
        return key, value

    def _plus(self, token: Tensor, added: Tensor, norm: nn.LayerNorm) -> Tensor:
        token = token + self.dropout(added)
        return token if self.pre_norm else norm(token)

    def _attended(
        self, query: Tensor, keys: Tensor, values: Tensor, visible: Tensor | None, maps: list[Tensor] | None
    ) -> Tensor:
        parts = (query, keys, values)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)  # (B heads T D)
        return attention(query, key, visible, maps, value).transpose(1, 2).flatten(2)

    def _turned(self, part: Tensor, turns: tuple[Tensor, Tensor] | None) -> Tensor:
        """Rotate each head's pairs, the first half of its entries with the second, by their position's angle."""
        if turns is None:
            return part
        cosine, sine = (turn.unsqueeze(2).to(part.dtype) for turn in turns)  # (B T 1 D/2)
        first, second = part.unflatten(-1, (self.heads, 2, -1)).unbind(-2)  # (B T heads D/2)
        turned = torch.stack([first * cosine - second * sine, first * sine + second * cosine], dim=-2)
        return turned.flatten(2)
