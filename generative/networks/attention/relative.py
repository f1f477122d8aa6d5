"""A Transformer's block whose attention knows how far apart tokens are, by a vector for every distance.

Shaw et al. 2018 (arXiv 1803.02155) with the memory of Huang et al. 2018 (*Music Transformer*, arXiv 1809.04281, section
3.4): `softmax((Q K^T + S) / sqrt(D)) V` with `S_ij = q_i . e_(i-j)`. All products of queries and distances are one
matrix (T S), whose rows are then moved into place by padding and reshaping ("skewing"). So no tensor (T S D) is made.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from generative.networks.attention.transformer import TransformerBlock


def skewed(query: Tensor, distances: Tensor) -> Tensor:
    """Return what each query (B heads T D) says of each of S keys by its distance alone, (B heads T S).

    The queries are those of the last T keys. What stands behind a query's own place is of no meaning.

    Args:
        query: (B heads T D).
        distances: vectors (heads S D) of the distances 0, 1, ... S - 1.
    """
    steps, keys = query.shape[2], distances.shape[1]
    found = query @ distances.flip(1).transpose(1, 2)  # (B heads T S): the last column is of distance 0
    moved = functional.pad(found, (1, 0)).flatten(2)[..., steps:]
    return moved.unflatten(2, (steps, keys))


class RelativeBlock(TransformerBlock):
    """A block for at most `reach` tokens, with vectors of its own for the distances in each head."""

    def __init__(self, width: int, heads: int, reach: int, **options: Any) -> None:
        """Build the layers; further options are those of `TransformerBlock`."""
        super().__init__(width, heads, **options)
        self.distances = nn.Parameter(torch.randn(heads, reach, width // heads) * 0.02)

    def _attended(
        self, query: Tensor, keys: Tensor, values: Tensor, visible: Tensor | None, maps: list[Tensor] | None
    ) -> Tensor:
        parts = (query, keys, values)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)  # (B heads T D)
        steps, count = query.shape[2], key.shape[2]
        seen = torch.ones(steps, count, dtype=torch.bool, device=query.device).tril(count - steps)
        seen = seen if visible is None else visible
        scores = query @ key.transpose(2, 3) + skewed(query, self.distances[:, :count])
        shares = (scores / math.sqrt(query.shape[-1])).masked_fill(~seen, -torch.inf).softmax(-1)
        if maps is not None:
            maps.append(shares)
        return (shares @ value).transpose(1, 2).flatten(2)
