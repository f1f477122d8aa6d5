"""The best that colours alone can do: what a translator between two domains of images has to be better than.

A map of colours gives every pixel a new colour that depends on its old one and on nothing else. One is fitted as a
translator is, without pairs: both domains then have the same mean and covariance of colours. The others see pairs,
which no translator does, and are the stronger ones: the table is as good as any function of a pixel's colour.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

Images = Float[Tensor, "N C H W"]
ColourMap = Callable[[Images], Images]
FITTED = 500
"""Images of each domain that are enough to fit a map to."""
LEVELS = 32
"""Steps of each channel in the table."""
_LITTLE = 1e-6
"""Least variance of a colour, so that one that does not vary can be divided by."""


def matched_colours(first: Images, second: Float[Tensor, "M C h w"]) -> ColourMap:
    """Return the linear map of least change after which colours of the first images have the second's mean and spread.

    Pitie & Kokaram 2007, "The linear Monge-Kantorovitch colour mapping": for covariances S and T it is
    `S^(-1/2) (S^(1/2) T S^(1/2))^(1/2) S^(-1/2)`.
    """
    (mean, spread), (target, wanted) = (_moments(_colours(each)) for each in (first, second))
    root = _power(spread, 0.5)
    back = _power(spread, -0.5)
    return _Affine(back @ _power(root @ wanted @ root, 0.5) @ back, mean, target)


def fitted_colours(first: Images, second: Images) -> ColourMap:
    """Return the affine map of colours with the least squared error from the first images to their twins."""
    colours, wanted = _colours(first), _colours(second)
    (mean, spread), target = _moments(colours), wanted.mean(0)
    across = (colours - mean).T @ (wanted - target) / len(colours)
    return _Affine(torch.linalg.solve(spread, across).T, mean, target)


def tabled_colours(first: Images, second: Images) -> ColourMap:
    """Return the map from each colour to the mean colour of its twins; where it is new, that of `fitted_colours`."""
    channels = first.shape[1]
    otherwise = fitted_colours(first, second)
    places, wanted = _places(first), _colours(second)
    count = torch.bincount(places, minlength=LEVELS**channels)
    total = torch.zeros(LEVELS**channels, channels, dtype=torch.float64).index_add_(0, places, wanted)
    mean = total / count.clamp(min=1)[:, None]

    return _Table(mean, count > 0, otherwise)


@dataclass(frozen=True)
class _Affine:
    """`target + matrix (colour - mean)`."""

    matrix: Float[Tensor, "C C"]
    mean: Float[Tensor, " C"]
    target: Float[Tensor, " C"]

    def __call__(self, images: Images) -> Images:
        return _images(self.target + (_colours(images) - self.mean) @ self.matrix.T, images)


@dataclass(frozen=True)
class _Table:
    """A new colour for each old one that is known, and another map for all else."""

    mean: Float[Tensor, "L C"]
    known: Bool[Tensor, " L"]
    otherwise: ColourMap

    def __call__(self, images: Images) -> Images:
        found = _places(images)
        return _images(
            torch.where(self.known[found][:, None], self.mean[found], _colours(self.otherwise(images))), images
        )


def _colours(images: Images) -> Float[Tensor, "P C"]:
    return images.movedim(1, -1).flatten(0, -2).double()


def _images(colours: Float[Tensor, "P C"], like: Images) -> Images:
    count, channels, height, width = like.shape
    return colours.reshape(count, height, width, channels).movedim(-1, 1).clamp(0, 1).to(like.dtype)


def _places(images: Images) -> Int64[Tensor, " P"]:
    """Return the row of each pixel's colour in the table."""
    steps = (_colours(images) * LEVELS).long().clamp(0, LEVELS - 1)
    return (steps * LEVELS ** torch.arange(images.shape[1])).sum(1)


def _moments(colours: Float[Tensor, "P C"]) -> tuple[Float[Tensor, " C"], Float[Tensor, "C C"]]:
    mean = colours.mean(0)
    apart = colours - mean
    return mean, apart.T @ apart / len(colours) + _LITTLE * torch.eye(len(mean), dtype=torch.float64)


def _power(matrix: Float[Tensor, "C C"], power: float) -> Float[Tensor, "C C"]:
    """Return a power of a positive definite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=_LITTLE) ** power @ vectors.T
