"""How far back a model of text uses what it has read: its loss by the length of the context.

The last token of every text is predicted from the 1, 2, 4, ... tokens before it (as Khandelwal et al. 2018, arXiv
1805.04623, who cut the context of an LSTM). The effective context is the shortest that comes near the longest.
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

NEAR = 0.01
"""Nats per token that count as no difference."""


@torch.no_grad()
def nats_by_context(
    log_prob: Callable[[Tensor], Float[Tensor, " N"]], texts: Int[Tensor, "N T"]
) -> Mapping[int, Float[Tensor, " N"]]:
    """Return the nats of the last token of each text, by how many tokens before it are read.

    Args:
        log_prob: of whole texts, in nats.
        texts: of two tokens or more.
    """
    lengths = [1 << power for power in range((texts.shape[1] - 1).bit_length()) if 1 << power < texts.shape[1] - 1]
    found = {}
    for length in (*lengths, texts.shape[1] - 1):
        read = texts[:, -length - 1 :]
        found[length] = log_prob(read[:, :-1]) - log_prob(read)
    return found


def effective_context(nats: Mapping[int, Float[Tensor, " N"]]) -> int:
    """Return the shortest context from which on, whatever the length, nats are near those of the longest."""
    longest = nats[max(nats)].double().mean()
    far = [length for length, each in nats.items() if each.double().mean() - longest >= NEAR]
    return min(length for length in nats if length > max(far, default=0))
