"""Latents of unit spread, and the straight line between two of them."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

ESTIMATE_FRAMES = 2048
"""Images from which the spread of latents is estimated; the standard error of a deviation is then 1.6 %."""
LEAST_SHARE = 0.05
"""A dimension's spread counts as at least this share of the median one: what hardly moves is not blown up."""


class LatentScale(nn.Module):
    """Shift and scale of a latent that bring each dimension to mean 0 and deviation 1 over the data.

    Memories and controllers expect latents of about this size, which an encoder without a prior does not have.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(latent))
        self.register_buffer("scale", torch.ones(latent))

    @torch.no_grad()
    def estimate(self, raw: Float[Tensor, "B Z"]) -> None:
        """Set shift and scale from an encoder's outputs on many images."""
        spread = raw.std(0, correction=0)
        least = max(LEAST_SHARE * float(spread.median()), 1e-6)
        self.shift.copy_(raw.mean(0))
        self.scale.copy_(spread.clamp(min=least))

    def forward(self, raw: Float[Tensor, "B Z"]) -> Float[Tensor, "B Z"]:
        """Return an encoder's outputs at unit spread."""
        return (raw - self.shift) / self.scale

    def undo(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B Z"]:
        """Return what the encoder had put out."""
        return z * self.scale + self.shift


def take(batches: Iterator[Tensor], count: int) -> Float[Tensor, "B C H W"]:
    """Return the first `count` images of a stream of batches, fewer where it ends."""
    found: list[Tensor] = []
    for batch in batches:
        found.append(batch)
        if sum(map(len, found)) >= count:
            break
    return torch.cat(found)[:count]


@torch.no_grad()
def encode_many(
    encode: Callable[[Tensor], Tensor], obs: Float[Tensor, "B C H W"], batch: int = 256
) -> Float[Tensor, "B Z"]:
    """Return `encode` of many images, some at a time."""
    return torch.cat([encode(part) for part in obs.split(batch)])


def interpolate(
    encode: Callable[[Tensor], Tensor],
    decode: Callable[[Tensor], Tensor],
    first: Float[Tensor, "B ..."],
    second: Float[Tensor, "B ..."],
    steps: int,
) -> Float[Tensor, "B S ..."]:
    """Return S items along the straight line from one latent to another, both ends included.

    Raises:
        ValueError: there are fewer than two steps.
    """
    if steps < 2:
        raise ValueError(f"steps={steps}: a line has at least its two ends; give 2 or more")
    start, end = encode(first), encode(second)
    share = torch.linspace(0, 1, steps, device=start.device, dtype=start.dtype)[None, :, None]
    line = start[:, None] * (1 - share) + end[:, None] * share  # (B S Z)
    return decode(line.flatten(0, 1)).unflatten(0, (len(first), steps))
