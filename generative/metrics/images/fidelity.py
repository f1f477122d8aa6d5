"""How near reconstructions are to their originals, image by image: squared and absolute error, PSNR and SSIM."""

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from generative.core.options import ComponentError
from generative.features.checks import unit_images

BATCH = 128
"""Images that are compared at once: windows take some hundred times the memory of an image."""


def squared_error(original: Float[Tensor, "N C H W"], copy: Float[Tensor, "N C H W"]) -> float:
    """Return the mean squared error per value, images in [0, 1]; raise ComponentError for other ranges."""
    difference = unit_images("original", original).double() - unit_images("copy", copy).double()
    return difference.square().mean().item()


def absolute_error(original: Float[Tensor, "N C H W"], copy: Float[Tensor, "N C H W"]) -> float:
    """Return the mean absolute error per value, images in [0, 1]; raise ComponentError for other ranges."""
    return (unit_images("original", original).double() - unit_images("copy", copy).double()).abs().mean().item()


def psnr(original: Float[Tensor, "N C H W"], copy: Float[Tensor, "N C H W"]) -> float:
    """Return the peak signal-to-noise ratio `-10 log10(MSE)` in decibels, MSE over all images; inf if equal.

    One logarithm of the mean error, so that a single perfect image does not make the figure infinite.
    """
    error = torch.tensor(squared_error(original, copy), dtype=torch.float64)
    return (-10 * torch.log10(error)).item()


def ssim(original: Float[Tensor, "N C H W"], copy: Float[Tensor, "N C H W"], *, sigma: float = 1.5) -> float:
    """Return the mean structural similarity, 1 for equal images (Wang et al. 2004, with its Gaussian window).

    Args:
        original: images in [0, 1].
        copy: their reconstructions.
        sigma: spread of the window in pixels; 1.5 spans 11 pixels, 0.5 spans 5 for images of 8.

    Raises:
        ComponentError: the window does not fit into the images, or values lie outside [0, 1].
    """
    window = 2 * int(3.5 * sigma + 0.5) + 1
    if min(original.shape[2:]) < window:
        raise ComponentError(f"sigma={sigma}: the window spans {window} pixels of {min(original.shape[2:])}; lower it")
    pairs = zip(unit_images("original", original).split(BATCH), unit_images("copy", copy).split(BATCH), strict=True)
    return torch.cat([_similarities(*pair, sigma) for pair in pairs]).mean().item()


def _similarities(original: Float[Tensor, "N C H W"], copy: Float[Tensor, "N C H W"], sigma: float) -> Tensor:
    """Return the structural similarity (N) of each pair of images."""
    found = structural_similarity_index_measure(
        copy.double(), original.double(), sigma=sigma, data_range=1.0, reduction="none"
    )
    assert isinstance(found, Tensor)
    return found
