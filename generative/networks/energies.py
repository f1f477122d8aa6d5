"""Networks from data to an energy, with swish and without any norm: smooth, so that their gradients lead somewhere.

That of images is the one of Foster's book (2nd ed., ch. 7): strided convolutions of 16, 32, 64 and 64 channels and a
hidden layer. Swish is `x sigmoid(x)` (Ramachandran, Zoph & Le 2017, arXiv 1710.05941), SiLU in torch.
"""

import itertools

from torch import nn

HIDDEN_LAYERS = 3


def image_energy(channels: int, image_size: int, width: int) -> nn.Sequential:
    """Return images (B channels image_size image_size) -> energies (B 1); the size is a multiple of 16."""
    widths = (channels, width, 2 * width, 4 * width, 4 * width)
    layers: list[nn.Module] = []
    for level, (before, after) in enumerate(itertools.pairwise(widths)):
        kernel = 3 if level else 5
        layers += [nn.Conv2d(before, after, kernel, stride=2, padding=kernel // 2), nn.SiLU()]
    inner = widths[-1] * (image_size // 16) ** 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inner, 4 * width), nn.SiLU(), nn.Linear(4 * width, 1))


def point_energy(dimensions: int, width: int) -> nn.Sequential:
    """Return points (B dimensions) -> energies (B 1)."""
    layers: list[nn.Module] = []
    for before in (dimensions, *[width] * (HIDDEN_LAYERS - 1)):
        layers += [nn.Linear(before, width), nn.SiLU()]
    return nn.Sequential(*layers, nn.Linear(width, 1))
