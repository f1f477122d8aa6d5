"""Distances between two sets of features: Frechet distance (FD) and kernel distance (KD).

FD takes both sets for Gaussians: `|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))` (Heusel et al. 2017, arXiv
1706.08500). It is biased: it falls as samples grow, so only figures of equal sample sizes compare. KD is the
unbiased squared maximum mean discrepancy under the cubic kernel `(x.y / F + 1)^3` (Binkowski et al. 2018,
arXiv 1801.01401), zero in expectation for equal distributions and therefore sometimes below zero.

The sums are torchmetrics', on features of our own, so none of its optional parts (torchvision, torch-fidelity)
is asked for. The published scores of similar name use one particular network that must be downloaded; ours are
named after their extractor, `FD[...]` and `KD[...]`, and never compare with those.
"""

import warnings

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from generative.core.options import ComponentError
from generative.features.checks import features64
from generative.hardware.device import seeded


class _AlreadyFeatures(nn.Module):
    """Stands where torchmetrics expects a network."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features  # torchmetrics reads this name

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet_distance(real: Float[Tensor, "N F"], fake: Float[Tensor, "M F"]) -> float:
    """Return the FD of two sets, 0 for equal means and covariances; in squared units of the features.

    Raises:
        ComponentError: a set has fewer than two rows or holds numbers that are not finite.
    """
    metric = FrechetInceptionDistance(feature=_AlreadyFeatures(real.shape[1])).set_dtype(torch.float64)
    metric.update(features64("real", real), real=True)
    metric.update(features64("fake", fake), real=False)
    return max(0.0, float(metric.compute()))  # rounding may leave a tiny negative number


def kernel_distance(
    real: Float[Tensor, "N F"], fake: Float[Tensor, "M F"], *, subset_size: int = 1000, subsets: int = 20, seed: int = 0
) -> float:
    """Return the mean KD of random subsets of equal size from both sets.

    Args:
        real: features.
        fake: features of the same extractor.
        subset_size: rows of a subset; a smaller set is taken whole.
        subsets: how many are averaged.
        seed: chooses the subsets.

    Raises:
        ComponentError: a set has fewer than two rows, a number is not finite, or a size is not positive.
    """
    if subset_size < 2 or subsets < 1:
        raise ComponentError(f"subset_size={subset_size}, subsets={subsets}: give at least 2 and 1")
    size = min(subset_size, len(real), len(fake))
    if size == len(real) == len(fake):
        subsets = 1  # all subsets would be the whole sets
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it announces that features stay in memory, where they are
        metric = KernelInceptionDistance(
            feature=_AlreadyFeatures(real.shape[1]), subsets=subsets, subset_size=max(2, size)
        )
    metric.update(features64("real", real), real=True)
    metric.update(features64("fake", fake), real=False)
    with seeded(seed, torch.device("cpu")):  # it draws subsets from the global stream
        return float(metric.compute()[0])
