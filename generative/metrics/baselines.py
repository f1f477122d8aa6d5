"""What costs nothing and is hard to beat: principal components, a Gaussian mixture in them, the nearest training image.

A model earns its training by being better than these with as many numbers for an image as it has itself. Per-pixel
noise, the baseline that everything beats, is only the last of them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from sklearn.covariance import LedoitWolf
from sklearn.mixture import GaussianMixture
from torch import Tensor

from generative.hardware.device import seeded

MIXTURE = 10
"""Gaussians of the mixture at most."""
ROWS_EACH = 40
"""Training images for each of them at least."""


@dataclass(frozen=True)
class Components:
    """Principal components of training images (Jolliffe 2002), by the randomised method of Halko et al. (2011)."""

    mean: Float[Tensor, " D"]
    directions: Float[Tensor, "Z D"]
    """Orthonormal rows."""
    codes: Float[Tensor, "N Z"]
    """Of the training images, centred."""
    shape: torch.Size
    """Of an image."""

    @classmethod
    def of(cls, train: Float[Tensor, "N C H W"], count: int, seed: int = 0) -> "Components":
        """Return as many components of training images, fewer where there are not so many images or numbers."""
        flat = train.flatten(1)
        count = max(1, min(count, len(flat) - 1, flat.shape[1] - 1))
        mean = flat.mean(0)
        with seeded(seed, torch.device("cpu")):
            _, _, directions = torch.svd_lowrank(flat - mean, q=min(count + 10, *flat.shape), niter=3)
        directions = directions[:, :count].T
        return cls(mean, directions, (flat - mean) @ directions.T, train.shape[1:])

    def encode(self, images: Float[Tensor, "M C H W"]) -> Float[Tensor, "M Z"]:
        """Return the components of other images."""
        return (images.flatten(1) - self.mean) @ self.directions.T

    def reconstruct(self, images: Float[Tensor, "M C H W"]) -> Float[Tensor, "M C H W"]:
        """Return images without what the components leave out."""
        return self._images(self.encode(images))

    def gaussian(self, count: int, seed: int) -> Float[Tensor, "N C H W"]:
        """Return images whose components are drawn from independent Gaussians."""
        generator = torch.Generator().manual_seed(seed)
        return self._images(torch.randn(count, len(self.directions), generator=generator) * self.codes.std(0))

    def mixture(self, count: int, seed: int) -> Float[Tensor, "N C H W"]:
        """Return images whose components are drawn from a mixture of full Gaussians, fitted to those of training."""
        kinds = max(1, min(MIXTURE, len(self.codes) // ROWS_EACH))
        codes = self.codes.double().numpy()
        small = 1e-3 * float(codes.var(0).mean()) + 1e-9
        model = GaussianMixture(kinds, reg_covar=small, max_iter=30, tol=1e-2, n_init=1, random_state=seed).fit(codes)
        return self._images(torch.from_numpy(model.sample(count)[0]).float())

    def _images(self, codes: Float[Tensor, "N Z"]) -> Float[Tensor, "N C H W"]:
        return (self.mean + codes @ self.directions).unflatten(1, self.shape).clamp(0, 1)


def independent_pixels(images: Float[Tensor, "N C H W"], count: int, seed: int) -> Float[Tensor, "M C H W"]:
    """Return images of which every number comes from another image: each right by itself, nothing fits together."""
    generator = torch.Generator().manual_seed(seed)
    flat = images.flatten(1)
    rows = torch.randint(len(flat), (count, flat.shape[1]), generator=generator)
    return flat.gather(0, rows).unflatten(1, images.shape[1:])


def gaussian_bits(train: Float[Tensor, "N D"], held_out: Float[Tensor, "M D"], seed: int) -> float:
    """Return the bits that one Gaussian needs for each number of held-out rows of levels 0, 1, 2, ...

    Uniform noise in [0, 1) makes levels continuous (Theis et al. 2016, arXiv 1511.01844, section 3.1), so this is a
    bound. The covariance is shrunk (Ledoit & Wolf 2004), as rows are often not many more than numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    rows, others = (each + torch.rand(each.shape, generator=generator, dtype=each.dtype) for each in (train, held_out))
    fitted = LedoitWolf().fit(rows.numpy())
    factor = torch.linalg.cholesky(torch.from_numpy(fitted.covariance_).to(rows))
    apart = torch.linalg.solve_triangular(factor, (others - rows.mean(0)).T, upper=False)
    numbers = rows.shape[1]
    nats = 0.5 * apart.square().sum(0).mean() + factor.diagonal().log().sum() + 0.5 * numbers * math.log(2 * math.pi)
    return float(nats) / (numbers * math.log(2))


def made_for_nothing(
    train: Float[Tensor, "N C H W"], latents: int, count: int, seed: int
) -> Mapping[str, Float[Tensor, "M C H W"]]:
    """Return sets of images that a model has to be better than, by name.

    Args:
        train: training images.
        latents: how many numbers the model has for an image.
        count: images of each set.
        seed: of what is drawn.
    """
    parts = Components.of(train, latents, seed)
    return {
        f"mixture in {len(parts.directions)} components": parts.mixture(count, seed),
        f"{len(parts.directions)} Gaussian components": parts.gaussian(count, seed),
        "independent pixels": independent_pixels(train, count, seed),
    }


def copied_for_nothing(
    train: Float[Tensor, "N C H W"], originals: Float[Tensor, "M C H W"], latents: int, seed: int
) -> Mapping[str, Float[Tensor, "M C H W"]]:
    """Return reconstructions that a model has to be better than: by components, by looking up, by the mean image."""
    parts = Components.of(train, latents, seed)
    # By a matrix product, for rounding does not matter here and pixels are many.
    away = torch.cdist(originals.flatten(1), train.flatten(1), compute_mode="use_mm_for_euclid_dist")
    return {
        f"{len(parts.directions)} principal components": parts.reconstruct(originals),
        "nearest training image": train[away.argmin(1)],
        "mean image": train.mean(0, keepdim=True).expand_as(originals),
    }
