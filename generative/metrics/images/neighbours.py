"""Figures from nearest neighbours: precision, recall, density, coverage, and copies of training images.

A set's manifold is the union of balls around its members that reach their k-th neighbour. Precision and recall
(Kynkaanniemi et al. 2019, arXiv 1904.06991) ask how much of one set lies on the other's manifold; density and
coverage (Naeem et al. 2020, arXiv 2002.09797, eq. 4 and 5) use the real manifold only, so an outlying sample
cannot inflate them. A model that copies its training images scores well on all four: `memorisation` sees that.
Memory and time of the four grow with the product of the set sizes; give at most some 5,000 rows. `memorisation`
takes the whole training set.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from generative.core.options import ComponentError
from generative.features.checks import features64

NEIGHBOURS = 5
NEAR_COPY = 0.2
"""A copy is nearer to a training row than this share of that row's distance to its own nearest one."""
PIECE = 4096
"""Training rows that are searched at once."""


def precision(real: Float[Tensor, "N F"], fake: Float[Tensor, "M F"], *, neighbours: int = NEIGHBOURS) -> float:
    """Return the share of fake rows on the real manifold: are the samples realistic?

    Raises:
        ComponentError: a set is not larger than `neighbours`, or a number is not finite.
    """
    inside = _inside(real, fake, neighbours)
    return inside.any(0).double().mean().item()


def recall(real: Float[Tensor, "N F"], fake: Float[Tensor, "M F"], *, neighbours: int = NEIGHBOURS) -> float:
    """Return the share of real rows on the fake manifold: does the model make everything there is?"""
    return precision(fake, real, neighbours=neighbours)


def density(real: Float[Tensor, "N F"], fake: Float[Tensor, "M F"], *, neighbours: int = NEIGHBOURS) -> float:
    """Return the mean number of real balls a fake row lies in, over k; 1 is expected of equal distributions."""
    inside = _inside(real, fake, neighbours)
    return inside.double().sum(0).mean().item() / neighbours


def coverage(real: Float[Tensor, "N F"], fake: Float[Tensor, "M F"], *, neighbours: int = NEIGHBOURS) -> float:
    """Return the share of real rows whose ball holds a fake row; `1 - 2^-k` is expected of equal distributions."""
    inside = _inside(real, fake, neighbours)
    return inside.any(1).double().mean().item()


def nearest_training(
    train: Float[Tensor, "N F"], samples: Float[Tensor, "M F"], *, itself: Int[Tensor, " M"] | None = None
) -> tuple[Float[Tensor, " M"], Int[Tensor, " M"]]:
    """Return each sample's distance to its nearest training row and that row's index, to look at them side by side.

    The whole training set is gone through in pieces, so memory does not grow with its size. A piece is searched by a
    matrix product; the distance to what was found is computed again, as rounding makes a row differ from itself.

    Args:
        train: features of training data.
        samples: features of other data.
        itself: number of the training row that each sample is, which does not count.
    """
    samples = features64("samples", samples, 1)
    if train.ndim != 2 or len(train) < (1 if itself is None else 2):
        raise ComponentError(f"train of shape {tuple(train.shape)}: too few rows to have a nearest one")
    centre = features64("train", train[:PIECE], 1).mean(0)  # far from the origin the product would lose its digits
    samples = samples - centre
    best = torch.full((len(samples),), torch.inf, dtype=torch.float64)
    index = torch.zeros(len(samples), dtype=torch.int64)
    for start in range(0, len(train), PIECE):
        piece = features64("train", train[start : start + PIECE], 1) - centre
        away = torch.cdist(samples, piece, compute_mode="use_mm_for_euclid_dist")
        if itself is not None:
            inside = ((itself >= start) & (itself < start + len(piece))).nonzero()[:, 0]
            away[inside, itself[inside] - start] = torch.inf
        where = away.argmin(1)
        exact = (samples - piece[where]).norm(dim=1)
        exact[away.gather(1, where[:, None])[:, 0].isinf()] = torch.inf  # a piece of that row alone
        nearer = exact < best
        best[nearer], index[nearer] = exact[nearer], where[nearer] + start
    return best, index


def copies(
    train: Float[Tensor, "N F"], samples: Float[Tensor, "M F"], *, ratio: float = NEAR_COPY
) -> Bool[Tensor, " M"]:
    """Return which samples are copies of a training row, exact or nearly so.

    A sample counts when its distance to the nearest training row is at most `ratio` of the distance at which
    that row has its own nearest neighbour in the training set; held-out data, the reference, hardly ever do.
    After the authenticity of Alaa et al. 2022 (arXiv 2102.08921), which has `ratio` 1. Give the whole training set:
    copies of what is left out cannot be seen.

    Raises:
        ComponentError: fewer than two training rows, `ratio` is not within (0, 1], or a number is not finite.
    """
    if not 0 < ratio <= 1:
        raise ComponentError(f"ratio={ratio}: give a number above 0 and up to 1; 0.2 finds near copies only")
    distance, index = nearest_training(train, samples)
    found, back = index.unique(return_inverse=True)
    own, _ = nearest_training(train, train[found], itself=found)
    return distance <= ratio * own[back]


def memorisation(train: Float[Tensor, "N F"], samples: Float[Tensor, "M F"], *, ratio: float = NEAR_COPY) -> float:
    """Return the share of samples that are `copies` of a training row."""
    return copies(train, samples, ratio=ratio).double().mean().item()


def _distances(a: Float[Tensor, "N F"], b: Float[Tensor, "M F"]) -> Float[Tensor, "N M"]:
    # Without the matrix-product shortcut, whose rounding makes a row differ from itself.
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _reach(features: Float[Tensor, "N F"], neighbours: int) -> Float[Tensor, " N"]:
    """Distance of each row to its k-th neighbour among the others."""
    return _distances(features, features).kthvalue(neighbours + 1, dim=1).values  # the first is the row itself


def _inside(real: Float[Tensor, "N F"], fake: Float[Tensor, "M F"], neighbours: int) -> Tensor:
    """Which fake rows lie in which real balls, as bool (N M)."""
    if neighbours < 1:
        raise ComponentError(f"neighbours={neighbours}: give 1 or more; 5 is usual")
    real, fake = features64("real", real, neighbours + 1), features64("fake", fake, 1)
    return _distances(real, fake) <= _reach(real, neighbours)[:, None]
