"""How steep a function is: a lower bound from samples and an upper bound from weights, always both.

The Lipschitz constant of a critic is what Wasserstein losses constrain, by clipping, by a gradient penalty or by
spectral norm. It cannot be computed exactly; it lies between the steepest place found and the product of the
layers' norms (Szegedy et al. 2014, arXiv 1312.6199, section 4.3). The norm of a convolution is bounded soundly
through the Fourier transform of its kernel (after Sedghi et al. 2019, arXiv 1805.10408) on a grid that holds the
padded image, so that zero padding is covered, and strides by their polyphase parts.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.core.options import ComponentError


class LipschitzBounds(NamedTuple):
    """The constant lies in between."""

    lower: float
    """The steepest place found."""
    upper: float
    """No place can be steeper."""


def lipschitz_bounds(module: nn.Module, points: Float[Tensor, "N ..."], *, seed: int = 0) -> LipschitzBounds:
    """Return both bounds of a sequential module in evaluation mode; raise as the functions they come from."""
    lower = lipschitz_lower(module, points, seed=seed)
    return LipschitzBounds(lower, lipschitz_upper(module, tuple(points.shape[1:])))


def lipschitz_lower(
    function: Callable[[Tensor], Tensor], points: Float[Tensor, "N ..."], *, iterations: int = 20, seed: int = 0
) -> float:
    """Return the largest norm of the function's Jacobian found at the points, in the Euclidean norm.

    The Jacobian's norm comes from power iteration on `J^T J`; for one output it is the gradient's norm. Every
    iterate is a valid lower bound, so stopping early is safe.

    Args:
        function: inputs (N ...) to outputs (N ...), each row by itself; a module is put into evaluation mode
            meanwhile.
        points: where to look: real, generated, or mixed inputs.
        iterations: of the power method.
        seed: draws the first directions.

    Raises:
        ComponentError: no points or iterations, or a result that is not finite.
    """
    if len(points) < 1 or iterations < 1:
        raise ComponentError(f"points: {len(points)}, iterations: {iterations}; give at least 1 of both")
    training = isinstance(function, nn.Module) and function.training
    if isinstance(function, nn.Module):
        function.eval()
    try:
        norms = _jacobian_norms(function, points, iterations, seed)
    finally:
        if training and isinstance(function, nn.Module):
            function.train()
    if not torch.isfinite(norms).all():
        raise ComponentError("function: its gradient is not finite at a point; training has diverged")
    return norms.max().item()


def slope(function: Callable[[Tensor], Tensor], a: Float[Tensor, "N ..."], b: Float[Tensor, "N ..."]) -> float:
    """Return the steepest slope `|f(a) - f(b)| / |a - b|` over pairs of rows, also a lower bound.

    Raises:
        ComponentError: every pair consists of equal points.
    """
    with torch.no_grad():
        rise = (function(a) - function(b)).flatten(1).double().norm(dim=1)
    run = (a - b).flatten(1).double().norm(dim=1)
    if not (run > 0).any():
        raise ComponentError("a, b: every pair consists of equal points, so there is no slope; pair different ones")
    return (rise[run > 0] / run[run > 0]).max().item()


@torch.no_grad()
def lipschitz_upper(module: nn.Module, shape: Sequence[int]) -> float:
    """Return the product of upper bounds of all layers' norms, in evaluation mode.

    Args:
        module: nested `nn.Sequential` of linear and convolution layers, batch norm, pooling, dropout and
            activations.
        shape: of one input, such as (3, 64, 64); bounds of convolutions depend on it.

    Raises:
        ComponentError: a layer for which no sound bound is known.
    """
    training = module.training
    module.eval()
    try:
        return _sequential_norm(module, torch.zeros(1, *shape, device=_device(module)))[0]
    finally:
        module.train(training)


def _device(module: nn.Module) -> torch.device:
    return next((each.device for each in module.parameters()), torch.device("cpu"))


def _jacobian_norms(
    function: Callable[[Tensor], Tensor], points: Tensor, iterations: int, seed: int
) -> Float[Tensor, " N"]:
    """Largest singular value of each row's Jacobian, from below."""
    direction = torch.randn(points.shape, generator=torch.Generator().manual_seed(seed)).to(points)
    with torch.enable_grad():
        inputs = points.detach().requires_grad_(True)
        outputs = function(inputs)
        probe = torch.zeros_like(outputs, requires_grad=True)
        # The gradient is linear in `probe`, so its own gradient gives products with J instead of J^T.
        backward = torch.autograd.grad(outputs, inputs, probe, create_graph=True)[0]
        norms = torch.zeros(len(points), dtype=points.dtype, device=points.device)
        for _ in range(iterations):
            direction = _unit(direction)
            forward = torch.autograd.grad(backward, probe, direction, retain_graph=True)[0]
            norms = torch.maximum(norms, forward.flatten(1).norm(dim=1))
            direction = torch.autograd.grad(outputs, inputs, forward, retain_graph=True)[0]
    return norms.detach()


def _unit(rows: Tensor) -> Tensor:
    length = rows.flatten(1).norm(dim=1).clamp(min=torch.finfo(rows.dtype).tiny)
    return rows / length.reshape(-1, *[1] * (rows.ndim - 1))


def _sequential_norm(module: nn.Module, sample: Tensor) -> tuple[float, Tensor]:
    """Bound of a module, and what it makes of one input."""
    if not isinstance(module, nn.Sequential):
        after = module(sample)
        return _layer_norm(module, sample, after), after
    bound = 1.0
    for layer in module:
        norm, sample = _sequential_norm(layer, sample)
        bound *= norm
    return bound, sample


def _layer_norm(layer: nn.Module, before: Tensor, after: Tensor) -> float:
    if isinstance(layer, nn.Linear):
        return torch.linalg.matrix_norm(layer.weight.double(), 2).item()
    if isinstance(layer, nn.Conv2d):
        return _convolution_norm(layer, before.shape[2:])
    if isinstance(layer, nn.ConvTranspose2d):  # the adjoint of the convolution that leads back, so of equal norm
        return _convolution_norm(layer, after.shape[2:])
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.running_var is not None:
        gain = 1.0 if layer.weight is None else layer.weight.double().abs()
        return (gain / (layer.running_var.double() + layer.eps).sqrt()).max().item()
    if isinstance(layer, nn.Sigmoid):
        return 0.25
    if isinstance(layer, nn.LeakyReLU):
        return max(1.0, abs(layer.negative_slope))
    pooled = isinstance(layer, nn.MaxPool2d) and layer.kernel_size == layer.stride and layer.padding == 0
    if pooled or isinstance(
        layer, nn.ReLU | nn.Tanh | nn.Softplus | nn.Identity | nn.Flatten | nn.Unflatten | nn.Dropout | nn.Dropout2d
    ):
        return 1.0
    raise ComponentError(
        f"{type(layer).__name__}: no sound bound is known of this layer; give the parts that are nn.Sequential of "
        "linear, convolution, batch norm, dropout and activation layers, or use the lower bound alone"
    )


def _convolution_norm(layer: nn.Conv2d | nn.ConvTranspose2d, size: Sequence[int]) -> float:
    """Largest singular value of the kernel's transform over a grid of the padded image's size.

    There the circular convolution agrees with the linear one wherever that has an output, so its norm is a bound.
    A stride of s is taken apart: s x s neighbouring pixels become channels, and a kernel of k pixels one of k / s
    such blocks with stride 1.
    """
    if layer.groups != 1 or tuple(layer.dilation) != (1, 1) or layer.padding_mode != "zeros":
        raise ComponentError(
            f"{layer}: bounds are known for groups=1, dilation=1 and zero padding; use the lower bound alone"
        )
    kernel = layer.weight.double()  # (O C k k); of a transposed one, O is its input
    (s, t), (h, w) = layer.stride, kernel.shape[2:]
    kernel = nn.functional.pad(kernel, (0, -w % t, 0, -h % s))
    blocks = kernel.unflatten(3, (-1, t)).unflatten(2, (-1, s))  # (O C h s w t)
    blocks = blocks.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)  # (O C*s*t h w)
    if isinstance(layer.padding, str):
        raise ComponentError(f"padding={layer.padding!r}: give it as a number")
    grid = [math.ceil((pixels + 2 * pad) / step) for pixels, pad, step in zip(size, layer.padding, (s, t), strict=True)]
    transform = torch.fft.rfft2(blocks, s=grid).permute(2, 3, 0, 1)  # (H W O C), the other half is conjugate
    return torch.linalg.matrix_norm(transform, 2).max().item()
