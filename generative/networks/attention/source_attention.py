"""Attention of a decoder to the sequence that it answers: none, by a fixed pooling, additive, by a product, by heads.

All but the first give a mixture of the encoder's features h_s, with shares `a = softmax(score)`:

    pooling      v tanh(U h_s), the same whatever the query (Foster, *Generative Deep Learning*)
    additive     v tanh(W q + U h_s) for a query q (Bahdanau et al. 2015, arXiv 1409.0473)
    dot          q h_s (Luong et al. 2015, arXiv 1508.04025); query and features have the same space
    multi-head   several scaled products, each of its own projection (Vaswani et al. 2017, arXiv 1706.03762)
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

AttentionKind = Literal["none", "pooling", "additive", "dot", "multi-head"]


class SourceAttention(nn.Module):
    """Shares of attention and what they give."""

    def __init__(self, kind: AttentionKind, width: int, heads: int) -> None:
        """Build the layers.

        Args:
            kind: which score.
            width: numbers of a query and of a feature, F.
            heads: of `multi-head`; `width` is divided among them.
        """
        super().__init__()
        self.kind, self.heads = kind, heads if kind == "multi-head" else 1
        if kind in ("pooling", "additive", "multi-head"):
            self.key = nn.Linear(width, width, bias=False)
        if kind in ("additive", "multi-head"):
            self.query = nn.Linear(width, width, bias=False)
        if kind in ("pooling", "additive"):
            self.score = nn.Linear(width, 1, bias=False)
        if kind == "multi-head":
            self.value, self.merge = nn.Linear(width, width), nn.Linear(width, width)

    def keys(self, features: Float[Tensor, "B S F"]) -> Float[Tensor, "B S F"]:
        """Return what scores are made of; computed once for a sequence."""
        return features if self.kind in ("none", "dot") else self.key(features)

    def forward(
        self,
        query: Float[Tensor, "B F"],
        keys: Float[Tensor, "B S F"],
        features: Float[Tensor, "B S F"],
        mask: Bool[Tensor, "B S"],
    ) -> tuple[Float[Tensor, "B F"], Float[Tensor, "B heads S"]]:
        """Return what a query gets of a sequence, and the shares; padding has none."""
        if self.kind == "none":
            return torch.zeros_like(features[:, 0]), features.new_zeros(len(features), 1, features.shape[1])
        if self.kind == "pooling":
            scores = self.score(keys.tanh()).transpose(1, 2)  # (B 1 S)
        elif self.kind == "additive":
            scores = self.score((self.query(query)[:, None] + keys).tanh()).transpose(1, 2)
        else:
            asked = self.query(query) if self.kind == "multi-head" else query
            asked, known = (each.unflatten(-1, (self.heads, -1)) for each in (asked, keys))
            scores = torch.einsum("bhd,bshd->bhs", asked, known)
            scores = scores / known.shape[-1] ** 0.5 if self.kind == "multi-head" else scores
        shares = scores.masked_fill(~mask[:, None], -torch.inf).softmax(-1)
        if self.kind != "multi-head":
            return (shares @ features)[:, 0], shares
        values = self.value(features).unflatten(-1, (self.heads, -1))
        return self.merge(torch.einsum("bhs,bshd->bhd", shares, values).flatten(1)), shares
