"""What every metric asks of its inputs, and the one way to draw a subset."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from generative.core.options import ComponentError


def features64(name: str, features: Float[Tensor, "N F"], least: int = 2) -> Float[Tensor, "N F"]:
    """Return features in float64 on the CPU.

    Raises:
        ComponentError: fewer than `least` rows, no columns, or a number that is not finite.
    """
    if features.ndim != 2 or features.shape[1] < 1 or features.shape[0] < least:
        raise ComponentError(f"{name} of shape {tuple(features.shape)}: expected at least {least} rows of features")
    features = features.detach().to("cpu", torch.float64)
    if not torch.isfinite(features).all():
        raise ComponentError(f"{name}: holds NaN or infinity; check the samples, or stop training before it diverged")
    return features


def unit_images(name: str, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
    """Return images unchanged.

    Raises:
        ComponentError: there are none, or values lie outside [0, 1]; a figure of images in another range is
            silently wrong.
    """
    if images.ndim != 4 or len(images) < 1:
        raise ComponentError(f"{name} of shape {tuple(images.shape)}: expected images (N C H W)")
    low, high = float(images.min()), float(images.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise ComponentError(
            f"{name}: values from {low:.3g} to {high:.3g}; metrics take images in [0, 1], "
            "so map [-1, 1] by (x + 1) / 2 and clip what a model overshoots"
        )
    return images


def draw(rows: Tensor, count: int, seed: int) -> Tensor:
    """Return `count` rows without repetition, chosen by `seed` and in their old order; all rows if they are fewer."""
    if count >= len(rows):
        return rows
    chosen = np.random.default_rng(seed).choice(len(rows), count, replace=False)
    return rows[torch.from_numpy(np.sort(chosen)).to(rows.device)]
