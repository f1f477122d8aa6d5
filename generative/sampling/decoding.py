"""Choosing one of K tokens from its scores: temperature, top-k and top-p.

Temperature divides the scores. Top-k keeps the k most probable tokens (Fan et al. 2018, arXiv 1805.04833). Top-p keeps
the smallest set of most probable tokens whose probabilities sum to p or more (nucleus, Holtzman et al. 2020, arXiv
1904.09751). They follow one another in this order; the rest is drawn from in proportion.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from generative.sampling.dials import check_temperature


@dataclass(frozen=True)
class Decoding:
    """How a token is chosen."""

    temperature: float = 1.0
    """Scores are divided by it: below 1 likelier tokens, above 1 more various ones, 0 always the likeliest."""
    top_k: int = 0
    """Draw from so many of the most probable tokens only; 0 from all."""
    top_p: float = 1.0
    """Draw from the fewest most probable tokens that have this probability together; 1 from all."""

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        if self.top_k < 0:
            raise ValueError(f"top_k={self.top_k}: must not be negative; 0 draws from all tokens")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p}: a probability above 0, at most 1; 1 draws from all tokens")


def shares(logits: Float[Tensor, "*B K"], decoding: Decoding) -> Float[Tensor, "*B K"]:
    """Return the probabilities that tokens are drawn with; they sum to 1.

    Of tokens that are equally probable at the border, top-k and top-p keep those of lower number.
    """
    logits = logits - logits.amax(-1, keepdim=True)  # so a tiny temperature gives -inf, not NaN
    if decoding.temperature == 0:
        return torch.zeros_like(logits).scatter_(-1, logits.argmax(-1, keepdim=True), 1.0)
    logits = logits / decoding.temperature
    if not decoding.top_k and decoding.top_p == 1:
        return logits.softmax(-1)
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    if 0 < decoding.top_k < logits.shape[-1]:
        ordered[..., decoding.top_k :] = -torch.inf
    kept = ordered.softmax(-1)
    before = kept.cumsum(-1) - kept  # what the more probable ones have together
    kept = kept.masked_fill(before >= decoding.top_p, 0.0)
    return torch.zeros_like(logits).scatter_(-1, order, kept / kept.sum(-1, keepdim=True))


def choose(logits: Float[Tensor, "*B K"], decoding: Decoding, generator: torch.Generator) -> Int[Tensor, "*B"]:
    """Return the numbers of tokens that are drawn from scores.

    As many random numbers are used whatever the dials. A token of probability 0 is never drawn.
    """
    uniform = torch.rand(logits.shape, generator=generator, device=generator.device, dtype=logits.dtype)
    gumbel = -(-uniform.to(logits.device).log()).log()  # the largest log-probability + Gumbel noise is a fair draw
    return (shares(logits, decoding).log() + gumbel).argmax(-1)
