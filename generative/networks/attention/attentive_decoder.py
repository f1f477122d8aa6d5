"""A GRU that writes one token after the other and attends to a source, before its step or after it.

    bahdanau   c_t = attend(s_t-1),  s_t = GRU([y_t-1, c_t], s_t-1)      (arXiv 1409.0473)
    luong      s_t = GRU(y_t-1, s_t-1),  c_t = attend(s_t)               (arXiv 1508.04025, without input feeding)

The next token is scored from `tanh(W [s_t, c_t])`.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from generative.networks.attention.source_attention import AttentionKind, SourceAttention
from generative.objectives.variational import at_least_float32

AttentionOrder = Literal["bahdanau", "luong"]


class AttentiveDecoder(nn.Module):
    """Its state: the GRU's, then keys, features and mask of the source, a row of each for each sequence."""

    def __init__(
        self,
        embedding: int,
        hidden: int,
        vocabulary: int,
        attention: AttentionKind,
        order: AttentionOrder,
        heads: int,
        dropout: float,
    ) -> None:
        """Build the layers.

        Args:
            embedding: numbers that stand for a token, E.
            hidden: units, and numbers of a feature of the source, H.
            vocabulary: tokens that are scored, K.
            attention: how it attends.
            order: before its step or after it.
            heads: of multi-head attention.
            dropout: probability that a number is left out of what scores are made of.
        """
        super().__init__()
        self.order = order
        self.attention = SourceAttention(attention, hidden, heads)
        self.cell = nn.GRUCell(embedding + (hidden if order == "bahdanau" else 0), hidden)
        self.join = nn.Linear(2 * hidden, hidden)
        self.head = nn.Linear(hidden, vocabulary)
        self.dropout = nn.Dropout(dropout)

    def begin(
        self, first: Float[Tensor, "B H"], features: Float[Tensor, "B S H"], mask: Bool[Tensor, "B S"]
    ) -> tuple[Tensor, ...]:
        """Return the state before the first token, whose units are given."""
        return first, self.attention.keys(features), features, mask

    def forward(
        self, embedded: Float[Tensor, "B E"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B K"], tuple[Tensor, ...], Float[Tensor, "B heads S"]]:
        """Return the scores after one more token, the state then, and where it attended."""
        hidden, *source = state
        if self.order == "bahdanau":
            context, shares = self.attention(hidden, *source)
            hidden = self.cell(torch.cat([embedded, context], 1), hidden)
        else:
            hidden = self.cell(embedded, hidden)
            context, shares = self.attention(hidden, *source)
        joined = self.dropout(self.join(torch.cat([hidden, context], 1)).tanh())
        return at_least_float32(self.head(joined)), (hidden, *source), shares
