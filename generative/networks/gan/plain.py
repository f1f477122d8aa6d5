"""Generators and critics of the GANs: strided convolutions for images, plain layers for points.

The image networks follow DCGAN (Radford et al. 2016, arXiv 1511.06434): every layer doubles or halves the image,
there is no pooling, the generator's output and the critic's input are not normalised. Weights are drawn for the size
of their inputs (He et al. 2015) instead of at one fixed deviation, so that narrow networks and those without
normalisation learn as well. Images are in [-1, 1] here.

A transposed convolution reaches the pixels of a doubled image by different weights of its kernel, in turns, which shows
as a checkerboard; resizing and then convolving has no such pattern (Odena, Dumoulin & Olah 2016, "Deconvolution and
Checkerboard Artifacts", Distill, doi 10.23915/distill.00003). What is resized has no more detail than before, so there
is a layer at the image's own size.
"""

import itertools
import math
from typing import Literal

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from generative.networks.residual import drawn

Norm = Literal["none", "batch", "instance", "layer", "group", "spectral"]
Upsampling = Literal["transposed", "nearest", "bilinear"]
SLOPE = 0.2
WIDEST = 8  # channels of the coarsest level, in multiples of the finest
LARGEST_GRID = 7
HIDDEN_LAYERS = 3


def coarse_grid(image_size: int) -> tuple[int, int]:
    """Return the side of the coarsest map and how often it is doubled: 64, 32 and 16 start at 4, 28 at 7.

    Raises:
        ValueError: halving the image size never comes to a side of 7 or less.
    """
    side, doublings = image_size, 0
    while side % 2 == 0 and (side > LARGEST_GRID or doublings == 0):
        side, doublings = side // 2, doublings + 1
    if not 2 <= side <= LARGEST_GRID or doublings == 0:
        raise ValueError(
            f"image_size={image_size}: is halved until 7 or fewer pixels are left; use 8, 16, 28, 32, 48 or 64"
        )
    return side, doublings


def image_generator(
    inputs: int, channels: int, image_size: int, width: int, norm: Norm, upsampling: Upsampling = "transposed"
) -> nn.Sequential:
    """Return (B inputs) -> images (B channels image_size image_size) in [-1, 1]."""
    side, doublings = coarse_grid(image_size)
    widths = _widths(width, doublings)[::-1]
    layers: list[nn.Module] = [nn.Linear(inputs, widths[0] * side**2), nn.Unflatten(1, (widths[0], side, side))]
    layers += [*_norm(norm, widths[0], image=True), nn.ReLU()]
    for before, after in itertools.pairwise(widths):
        # A normalisation over positions takes a bias off again.
        bias = norm not in ("batch", "instance")
        layers += _doubled(before, after, upsampling, bias)
        layers += [*_norm(norm, after, image=True), nn.ReLU()]
    last = widths[-1]
    if upsampling == "transposed":
        layers += [*_doubled(last, channels, upsampling), nn.Tanh()]
    else:
        layers += [*_doubled(last, last, upsampling), *_norm(norm, last, image=True), nn.ReLU()]
        layers += [nn.Conv2d(last, channels, kernel_size=3, padding=1), nn.Tanh()]
    return _drawn(layers, norm == "spectral")


def image_critic(
    channels: int, image_size: int, width: int, norm: Norm, dropout: float, spectral: bool
) -> nn.Sequential:
    """Return images (B channels image_size image_size) -> scores (B 1)."""
    side, doublings = coarse_grid(image_size)
    widths = _widths(width, doublings)
    layers: list[nn.Module] = []
    for level, (before, after) in enumerate(zip([channels, *widths], widths, strict=False)):
        bias = not level or norm not in ("batch", "instance")
        layers.append(nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1, bias=bias))
        layers += [*(_norm(norm, after, image=True) if level else []), nn.LeakyReLU(SLOPE)]
        layers += [nn.Dropout(dropout)] if dropout else []
    return _drawn([*layers, nn.Flatten(), nn.Linear(widths[-1] * side**2, 1)], spectral)


def patch_critic(channels: int, width: int, halvings: int) -> nn.Sequential:
    """Return images (B channels H W) -> scores of overlapping patches (B 1 h w).

    PatchGAN (Isola et al. 2017, arXiv 1611.07004, appendix 6.1) with instance norm. After 1, 2, 3 halvings a score sees
    16, 34, 70 pixels along a side.
    """
    layers: list[nn.Module] = [nn.Conv2d(channels, width, kernel_size=4, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
    widths = [width * min(2**level, WIDEST) for level in range(halvings + 1)]
    for level, (before, after) in enumerate(itertools.pairwise(widths), 1):
        stride = 2 if level < halvings else 1
        layers += [nn.Conv2d(before, after, kernel_size=4, stride=stride, padding=1)]
        layers += [nn.InstanceNorm2d(after), nn.LeakyReLU(SLOPE)]
    return drawn(nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, kernel_size=4, padding=1)))


def point_generator(inputs: int, dimensions: int, width: int, norm: Norm) -> nn.Sequential:
    """Return (B inputs) -> points (B dimensions) through three hidden layers."""
    layers: list[nn.Module] = []
    for before in (inputs, *[width] * (HIDDEN_LAYERS - 1)):
        layers += [nn.Linear(before, width), *_norm(norm, width, image=False), nn.ReLU()]
    return _drawn([*layers, nn.Linear(width, dimensions)], norm == "spectral")


def point_critic(dimensions: int, width: int, norm: Norm, dropout: float, spectral: bool) -> nn.Sequential:
    """Return points (B dimensions) -> scores (B 1) through three hidden layers."""
    layers: list[nn.Module] = []
    for level, before in enumerate((dimensions, *[width] * (HIDDEN_LAYERS - 1))):
        layers += [nn.Linear(before, width), *(_norm(norm, width, image=False) if level else [])]
        layers += [nn.LeakyReLU(SLOPE), *([nn.Dropout(dropout)] if dropout else [])]
    return _drawn([*layers, nn.Linear(width, 1)], spectral)


def _widths(width: int, levels: int) -> list[int]:
    """Channels from the finest level to the coarsest."""
    return [width * min(2**level, WIDEST) for level in range(levels)]


def _doubled(before: int, after: int, upsampling: Upsampling, bias: bool = True) -> list[nn.Module]:
    """Layers that double height and width."""
    if upsampling == "transposed":
        return [nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1, bias=bias)]
    return [nn.Upsample(scale_factor=2, mode=upsampling), nn.Conv2d(before, after, 3, padding=1, bias=bias)]


def _norm(norm: Norm, channels: int, image: bool) -> list[nn.Module]:
    if norm == "batch":
        return [nn.BatchNorm2d(channels) if image else nn.BatchNorm1d(channels)]
    if norm == "instance":
        return [nn.InstanceNorm2d(channels, affine=True)]
    if norm in ("layer", "group"):
        return [nn.GroupNorm(1 if norm == "layer" else math.gcd(8, channels), channels)]
    return []


@torch.no_grad()
def _drawn(layers: list[nn.Module], spectral: bool) -> nn.Sequential:
    """Draw the weights and, with `spectral`, divides every layer's by its largest singular value."""
    for place, layer in enumerate(layers):
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            inputs = layer.weight[0].numel()
            if isinstance(layer, nn.ConvTranspose2d):  # a pixel is reached by the kernel once per stride
                inputs = layer.in_channels * math.prod(layer.kernel_size) // math.prod(layer.stride)
            layer.weight.normal_(0.0, math.sqrt((1 if layer is layers[-1] else 2) / inputs))
            if layer.bias is not None:
                layer.bias.zero_()
            layers[place] = spectral_norm(layer) if spectral else layer
    return nn.Sequential(*layers)
