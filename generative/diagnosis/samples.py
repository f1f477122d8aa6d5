"""What features of samples show beside those of real data: collapse, copies, samples like nothing real."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from generative.diagnosis.failure import Failure
from generative.metrics.images.neighbours import coverage, precision

LEAST_REAL = 0.7
MEMORISED = 0.05


def mode_collapse(
    train: Float[Tensor, "N F"], held_out: Float[Tensor, "M F"], samples: Float[Tensor, "K F"]
) -> Failure | None:
    """Find samples that cover less than half of what held-out data cover, though they look real or all alike.

    Samples that are various but look like nothing real are bad, not collapsed, and get no verdict.
    """
    count = min(len(train), len(held_out), len(samples))  # sets of one size, or the larger one is never covered
    train, held_out, samples = (each[evenly(len(each), count)] for each in (train, held_out, samples))
    covered, expected = coverage(train, samples), coverage(train, held_out)
    if covered >= 0.5 * expected:
        return None
    real, real_expected = precision(train, samples), precision(train, held_out)
    variety = _variance(samples) / max(_variance(held_out), 1e-300)
    if real < 0.5 * real_expected and variety > 0.1:
        return None
    return Failure(
        "mode collapse",
        f"samples cover {covered:.0%} of the data, held-out data {expected:.0%} (limit: half of it); "
        f"precision {real:.0%}, variance {variety:.0%} of the data's",
    )


def unreal(
    train: Float[Tensor, "N F"], held_out: Float[Tensor, "M F"], samples: Float[Tensor, "K F"]
) -> Failure | None:
    """Find samples of which far fewer look real than of held-out data."""
    count = min(len(train), len(held_out), len(samples))
    train, held_out, samples = (each[evenly(len(each), count)] for each in (train, held_out, samples))
    real, expected = precision(train, samples), precision(train, held_out)
    if real >= LEAST_REAL * expected:
        return None
    return Failure(
        "unreal",
        f"{real:.0%} of the samples lie where real data do, of held-out data {expected:.0%} "
        f"(limit: {LEAST_REAL:.0%} of it)",
    )


def memorised(copied: float, expected: float) -> Failure | None:
    """Find samples of which 5 per cent more copy training data than held-out data happen to.

    Args:
        copied: share of the samples that are copies, see `copies`.
        expected: the same of held-out data.
    """
    if copied <= expected + MEMORISED:
        return None
    return Failure(
        "memorisation",
        f"{copied:.0%} of the samples copy a training item, of held-out data {expected:.0%} (limit: 5 points more)",
    )


def evenly(count: int, wanted: int) -> Int[Tensor, " W"]:
    """Return `wanted` places at even distances among `count`."""
    return torch.arange(wanted) * count // wanted


def _variance(features: Tensor) -> float:
    return features.double().var(0).sum().item()
