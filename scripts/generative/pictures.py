"""What models make, as pictures: grids of images with captions, and points over those they should lie on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from generative import offers, to_uint8
from generative.capabilities import draw
from generative.data import Data, ImageData, RowData, in_values
from generative.report.images import column, enlarged, grid
from generative.report.plots import points_picture
from scripts.generative.items import Items, says_classes, take

LEAST_SIDE = 48
"""Pixels that the side of an image has at least in a picture; small ones are enlarged by whole numbers."""


def rgb(images: Float[Tensor, "N C H W"]) -> UInt8[np.ndarray, "N H W 3"]:
    """Return images in [0, 1] (what lies outside is cut off) as bytes in colour, small ones enlarged."""
    stored = to_uint8(images.clamp(0, 1).cpu()).numpy()
    colour = np.repeat(stored[..., :1], 3, -1) if stored.shape[-1] < 3 else stored[..., :3]
    times = max(1, -(-LEAST_SIDE // colour.shape[1]))
    return np.stack([enlarged(image, times) for image in colour])


def tiled(
    images: Float[Tensor, "N C H W"], columns: int, captions: Sequence[str] = (), marked: Sequence[bool] = ()
) -> UInt8[np.ndarray, "H W 3"]:
    """Return images in rows, left to right, each under its caption if there are any; marked captions are red."""
    return grid(list(rgb(images)), columns, captions, marked)


def drawn(samples: Tensor, data: Data, columns: int) -> UInt8[np.ndarray, "H W 3"] | None:
    """Return samples as a picture: images and what rows describe in a grid, points over those of the data.

    None for rows of which the data has no pictures.
    """
    if isinstance(data, ImageData):
        return tiled(samples, columns)
    if isinstance(data, RowData):
        return data.draw and tiled(in_values(torch.from_numpy(data.draw(samples.cpu().numpy())), "unit"), columns)
    return points_picture(samples.cpu().numpy(), data.points(np.arange(min(1000, len(data)))))


@torch.no_grad()
def shown(module: nn.Module, data: Data, count: int, seed: int) -> UInt8[np.ndarray, "H W 3"] | None:
    """Return what there is to see of a model: samples, else reconstructions, else predicted classes, else None.

    The same noise or the same held-out images for the same seed, so that pictures of one training compare.
    """
    module.eval()
    device = next((each.device for each in [*module.parameters(), *module.buffers()]), torch.device("cpu"))
    columns = 10 if count % 10 == 0 else 8
    if offers(module, "sample"):
        more = 1 if isinstance(data, ImageData | RowData) else 4  # points are small
        return drawn(draw(module, more * count, torch.Generator(device).manual_seed(seed)), data, columns)
    if not isinstance(data, ImageData):
        return None
    items = take(module, data.held_out(), count)
    if offers(module, "reconstruct"):
        return reconstructions(module, items.first(16), device)
    if says_classes(module):
        said = module(items.values.to(device)).argmax(1).cpu()
        captions = [data.classes[number] for number in said.tolist()]
        return tiled(items.values, columns, captions, (said != items.labels).tolist())
    return None


@torch.no_grad()
def reconstructions(module: nn.Module, items: Items, device: torch.device | str = "cpu") -> UInt8[np.ndarray, "H W 3"]:
    """Return images over what comes back of them, sixteen a row."""
    model: Any = module
    columns = min(16, len(items.values))
    back = model.reconstruct(items.values.to(device), *(each.to(device) for each in items.condition)).cpu()
    pairs = [torch.cat(pair) for pair in zip(items.values.split(columns), back.split(columns), strict=True)]
    return column([tiled(pair, columns) for pair in pairs], 8)
