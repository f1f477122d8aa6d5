"""Networks that look at noisy data and know the time, that is how noisy: a U-Net for images, a residual net for points.

The U-Net is that of Ho, Jain & Abbeel 2020 (DDPM, arXiv 2006.11239, appendix B): residual blocks with group norm, each
told the time, attention on small maps, skips from every block of the way down to its like on the way up. All of
them take `(x, t, labels)`; a label of `classes` means "not told", and without classes labels are not looked at. A U-Net
may be told numbers in place of a label, such as actions, and be shown other images beside the noisy one.
"""

import math
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

FREQUENCIES = 32
"""Sine and cosine waves that a time becomes."""
HIGHEST = 100.0
"""Turns of the fastest wave from time 0 to 1; DDPM's has 159."""
GROUP = 8
"""Channels that are normalised together, at least."""
SMALL = 0.1
"""Of the last layer of a block, as a share of its usual size: a block begins as nearly nothing."""


Labels = Int[Tensor, " B"] | Float[Tensor, "B N"]
"""The class of each image, or N numbers."""


def waves(t: Float[Tensor, " B"]) -> Float[Tensor, "B F"]:
    """Return times from 0 to 1 as sines and cosines of frequencies from 1 to `HIGHEST` (Vaswani et al. 2017)."""
    powers = torch.linspace(0, math.log(HIGHEST), FREQUENCIES // 2, device=t.device, dtype=t.dtype)
    angles = 2 * math.pi * t[:, None] * powers.exp()
    return torch.cat([angles.sin(), angles.cos()], 1)


class Told(nn.Module):
    """The time, and the class or numbers if there are any, as one vector."""

    def __init__(self, size: int, classes: int, numbers: int = 0) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(FREQUENCIES, size), nn.SiLU(), nn.Linear(size, size))
        self.label: nn.Module | None = nn.Embedding(classes + 1, size) if classes else None
        if numbers:
            self.label = nn.Linear(numbers, size)

    def forward(self, t: Float[Tensor, " B"], labels: Labels) -> Float[Tensor, "B E"]:
        """Return what is known besides the data."""
        told = cast(Tensor, self.time(waves(t)))
        return functional.silu(told if self.label is None else told + self.label(labels))


class TimeBlock(nn.Module):
    """Two convolutions, or linear layers, that are told the time; their result is added to what came in."""

    def __init__(self, inputs: int, outputs: int, told: int, image: bool) -> None:
        super().__init__()

        def layer(before: int) -> nn.Module:
            return nn.Conv2d(before, outputs, kernel_size=3, padding=1) if image else nn.Linear(before, outputs)

        self.first = nn.Sequential(_norm(inputs), nn.SiLU(), layer(inputs))
        self.scale_and_shift = nn.Linear(told, 2 * outputs)
        self.norm = _norm(outputs)
        self.second = nn.Sequential(nn.SiLU(), small(layer(outputs)))
        self.skip: nn.Module = nn.Identity()
        if inputs != outputs:
            self.skip = nn.Conv2d(inputs, outputs, kernel_size=1) if image else nn.Linear(inputs, outputs)

    def forward(self, x: Float[Tensor, "B C ..."], told: Float[Tensor, "B E"]) -> Float[Tensor, "B D ..."]:
        """Return the features, changed."""
        features = self.norm(self.first(x))
        scale, shift = self.scale_and_shift(told).view(len(x), -1, *[1] * (x.ndim - 2)).chunk(2, 1)
        return cast(Tensor, self.skip(x) + self.second(features * (1 + scale) + shift))


class MapAttention(nn.Module):
    """Every position of a map looks at all others; the result is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.looks = nn.Conv2d(channels, 3 * channels, kernel_size=1)
        self.change = small(nn.Conv2d(channels, channels, kernel_size=1))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return the map, changed."""
        queries, keys, values = self.looks(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, 2)  # (B HW C) each
        found = functional.scaled_dot_product_attention(queries, keys, values)
        return cast(Tensor, x + self.change(found.transpose(1, 2).reshape(x.shape)))


class TimeUNet(nn.Module):
    """Images (B C H W), times and labels to what is said of them (B C H W)."""

    def __init__(
        self,
        channels: int,
        image_size: int,
        widths: tuple[int, ...],
        blocks: int,
        attention: int,
        classes: int,
        beside: int = 0,
        numbers: int = 0,
    ) -> None:
        """Build it.

        Args:
            channels: of the images.
            image_size: their side.
            widths: channels of the maps of each size, the image's own first; each next one is half as wide.
            blocks: residual blocks for each size, on the way down and on the way up.
            attention: maps of at most this side attend to themselves.
            classes: 0 for none.
            beside: channels of clean images that are seen behind the noisy ones.
            numbers: N, how many are told of each image in place of a class.
        """
        super().__init__()
        size = 4 * widths[0]
        self.told = Told(size, classes, numbers)
        self.first = nn.Conv2d(channels + beside, widths[0], kernel_size=3, padding=1)

        def stage(inputs: int, outputs: int, side: int) -> nn.ModuleList:
            look = MapAttention(outputs) if side <= attention else nn.Identity()
            return nn.ModuleList([TimeBlock(inputs, outputs, size, image=True), look])

        sides = [image_size // 2**level for level in range(len(widths))]
        self.down, self.up, now, skips = nn.ModuleList(), nn.ModuleList(), widths[0], [widths[0]]
        for width, side in zip(widths, sides, strict=True):
            self.down.append(nn.ModuleList(stage(now if each == 0 else width, width, side) for each in range(blocks)))
            skips += [width] * blocks
            now = width
        self.middle = stage(now, now, sides[-1])
        for width, side in reversed(list(zip(widths, sides, strict=True))):
            level = nn.ModuleList()
            for _ in range(blocks):
                level.append(stage(now + skips.pop(), width, side))
                now = width
            self.up.append(level)
        self.last = nn.Sequential(
            _norm(now + skips.pop()), nn.SiLU(), small(nn.Conv2d(now + widths[0], channels, kernel_size=3, padding=1))
        )

    def forward(self, x: Float[Tensor, "B _ H W"], t: Float[Tensor, " B"], labels: Labels) -> Float[Tensor, "B C H W"]:
        """Return what is said of images at times under labels; clean images follow the noisy ones' channels."""
        told, x = self.told(t, labels), self.first(x)
        first, skips = x, []
        for number, level in enumerate(self.down):
            if number:
                x = functional.avg_pool2d(x, 2)
            for stage in cast(nn.ModuleList, level):
                x = _through(stage, x, told)
                skips.append(x)
        x = _through(self.middle, x, told)
        for number, level in enumerate(self.up):
            if number:
                x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            for stage in cast(nn.ModuleList, level):
                x = _through(stage, torch.cat([x, skips.pop()], 1), told)
        return cast(Tensor, self.last(torch.cat([x, first], 1)))


class TimePoints(nn.Module):
    """Points (B D), times and labels to what is said of them (B D)."""

    def __init__(self, dimensions: int, width: int, blocks: int, classes: int) -> None:
        super().__init__()
        self.told = Told(width, classes)
        self.first = nn.Linear(dimensions, width)
        self.blocks = nn.ModuleList(TimeBlock(width, width, width, image=False) for _ in range(blocks))
        self.last = nn.Sequential(nn.SiLU(), small(nn.Linear(width, dimensions)))

    def forward(
        self, x: Float[Tensor, "B D"], t: Float[Tensor, " B"], labels: Int[Tensor, " B"]
    ) -> Float[Tensor, "B D"]:
        """Return what is said of points at times under labels."""
        told, x = self.told(t, labels), self.first(x)
        for block in self.blocks:
            x = block(x, told)
        return cast(Tensor, self.last(x))


@torch.no_grad()
def small(layer: nn.Module) -> nn.Module:
    """Shrink the weights of a layer to `SMALL` of their size, the bias to 0."""
    cast(Tensor, layer.weight).mul_(SMALL)
    cast(Tensor, layer.bias).zero_()
    return layer


def _through(stage: nn.Module, x: Tensor, told: Tensor) -> Tensor:
    block, look = cast(nn.ModuleList, stage)
    return cast(Tensor, look(block(x, told)))


def _norm(channels: int) -> nn.Module:
    return nn.GroupNorm(math.gcd(max(1, channels // GROUP), channels), channels)
