"""What models make, as pictures: grids of images with captions, and points beside those they should lie on."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from generative import offers, to_uint8
from generative.data import Data, ImageData, RowData, in_values
from scripts.generative.feed import Items, says_classes, take

LEAST_SIDE = 48
"""Pixels that the side of an image has at least in a picture; small ones are enlarged by whole numbers."""
_GAP, _LINE = 2, 18
_PAPER, _INK, _RED = 255, (52, 40, 44), (196, 52, 48)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def rgb(images: Float[Tensor, "N C H W"]) -> UInt8[np.ndarray, "N H W 3"]:
    """Return images in [0, 1] (what lies outside is cut off) as bytes in colour, small ones enlarged."""
    stored = to_uint8(images.clamp(0, 1).cpu()).numpy()
    colour = np.repeat(stored[..., :1], 3, -1) if stored.shape[-1] < 3 else stored[..., :3]
    times = max(1, -(-LEAST_SIDE // colour.shape[1]))
    return colour.repeat(times, 1).repeat(times, 2)


def tiled(
    images: Float[Tensor, "N C H W"], columns: int, captions: Sequence[str] = (), marked: Sequence[bool] = ()
) -> UInt8[np.ndarray, "H W 3"]:
    """Return images in rows, left to right, each under its caption if there are any; marked captions are red."""
    tiles = rgb(images)
    height, width = tiles.shape[1:3]
    line = _LINE if captions else 0
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * (height + line + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), _PAPER, np.uint8)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        top, left = row * (height + line + _GAP), column * (width + _GAP)
        sheet[top + line : top + line + height, left : left + width] = tile
        if captions:
            colour = _RED if marked and marked[place] else _INK
            _write(sheet[top : top + line, left : left + width], captions[place], colour)
    return sheet


def labelled_rows(rows: Float[Tensor, "R S C H W"], labels: Sequence[str]) -> UInt8[np.ndarray, "H W 3"]:
    """Return a strip of images for each row, its label at the left."""
    strips = [tiled(row, len(row)) for row in rows]
    wide = 12 + max(cv2.getTextSize(label, _FONT, 0.45, 1)[0][0] for label in labels)
    parts = []
    for strip, label in zip(strips, labels, strict=True):
        margin = np.full((len(strip), wide, 3), _PAPER, np.uint8)
        cv2.putText(margin, label, (2, len(strip) // 2 + 5), _FONT, 0.45, _INK, 1, cv2.LINE_AA)
        parts += [np.concatenate([margin, strip], 1), np.full((_GAP, wide + strip.shape[1], 3), _PAPER, np.uint8)]
    return np.concatenate(parts[:-1])


def stacked(sheets: Sequence[UInt8[np.ndarray, "_ _ 3"]], gap: int = 8) -> UInt8[np.ndarray, "H W 3"]:
    """Return pictures below each other, left edges aligned."""
    width = max(sheet.shape[1] for sheet in sheets)
    parts = []
    for sheet in sheets:
        parts.append(np.pad(sheet, ((0, gap), (0, width - sheet.shape[1]), (0, 0)), constant_values=_PAPER))
    return np.concatenate(parts)[:-gap]


def scatter(points: Float[Tensor, "N 2"], real: Float[Tensor, "M 2"], side: int = 384) -> UInt8[np.ndarray, "H W 3"]:
    """Return points (blue) over real ones (grey), over the square that holds the real ones twice."""
    reach = 1.5 * float(real.abs().max()) or 1.0
    sheet = np.full((side, side, 3), _PAPER, np.uint8)
    for cloud, colour, size in ((real, (200, 203, 210), 2), (points, (47, 111, 222), 2)):
        finite = cloud[torch.isfinite(cloud).all(1)][:, :2].cpu().numpy()
        places = np.rint((finite / reach * [1, -1] + 1) * side / 2).astype(int)
        for x, y in places[(np.abs(places - side / 2) < side / 2).all(1)]:
            cv2.circle(sheet, (int(x), int(y)), size, colour, cv2.FILLED, cv2.LINE_AA)
    cv2.rectangle(sheet, (0, 0), (side - 1, side - 1), (226, 229, 235))
    return sheet


def drawn(samples: Tensor, data: Data, columns: int) -> UInt8[np.ndarray, "H W 3"] | None:
    """Return samples as a picture: images and what rows describe in a grid, points over those of the data.

    None for rows of which the data has no pictures.
    """
    if isinstance(data, ImageData):
        return tiled(samples, columns)
    if isinstance(data, RowData):
        return data.draw and tiled(in_values(torch.from_numpy(data.draw(samples.cpu().numpy())), "unit"), columns)
    return scatter(samples, torch.from_numpy(data.points(np.arange(min(1000, len(data))))))


@torch.no_grad()
def shown(module: nn.Module, data: Data, count: int, seed: int) -> UInt8[np.ndarray, "H W 3"] | None:
    """Return what there is to see of a model: samples, else reconstructions, else predicted classes, else None.

    The same noise or the same held-out images for the same seed, so that pictures of one training compare.
    """
    model: Any = module
    module.eval()
    device = next((each.device for each in [*module.parameters(), *module.buffers()]), torch.device("cpu"))
    columns = 10 if count % 10 == 0 else 8
    if offers(module, "sample"):
        more = 1 if isinstance(data, ImageData | RowData) else 4  # points are small
        return drawn(model.sample(more * count, 1.0, torch.Generator(device).manual_seed(seed)), data, columns)
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
    return stacked([tiled(pair, columns) for pair in pairs])


def _write(band: UInt8[np.ndarray, "_ _ 3"], text: str, colour: tuple[int, int, int]) -> None:
    wide = cv2.getTextSize(text, _FONT, 0.4, 1)[0][0]
    size = 0.4 * min(1.0, (band.shape[1] - 2) / max(wide, 1))
    cv2.putText(band, text, (1, _LINE - 6), _FONT, size, colour, 1, cv2.LINE_AA)
