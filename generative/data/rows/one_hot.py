"""Rows of categories as zeros and ones."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


def one_hot(rows: Int[Tensor, "N F"], categories: Sequence[int]) -> Float[Tensor, "N K"]:
    """Return rows as zeros and ones, a column for each value of each feature: as many differ as features do, twice."""
    parts = [functional.one_hot(column.long(), size) for column, size in zip(rows.T, categories, strict=True)]
    return torch.cat(parts, 1).float()
