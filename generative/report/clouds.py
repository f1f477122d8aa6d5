"""Points in the plane as images that need no plotting: where they lie, and how dense it is there."""

import torch
from jaxtyping import Float
from torch import Tensor

SIDE = 96
"""Pixels of a picture of points."""


def cloud(
    points: Float[Tensor, "N 2"], reach: float, colours: Float[Tensor, "N 3"] | None = None
) -> Float[Tensor, "3 H W"]:
    """Return points, seen from -reach to reach in both directions, on white; what lies beyond is left out.

    Args:
        points: of which the second coordinate goes up.
        reach: of what is seen.
        colours: of the points, in [0, 1]; black by default. Those in one pixel are mixed.
    """
    place = ((points / reach + 1) / 2 * SIDE).floor().long()
    inside = ((place >= 0) & (place < SIDE)).all(1)
    column, row = place[inside, 0], SIDE - 1 - place[inside, 1]
    ink = torch.ones(int(inside.sum()), 3) if colours is None else 1 - colours[inside].cpu()
    flat = (row * SIDE + column).cpu()
    total = torch.zeros(SIDE * SIDE, 3).index_add_(0, flat, ink.float())
    count = torch.zeros(SIDE * SIDE).index_add_(0, flat, torch.ones(len(flat))).clamp(min=1)
    return 1 - (total / count[:, None]).T.unflatten(1, (SIDE, SIDE))


def raster(reach: float) -> Float[Tensor, "N 2"]:
    """Return the point in the middle of each pixel of a picture, row by row from the top left."""
    ticks = (torch.arange(SIDE) + 0.5) / SIDE * 2 * reach - reach
    rows, columns = torch.meshgrid(-ticks, ticks, indexing="ij")
    return torch.stack([columns.flatten(), rows.flatten()], 1)


def heat(values: Float[Tensor, " N"]) -> Float[Tensor, "3 H W"]:
    """Return values at the points of `raster` as shades of blue: white for the least, dark for the most."""
    low, high = values.min(), values.max()
    share = ((values - low) / (high - low).clamp(min=1e-12)).view(1, SIDE, SIDE).cpu()
    return torch.cat([1 - 0.9 * share, 1 - 0.65 * share, 1 - 0.3 * share])


def by_angle(points: Float[Tensor, "N 2"]) -> Float[Tensor, "N 3"]:
    """Return a colour for each point by its direction from the origin, around the colour wheel."""
    turn = torch.atan2(points[:, 1], points[:, 0])[:, None] + torch.arange(3) * (2 * torch.pi / 3)
    return 0.5 + 0.45 * turn.cos()
