"""Figures that tell a working encoder from one that sees nothing."""

import torch
from jaxtyping import Float
from torch import Tensor

from generative.objectives.variational import squared_error

ACTIVE_VARIANCE = 0.01  # Burda et al. 2016 (arXiv 1509.00519): a unit whose mean varies less carries nothing
HEALTHY_SHARE = 0.05


def check_different(obs: Float[Tensor, "B C H W"]) -> None:
    """Raise a ValueError where there are no two different images."""
    if len(obs) < 2 or bool((obs == obs[:1]).all()):
        raise ValueError("obs: all images are the same; give at least two different ones")


def errors(
    obs: Float[Tensor, "B C H W"],
    decoded: Float[Tensor, "B C H W"],
    mean_frame: Float[Tensor, "C H W"] | None,
) -> dict[str, float]:
    """Return `squared_error`, `baseline_squared_error` (per image) and `explained`, 1 - their ratio.

    Args:
        obs: different images.
        decoded: what a model made of them.
        mean_frame: the best answer of one who sees nothing; the mean of `obs` by default.

    Raises:
        ValueError: all images equal the mean frame, so there is nothing to explain.
    """
    guess = obs.mean(0) if mean_frame is None else mean_frame.to(obs.device)
    baseline = squared_error(obs, guess.expand_as(obs)).item()
    if baseline == 0 or len(obs) < 2:
        raise ValueError("obs: all images are the same; give at least two different ones")
    error = squared_error(obs, decoded).item()
    return {"squared_error": error, "baseline_squared_error": baseline, "explained": 1 - error / baseline}


def active_units(z: Float[Tensor, "B Z"]) -> int:
    """Return how many dimensions of a latent vary over images."""
    return int((z.var(0) > ACTIVE_VARIANCE).sum())


def effective_dimensions(z: Float[Tensor, "B Z"]) -> float:
    """Return over how many independent directions the variance of latents is spread: their participation ratio.

    It is `(sum of eigenvalues)^2 / sum of squared eigenvalues` of the covariance, between 1 and Z; 0 for constants.
    """
    covariance = torch.atleast_2d(torch.cov(z.double().T))
    square = covariance.square().sum()
    return float(covariance.trace().square() / square) if square > 0 else 0.0


def verdict(explained: float, active: int, latent: int, remedy: str) -> tuple[str, str]:
    """Return "healthy" or "collapsed", and why.

    Args:
        explained: share of the images' variation that comes back.
        active: latent dimensions that depend on the image, of `latent`.
        latent: Z.
        remedy: what to do against a collapse.
    """
    if active == 0:
        return "collapsed", f"none of the {latent} latent dimensions depends on the image; {remedy}"
    if not explained >= HEALTHY_SHARE:
        return (
            "collapsed",
            f"the decoder explains {explained:.0%} of the variation, like the mean frame; {remedy}",
        )
    return (
        "healthy",
        f"{active} of {latent} latent dimensions are active, {explained:.0%} of the variation explained",
    )
