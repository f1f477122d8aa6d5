"""Masked convolutions and the gated layer of the PixelCNN: a pixel's features know only what comes before it.

Masks A and B are those of van den Oord, Kalchbrenner & Kavukcuoglu 2016 (arXiv 1601.06759, section 3.4), gates and the
two stacks those of van den Oord et al. 2016 (arXiv 1606.05328). Pixels come row by row, from left to right, and a
pixel's colours in their order. One stack of layers looks at the rows above, the other along the row. Together they see
everything that comes before, where the square kernels of the first paper have a blind spot.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Kind = Literal["A", "B"]
Order = Literal["pixels", "rows"]


def mask(
    inputs: int, outputs: int, kernel: tuple[int, int], kind: Kind, order: Order, colours: int
) -> Float[Tensor, "O I h w"]:
    """Return 1 where a weight may reach and 0 elsewhere.

    Args:
        inputs: channels that come in; channel i belongs to colour i modulo `colours`.
        outputs: channels that go out, likewise.
        kernel: height and width, odd.
        kind: A leaves out the present place, which B includes.
        order: what a place is. pixels: one colour of one pixel. rows: a whole row with all colours.
        colours: of the image.
    """
    found = torch.zeros(outputs, inputs, *kernel)
    row, column = (side // 2 for side in kernel)
    found[:, :, :row] = 1
    if order == "rows":
        found[:, :, row] = float(kind == "B")
        return found
    found[:, :, row, :column] = 1
    mine, theirs = torch.arange(outputs)[:, None] % colours, torch.arange(inputs) % colours
    found[:, :, row, column] = (theirs <= mine if kind == "B" else theirs < mine).float()
    return found


class MaskedConv2d(nn.Conv2d):
    """A convolution whose weights are multiplied by a `mask` whenever they are used, so no training can undo it."""

    mask: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int],
        kind: Kind,
        *,
        order: Order = "pixels",
        colours: int = 1,
    ) -> None:
        super().__init__(inputs, outputs, kernel)
        self.register_buffer("mask", mask(inputs, outputs, kernel, kind, order, colours), persistent=False)
        with torch.no_grad():  # drawn for the number of inputs that are left
            self.weight *= (self.mask.numel() / self.mask.sum().clamp(min=1)).sqrt()

    def forward(self, window: Float[Tensor, "B I h w"]) -> Float[Tensor, "B O H W"]:
        """Return the features at those places of a map whose whole neighbourhood is given; see `framed`."""
        return functional.conv2d(window, self.weight * self.mask, self.bias)

    def framed(self, features: Float[Tensor, "B I H W"]) -> Float[Tensor, "B I h w"]:
        """Return a map in a frame of zeros, as wide as `forward` takes off."""
        down, across = (side // 2 for side in self.kernel_size)
        return functional.pad(features, (across, across, down, down))


class GatedLayer(nn.Module):
    """One layer of both stacks, gated: `tanh(W_f * x + V_f y) sigmoid(W_g * x + V_g y)` with a condition y (eq. 4).

    The stack of rows passes what it sees on to the stack of pixels, which adds its input to its output. Each method
    works on whole maps and on a window of one alike: that is what makes sampling with a cache possible.
    """

    def __init__(self, inputs: int, width: int, kernel: int, kind: Kind, colours: int, conditions: int = 0) -> None:
        """Make the weights; a layer of kind A is the first, takes the image itself and adds nothing to its output."""
        super().__init__()
        self.rows = MaskedConv2d(inputs, 2 * width, (kernel, kernel), kind, order="rows")
        self.pixels = MaskedConv2d(inputs, 2 * width, (1, kernel), kind, colours=colours)
        self.link = nn.Conv2d(2 * width, 2 * width, kernel_size=1)
        self.out = MaskedConv2d(width, width, (1, 1), "B", colours=colours)
        self.condition = nn.Linear(conditions, 4 * width, bias=False) if conditions else None
        self.adds = kind == "B"

    def down(
        self, window: Float[Tensor, "B I h w"], condition: Float[Tensor, "B K"] | None
    ) -> tuple[Float[Tensor, "B F H W"], Float[Tensor, "B G H W"]]:
        """Return the features of rows above, and what they tell the pixels of the row."""
        seen = self.rows(window)
        beside: Tensor | float = 0.0
        if self.condition is not None:
            mine, beside = self.condition(condition)[..., None, None].chunk(2, 1)
            seen = seen + mine
        return gated(seen), self.link(seen) + beside

    def along(
        self,
        window: Float[Tensor, "B I H w"],
        here: Float[Tensor, "B I H W"],
        told: Float[Tensor, "B G H W"],
    ) -> Float[Tensor, "B F H W"]:
        """Return the features of pixels, from those to their left, their own of the layer before and the rows above."""
        out = self.out(gated(self.pixels(window) + told))
        return here + out if self.adds else out


def gated(features: Float[Tensor, "B G H W"]) -> Float[Tensor, "B F H W"]:
    """Return half as many features, the others having opened or closed them."""
    values, gates = features.chunk(2, 1)
    return values.tanh() * gates.sigmoid()
