"""What the losses of the variational autoencoders are made of, and their one knob in its two notations.

Here, as in Ha & Schmidhuber 2018, a loss is `sum over pixels (x - x')^2 + beta * KL`, the KL summed over
latent dimensions. Foster's book (Generative Deep Learning, 1st ed., ch. 3) weighs the other term:
`r_loss_factor * mean over pixels (x - x')^2 + KL`. With n numbers in an image the mean is the sum / n, so the
book's loss is `r_loss_factor / n` times ours with `beta = n / r_loss_factor`: the same minimum, and a *large*
`r_loss_factor` is a *small* beta. (For a Gaussian likelihood of unit variance, which has half the squared
error, the weight of the KL in nats is half this beta.)
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

LOG_VARIANCE_RANGE = (-14.0, 10.0)  # standard deviations from 0.0009 to 148: exp cannot overflow


def beta_from_r_loss_factor(r_loss_factor: float, numbers: int) -> float:
    """Return the beta of the book's `r_loss_factor` for images of `numbers` numbers (C * H * W).

    Raises:
        ValueError: one of the two is not above 0.
    """
    _check_positive(r_loss_factor=r_loss_factor, numbers=numbers)
    return numbers / r_loss_factor


def r_loss_factor_from_beta(beta: float, numbers: int) -> float:
    """Return the book's `r_loss_factor` of a beta for images of `numbers` numbers (C * H * W).

    Raises:
        ValueError: one of the two is not above 0; beta=0 has no counterpart.
    """
    _check_positive(beta=beta, numbers=numbers)
    return numbers / beta


def _check_positive(**values: float | int) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name}={value}: must be above 0")


def one_of(chosen: Int[Tensor, "*S"], count: int) -> Bool[Tensor, "*S K"]:
    """Return which of `count` things were chosen; unlike torch's `one_hot` it does not look at the numbers first."""
    return chosen.unsqueeze(-1) == torch.arange(count, device=chosen.device)


def at_least_float32(values: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """Return what a network in half precision gave in a type fit for sums and losses."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def squared_error(obs: Float[Tensor, "B C H W"], decoded: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
    """Return the squared error per image: summed over its numbers, averaged over images."""
    return (obs - decoded).square().sum((1, 2, 3)).mean()


def edge_error(obs: Float[Tensor, "B C H W"], decoded: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
    """Return the squared error per image of the differences between neighbouring pixels, across and down.

    The gradient difference loss of Mathieu et al. 2016 (arXiv 1511.05440, eq. 6), squared and with signs: beside
    `squared_error` it is the likelihood of a Gaussian whose errors vary smoothly over the image.
    """
    error = obs - decoded
    return sum(error.diff(dim=side).square().sum((1, 2, 3)).mean() for side in (2, 3))  # type: ignore[return-value]


def gaussian_kl(mean: Float[Tensor, "B Z"], log_variance: Float[Tensor, "B Z"]) -> Float[Tensor, "B Z"]:
    """KL divergence in nats of N(mean, exp(log_variance)) from N(0, 1), per dimension."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def kl_cost(kl: Float[Tensor, "B Z"], kl_floor: float) -> Float[Tensor, ""]:
    """Return what the KL costs per image, with some of it free.

    Args:
        kl: nats per image and dimension.
        kl_floor: nats of an image below which its KL costs nothing more (Ha & Schmidhuber 2018).
    """
    return kl.sum(1).clamp(min=kl_floor).mean()
