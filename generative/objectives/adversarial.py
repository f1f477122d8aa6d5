"""Adversarial losses and the means that keep a critic's slope in bounds, each a lever of its own.

Losses by name: `saturating` and `non-saturating` (Goodfellow et al. 2014, arXiv 1406.2661, eq. 1 and section 3),
`least-squares` (Mao et al. 2017, arXiv 1611.04076, with targets 0 and 1), `hinge` (Lim & Ye 2017, arXiv
1705.02894), `wasserstein` (Arjovsky et al. 2017, arXiv 1701.07875). Enforcement by name: `clip` (the same paper),
`gradient-penalty` (Gulrajani et al. 2017, arXiv 1704.00028, algorithm 1), `r1` (Mescheder et al. 2018, arXiv
1801.04406, eq. 9); `spectral-norm` (Miyato et al. 2018, arXiv 1802.05957) is part of a network's layers.

A critic's score is a plain number, larger for what it takes for real: there is no sigmoid in the networks.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu, softplus

GanLoss = Literal["non-saturating", "saturating", "least-squares", "hinge", "wasserstein"]
Lipschitz = Literal["none", "clip", "gradient-penalty", "spectral-norm", "r1"]
Score = Callable[[Tensor], Tensor]
"""Data (B ...) to scores (B), each row by itself."""


def critic_loss(
    kind: GanLoss, real: Float[Tensor, " B"], made: Float[Tensor, " B"], target: float | Float[Tensor, " B"] = 1.0
) -> Float[Tensor, ""]:
    """Return what a critic minimises, given its scores of real and of made data.

    Args:
        kind: the loss.
        real: scores of real data.
        made: scores of made data.
        target: probability that is asked for at real data, for the (non-)saturating losses only; below 1 it is
            one-sided label smoothing (Salimans et al. 2016, arXiv 1606.03498, section 3.4).
    """
    if kind == "wasserstein":
        return made.mean() - real.mean()
    if kind == "hinge":
        return relu(1 - real).mean() + relu(1 + made).mean()
    if kind == "least-squares":
        return 0.5 * ((real - 1).square().mean() + made.square().mean())
    return (softplus(real) - target * real).mean() + softplus(made).mean()  # cross-entropies with logits


def generator_loss(kind: GanLoss, made: Float[Tensor, " B"]) -> Float[Tensor, ""]:
    """Return what a generator minimises, given the critic's scores of what it made."""
    if kind in ("wasserstein", "hinge"):
        return -made.mean()
    if kind == "least-squares":
        return 0.5 * (made - 1).square().mean()
    return softplus(-made).mean() if kind == "non-saturating" else -softplus(made).mean()


@torch.no_grad()
def accuracy(real: Float[Tensor, " B"], made: Float[Tensor, " B"]) -> Float[Tensor, ""]:
    """Return in which share of pairs the real datum has the higher score; equal scores count half.

    Unlike a threshold it means the same for every loss: Wasserstein scores have no zero.
    """
    return ((real > made).float() + 0.5 * (real == made).float()).mean()


def mix(
    real: Float[Tensor, "B ..."], made: Float[Tensor, "B ..."], generator: torch.Generator
) -> Float[Tensor, "B ..."]:
    """Return a point on the line between each real and made datum, uniform along it and drawn for each pair."""
    share = torch.rand(len(real), generator=generator, device=generator.device).to(real)
    share = share.reshape(-1, *[1] * (real.ndim - 1))
    return share * real + (1 - share) * made


def slopes(score: Score, points: Float[Tensor, "B ..."], *, differentiable: bool = False) -> Float[Tensor, " B"]:
    """Return the norm of a score's gradient in its input, of each datum by itself.

    Args:
        score: the critic.
        points: where.
        differentiable: keep the graph, for penalties.
    """
    points = points.detach().requires_grad_(True)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(score(points).sum(), points, create_graph=differentiable)
    return gradient.flatten(1).square().sum(1).add(1e-12).sqrt()  # the root has no gradient at 0


def slope_of_descent(made: Float[Tensor, "B ..."], scores: Float[Tensor, " B"]) -> Float[Tensor, ""]:
    """Return a scalar that holds the mean slope of scores in what they are scores of, once a loss of them went back.

    It costs no gradient of its own: the loss's gradient is a datum's slope times its share, the gradient in its score.
    The scalar is NaN before, and 0 where the loss has no gradient.
    """
    slope, share = (torch.full((), torch.nan, device=made.device) for _ in range(2))

    def keep_share(gradient: Tensor) -> None:
        share.copy_(gradient.float().abs().mean().clamp(min=torch.finfo(torch.float32).tiny))

    def keep_slope(gradient: Tensor) -> None:
        slope.copy_((gradient.flatten(1).float() / share).norm(dim=1).mean())  # squares of tiny ones would be 0

    scores.register_hook(keep_share)
    made.register_hook(keep_slope)
    return slope


def gradient_penalty(
    score: Score, real: Float[Tensor, "B ..."], made: Float[Tensor, "B ..."], generator: torch.Generator
) -> Float[Tensor, ""]:
    """Return the mean squared distance from 1 of the slopes between real and made data."""
    return (slopes(score, mix(real, made, generator), differentiable=True) - 1).square().mean()


def r1_penalty(score: Score, real: Float[Tensor, "B ..."]) -> Float[Tensor, ""]:
    """Return half the mean squared slope at real data."""
    return 0.5 * slopes(score, real, differentiable=True).square().mean()


def orthogonal_penalty(weights: Iterable[Tensor]) -> Float[Tensor, ""]:
    """Return `sum |W^T W * (1 - I)|^2` over matrices, W with a column for each output (Brock et al. 2019, eq. 3).

    The diagonal is left out, so that the length of a filter is free. Vectors are no matrices and cost nothing.
    """
    total: Tensor | None = None
    for weight in weights:
        if weight.ndim < 2:
            continue
        filters = weight.flatten(1)
        products = filters @ filters.T
        apart = products.square().sum() - products.diagonal().square().sum()
        total = apart if total is None else total + apart
    if total is None:
        raise ValueError("weights: no matrix among them")
    return total


@torch.no_grad()
def clip_weights(module: nn.Module, limit: float) -> None:
    """Bring every trained parameter into [-limit, limit]."""
    for parameter in _trained(module):
        parameter.clamp_(-limit, limit)


@torch.no_grad()
def clip_saturation(module: nn.Module, limit: float) -> Float[Tensor, ""]:
    """Return the share of trained parameters that sit at a limit: near 1 the critic can only be a coarse one."""
    numbers = torch.cat([parameter.flatten() for parameter in _trained(module)])
    return (numbers.abs() >= limit * (1 - 1e-6)).float().mean()


def _trained(module: nn.Module) -> Iterable[nn.Parameter]:
    return (parameter for parameter in module.parameters() if parameter.requires_grad)
