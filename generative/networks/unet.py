"""A U-Net for images: halvings down to a coarse map, doublings back, each fed by the map of its size on the way down.

Ronneberger et al. 2015 (arXiv 1505.04597), as the generator of Isola et al. 2017 (pix2pix, arXiv 1611.07004, appendix
6.1) with instance norm. Skips carry what is where past the coarse map. Images are in [-1, 1] here.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.networks.residual import drawn

SLOPE = 0.2
WIDEST = 8  # channels of the coarsest maps, in multiples of the finest


class Level(nn.Module):
    """A halving, whatever is below it and a doubling; gives its input beside its result."""

    def __init__(self, down: nn.Module, below: nn.Module, up: nn.Module) -> None:
        super().__init__()
        self.down, self.below, self.up = down, below, up

    def forward(self, features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        """Return the features and, after them, what the coarser levels make of them."""
        return torch.cat([features, self.up(self.below(self.down(features)))], 1)


def unet_generator(channels: int, width: int, halvings: int) -> nn.Sequential:
    """Return images (B channels H W) in [-1, 1] -> images alike; halving H and W leaves at least 2 pixels."""
    widths = [width * min(2**level, WIDEST) for level in range(halvings)]
    inner: nn.Module = nn.Identity()
    for level in range(halvings - 1, 0, -1):
        fine, coarse = widths[level - 1], widths[level]
        below = coarse * (1 if level == halvings - 1 else 2)
        down = [nn.LeakyReLU(SLOPE), nn.Conv2d(fine, coarse, kernel_size=4, stride=2, padding=1)]
        up = [nn.ReLU(), nn.ConvTranspose2d(below, fine, kernel_size=4, stride=2, padding=1)]
        inner = Level(
            nn.Sequential(*down, nn.InstanceNorm2d(coarse)), inner, nn.Sequential(*up, nn.InstanceNorm2d(fine))
        )
    first = nn.Conv2d(channels, widths[0], kernel_size=4, stride=2, padding=1)
    below = widths[0] * (1 if halvings == 1 else 2)
    last = nn.ConvTranspose2d(below, channels, kernel_size=4, stride=2, padding=1)
    return drawn(nn.Sequential(first, inner, nn.ReLU(), last, nn.Tanh()))
