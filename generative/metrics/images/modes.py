"""How many different things a model makes: differing bins, modes of a known mixture, pairs of values, Vendi score."""

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.cluster import KMeans
from torch import Tensor

from generative.core.options import ComponentError
from generative.features.checks import features64


def different_bins(
    real: Float[Tensor, "N F"],
    fake: Float[Tensor, "M F"],
    *,
    bins: int | None = None,
    deviations: float = 1.96,
    seed: int = 0,
) -> float:
    """Return the share of bins that hold significantly more or fewer fake than real rows (NDB / K).

    Bins are the cells of k-means on the real rows; a bin differs when the z-score of two proportions exceeds
    `deviations` (Richardson & Weiss 2018, arXiv 1805.12462, section 3). About 0.05 for equal distributions.

    Args:
        real: features.
        fake: features of the same extractor.
        bins: K; by default the square root of N, so that a bin holds about as many rows as there are bins.
        deviations: 1.96 is the 5 per cent level.
        seed: starts k-means.

    Raises:
        ComponentError: fewer real rows than bins, or a number is not finite.
    """
    real, fake = features64("real", real), features64("fake", fake, 1)
    count = math.isqrt(len(real)) if bins is None else bins
    if not 2 <= count <= len(real):
        raise ComponentError(f"bins={count} for {len(real)} real rows: give at least 2 and at most one per row")
    cells = KMeans(count, n_init=1, random_state=seed).fit(real.numpy())
    inside_real = np.bincount(cells.labels_, minlength=count)
    inside_fake = np.bincount(cells.predict(fake.numpy()), minlength=count)
    pooled = (inside_real + inside_fake) / (len(real) + len(fake))
    error = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-300) * (1 / len(real) + 1 / len(fake)))
    score = np.abs(inside_real / len(real) - inside_fake / len(fake)) / error
    return float((score > deviations).mean())


def modes_covered(points: Float[Tensor, "N D"], centres: Float[Tensor, "K D"], *, radius: float) -> int:
    """Return how many of the known centres have a point within `radius`, three standard deviations as a rule."""
    return int(torch.cdist(centres.double(), features64("points", points, 1)).le(radius).any(1).sum())


def high_quality_share(points: Float[Tensor, "N D"], centres: Float[Tensor, "K D"], *, radius: float) -> float:
    """Return the share of points within `radius` of a known centre.

    It rises while modes are lost; never show it without `modes_covered`.
    """
    near = torch.cdist(centres.double(), features64("points", points, 1)).le(radius)
    return near.any(0).double().mean().item()


def pair_distance(real: Int[Tensor, "N F"], fake: Int[Tensor, "M F"], categories: Sequence[int]) -> float:
    """Return how differently values of two features go together: total variation, the mean over pairs of features.

    Half the sum of absolute differences of both relative frequencies of each pair of values: 0 where equal, at most 1.
    Rows that are right feature by feature, but made up of different rows, are as far off as the features depend on
    each other. Few rows differ by chance, so compare it with that of as many real rows.

    Args:
        real: rows of integers.
        fake: rows of the same features.
        categories: how many values each feature has.

    Raises:
        ComponentError: fewer than two features, no rows, or a value that its feature does not have.
    """
    if len(categories) < 2:
        raise ComponentError(f"categories={tuple(categories)}: give at least two features to go together")
    first, second = (_joint(name, rows, categories) for name, rows in (("real", real), ("fake", fake)))
    pairs = zip(first, second, strict=True)
    return float(np.mean([(a - b).abs().sum().item() / 2 for a, b in pairs]))


def vendi_of_samples(real: Float[Tensor, "N F"], fake: Float[Tensor, "M F"]) -> float:
    """Return the Vendi score of fake rows; real ones are there to be asked the same way as by other metrics."""
    return vendi_score(fake)


def _joint(name: str, rows: Int[Tensor, "N F"], categories: Sequence[int]) -> Iterator[Float[Tensor, " P"]]:
    """Yield the relative frequencies of the pairs of values of every two features."""
    fits = rows.ndim == 2 and rows.shape[1] == len(categories) and len(rows) > 0
    if not fits or rows.min() < 0 or (rows >= torch.tensor(categories)).any():
        raise ComponentError(f"{name}: give rows of integers (N {len(categories)}), each below {tuple(categories)}")
    for a, b in itertools.combinations(range(len(categories)), 2):
        counts = torch.bincount(rows[:, a] * categories[b] + rows[:, b], minlength=categories[a] * categories[b])
        yield counts.double() / len(rows)


def vendi_score(features: Float[Tensor, "N F"]) -> float:
    """Return the effective number of different rows, between 1 (all alike) and N (all orthogonal).

    The exponential of the entropy of the eigenvalues of `X X^T / N` with rows of unit length, that is of
    cosine similarities (Friedman & Dieng 2023, arXiv 2210.02410, eq. 2). At most F, so compare it only with
    that of real data under the same extractor.

    Raises:
        ComponentError: a row is zero and so has no direction, or a number is not finite.
    """
    rows = features64("features", features, 1)
    length = rows.norm(dim=1, keepdim=True)
    if (length == 0).any():
        raise ComponentError("features: a row is all zero, which has no direction; use another extractor")
    rows = rows / length
    # The smaller of both products has the same eigenvalues above zero.
    product = rows.T @ rows if rows.shape[1] < rows.shape[0] else rows @ rows.T
    values = torch.linalg.eigvalsh(product / len(rows)).clamp(min=0)
    return torch.special.entr(values).sum().exp().item()
