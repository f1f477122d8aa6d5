"""One dimension of a latent moved while the others rest: what does it stand for?"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def spread_order(means: Float[Tensor, "N Z"]) -> list[int]:
    """Return the dimensions by how much they vary over data, the most telling one first.

    Of a VAE's means, a dimension that says nothing about the data varies hardly at all (see `active_units`).
    """
    return torch.argsort(means.double().var(0), descending=True, stable=True).tolist()


@torch.no_grad()
def traverse(
    decode: Callable[[Tensor], Tensor],
    z: Float[Tensor, " Z"],
    dimensions: Sequence[int],
    values: Float[Tensor, " S"],
) -> Float[Tensor, "D S C H W"]:
    """Return the images of a latent with one dimension after the other set to each of some values.

    Args:
        decode: latents (B Z) to images (B C H W).
        z: the latent to start from, such as the code of an image or the prior's 0.
        dimensions: which to move, each in a row of its own.
        values: where to, in the latent's own unit.

    Raises:
        ValueError: no dimensions or values, or a dimension that the latent does not have.
    """
    if not dimensions or not len(values):
        raise ValueError(f"dimensions={list(dimensions)}, {len(values)} values: give one or more of both")
    wrong = [each for each in dimensions if not 0 <= each < len(z)]
    if wrong:
        raise ValueError(f"dimensions={list(dimensions)}: the latent has dimensions 0 to {len(z) - 1}")
    latents = z.repeat(len(dimensions), len(values), 1)  # (D S Z)
    for row, dimension in zip(latents, dimensions, strict=True):
        row[:, dimension] = values.to(z)
    return decode(latents.flatten(0, 1)).unflatten(0, (len(dimensions), len(values)))
