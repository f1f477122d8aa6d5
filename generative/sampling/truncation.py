"""Latents from a normal distribution whose tails are cut off: more typical samples, less various ones.

Brock, Donahue & Simonyan 2019 (BigGAN, arXiv 1809.11096, section 3.1) draw values beyond a threshold again. Here the
same distribution comes from its quantiles, so that one draw is enough and moves evenly with the threshold.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST = 4.0
"""Threshold at which 6 draws in 100,000 are left out."""


@dataclass(frozen=True)
class TruncatedSampling:
    """How latents are drawn."""

    truncation: float = LARGEST
    """Largest magnitude of a latent's numbers: below 1 more typical, 0 always the middle, 4 nearly everything."""

    def __post_init__(self) -> None:
        if not 0 <= self.truncation <= LARGEST:
            raise ValueError(f"truncation={self.truncation}: give 0 to {LARGEST:g}")


def truncated_normal(shape: Sequence[int], threshold: float, generator: torch.Generator) -> Tensor:
    """Return draws from N(0, 1) given that their magnitude is at most `threshold`."""
    uniform = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
    share = math.erf(threshold / math.sqrt(2))  # of all draws within the threshold
    inside = share * (2 * uniform - 1)
    return (math.sqrt(2) * torch.erfinv(inside)).clamp(-threshold, threshold).float()
