"""Invertible layers whose determinant costs nothing: affine couplings, activation norm, squeeze, several scales.

Dinh, Sohl-Dickstein & Bengio 2017 (RealNVP, arXiv 1605.08803). A coupling moves one part of its input by what a network
says of the other part, which stays: with a mask b (eq. 9)

    y = b x + (1 - b) (x exp(s(b x)) + t(b x)),        log |det dy/dx| = sum (1 - b) s(b x)                  (eq. 6)

Every layer here has `forward(x) -> (y, log-determinant (B))` and `inverse(y) -> x`. In place of the paper's batch
norm stands the activation norm of Glow (Kingma & Dhariwal 2018, arXiv 1807.03039, section 3.1): its numbers are set by
the first batch and learnt from then on, so a datum's density never depends on the others in its batch.
"""

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from generative.objectives.variational import at_least_float32

LEAST_SPREAD = 1e-3
"""A channel that hardly varies in the first batch is divided by this."""
SMALL = 0.1
"""Of a network's last layer, as a share of its usual size: a flow begins near the identity."""
DIAGONAL_FIRST = (0, 3, 1, 2)
"""Pixels of a square of 2 x 2 in the order of a squeeze: one colour of the checkerboard, then the other."""


class AffineCoupling(nn.Module):
    """Scales and shifts where a mask is 0, by what a network makes of where it is 1."""

    mask: Tensor

    def __init__(self, mask: Float[Tensor, "C ..."], network: nn.Module) -> None:
        """Take a mask that spreads over an item (C ...), and a network (B C ...) -> (B 2C ...)."""
        super().__init__()
        self.register_buffer("mask", mask, persistent=False)
        self.network = network
        self.reach = nn.Parameter(torch.ones(len(mask), *[1] * (mask.ndim - 1)))  # largest |s|, learnt (section 4.1)

    def forward(self, x: Float[Tensor, "B C ..."]) -> tuple[Float[Tensor, "B C ..."], Float[Tensor, " B"]]:
        """Return the moved input and the log-determinant."""
        s, t = self._terms(x)
        return x * s.exp() + t, s.flatten(1).sum(1)

    def inverse(self, y: Float[Tensor, "B C ..."]) -> Float[Tensor, "B C ..."]:
        """Return what was moved."""
        s, t = self._terms(y)
        return (y - t) * (-s).exp()

    def _terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return s and t, 0 where the mask is 1; what stays there is all they depend on."""
        s, t = at_least_float32(self.network(self.mask * x)).chunk(2, 1)
        moved = 1 - self.mask
        return moved * self.reach * s.tanh(), moved * t


class ActNorm(nn.Module):
    """Shifts and scales every channel, at first to mean 0 and deviation 1 over the first batch of a training."""

    known: Tensor

    def __init__(self, channels: int, dims: int) -> None:
        """Take the number of channels and of axes behind them: 0 for points, 2 for images."""
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels, *[1] * dims))
        self.log_scale = nn.Parameter(torch.zeros(channels, *[1] * dims))
        self.register_buffer("known", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Float[Tensor, "B C ..."]) -> tuple[Float[Tensor, "B C ..."], Float[Tensor, " B"]]:
        """Return the scaled input and the log-determinant; the first call while training looks at the batch."""
        if self.training:
            self._look(x.detach())
        log_det = self.log_scale.sum() * math.prod(x.shape[2:])
        return (x - self.shift) * self.log_scale.exp(), log_det.expand(len(x))

    def inverse(self, y: Float[Tensor, "B C ..."]) -> Float[Tensor, "B C ..."]:
        """Return what was scaled."""
        return y * (-self.log_scale).exp() + self.shift

    @torch.no_grad()
    def _look(self, x: Tensor) -> None:
        over, fresh = [0, *range(2, x.ndim)], self.known == 0
        mean = x.mean(over).view_as(self.shift)
        spread = x.var(over, correction=0).sqrt().clamp(min=LEAST_SPREAD).view_as(self.shift)
        self.shift.copy_(torch.where(fresh, mean, self.shift))
        self.log_scale.copy_(torch.where(fresh, -spread.log(), self.log_scale))
        self.known.fill_(1)


class Squeeze(nn.Module):
    """Makes 2 x 2 pixels of C channels one of 4C (section 3.6); see `DIAGONAL_FIRST`."""

    def forward(self, x: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B D h w"], Float[Tensor, " B"]]:
        """Return the smaller map; its log-determinant is 0."""
        parts = functional.pixel_unshuffle(x, 2).unflatten(1, (x.shape[1], 4))
        ordered = torch.stack([parts[:, :, place] for place in DIAGONAL_FIRST], 1)  # (B 4 C h w)
        return ordered.flatten(1, 2), x.new_zeros(len(x))

    def inverse(self, y: Float[Tensor, "B D h w"]) -> Float[Tensor, "B C H W"]:
        """Return the larger map."""
        parts = y.unflatten(1, (4, y.shape[1] // 4))
        back = torch.stack([parts[:, DIAGONAL_FIRST.index(place)] for place in range(4)], 2)  # (B C 4 h w)
        return functional.pixel_shuffle(back.flatten(1, 2), 2)


class Chain(nn.Module):
    """Invertible layers one after the other."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Float[Tensor, "B ..."]) -> tuple[Float[Tensor, "B ..."], Float[Tensor, " B"]]:
        """Return what comes out and the sum of the log-determinants."""
        total = x.new_zeros(len(x))
        for layer in self.layers:
            x, log_det = layer(x)
            total = total + log_det
        return x, total

    def inverse(self, y: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """Return what went in."""
        for layer in reversed(self.layers):
            y = cast(Callable[[Tensor], Tensor], layer.inverse)(y)
        return y


class MultiScale(nn.Module):
    """Levels of an image flow, after each of which half of the channels are done (section 3.6)."""

    def __init__(self, levels: Sequence[nn.Module], shapes: Sequence[tuple[int, int, int]]) -> None:
        """Take the levels and the shape (C H W) of what each gives, before half of it is let go."""
        super().__init__()
        self.levels, self.shapes = nn.ModuleList(levels), tuple(shapes)

    def forward(self, x: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, " B"]]:
        """Return the latents of all levels, the finest first, and the log-determinant."""
        total, done = x.new_zeros(len(x)), []
        for level in self.levels:
            x, log_det = level(x)
            total = total + log_det
            if level is not self.levels[-1]:
                x, finished = x.chunk(2, 1)
                done.append(finished.flatten(1))
        return torch.cat([*done, x.flatten(1)], 1), total

    def inverse(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B C H W"]:
        """Return the images of latents."""
        sizes = [math.prod(shape) // 2 for shape in self.shapes[:-1]]
        *done, last = z.split([*sizes, z.shape[1] - sum(sizes)], 1)
        x = last.unflatten(1, self.shapes[-1])
        for place, level in reversed(list(enumerate(self.levels))):
            if place < len(done):
                channels, *sides = self.shapes[place]
                x = torch.cat([x, done[place].unflatten(1, (channels // 2, *sides))], 1)
            x = cast(Callable[[Tensor], Tensor], level.inverse)(x)
        return x


def point_flow(dimensions: int, couplings: int, width: int, hidden: int) -> Chain:
    """Return points (B D) -> latents (B D): couplings that move the odd and the even numbers in turn."""
    layers: list[nn.Module] = []
    for turn in range(couplings):
        mask = (torch.arange(dimensions) + turn) % 2
        network: list[nn.Module] = [nn.Linear(dimensions, width), nn.ReLU()]
        for _ in range(hidden - 1):
            network += [nn.Linear(width, width), nn.ReLU()]
        network.append(_small(nn.Linear(width, 2 * dimensions)))
        layers += [ActNorm(dimensions, 0), AffineCoupling(mask.float(), nn.Sequential(*network))]
    return Chain([*layers, ActNorm(dimensions, 0)])


def image_flow(channels: int, image_size: int, scales: int, couplings: int, width: int, hidden: int) -> MultiScale:
    """Return images (B C H W) -> latents (B Z), Z = C H W.

    At each scale couplings by a checkerboard, a squeeze and couplings by channels; at the last one a checkerboard again
    (section 3.6, figure 4).
    """
    levels, shapes, size = [], [], image_size
    for scale in range(scales):
        rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        board = ((rows + columns) % 2)[None].expand(channels, -1, -1).float()
        layers = _turns(channels, board, couplings + (scale == scales - 1), width, hidden)
        if scale < scales - 1:
            # Of the squeezed channels those of the upper and of the lower pixels: no mask that the board had.
            rows_of_squares = (torch.arange(4 * channels) // channels % 2).float()[:, None, None]
            layers += [Squeeze(), *_turns(4 * channels, rows_of_squares, couplings, width, hidden)]
            channels, size = 4 * channels, size // 2
        levels.append(Chain(layers))
        shapes.append((channels, size, size))
        channels = channels // 2
    return MultiScale(levels, shapes)


def _turns(channels: int, mask: Float[Tensor, "C _ _"], couplings: int, width: int, hidden: int) -> list[nn.Module]:
    """Return couplings by a mask and its complement in turn, each after a norm."""
    layers: list[nn.Module] = []
    for turn in range(couplings):
        network = _Convolutions(channels, width, hidden)
        layers += [ActNorm(channels, 2), AffineCoupling((1 - mask if turn % 2 else mask).clone(), network)]
    return layers


class _Convolutions(nn.Module):
    """A residual network (B C H W) -> (B 2C H W), without any norm over a batch."""

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, kernel_size=3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.Conv2d(width, width, kernel_size=3, padding=1),
                nn.ReLU(),
                nn.Conv2d(width, width, kernel_size=1),
            )
            for _ in range(blocks)
        )
        self.last = nn.Sequential(nn.ReLU(), _small(nn.Conv2d(width, 2 * channels, kernel_size=3, padding=1)))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        """Return s and t, one after the other."""
        features = self.first(x)
        for block in self.blocks:
            features = features + block(features)
        return cast(Tensor, self.last(features))


@torch.no_grad()
def _small(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    layer.weight.mul_(SMALL)
    if layer.bias is not None:
        layer.bias.zero_()
    return layer
