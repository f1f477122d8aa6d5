"""What models make, as pictures: grids of images with captions, and points over those they should lie on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from generative import offers, to_float, to_uint8
from generative.capabilities import draw
from generative.core.files import write_bytes, write_text
from generative.core.views import Film, Picture
from generative.data import Data, Field
from generative.data.text.padded import until_end
from generative.report.images import captioned, column, enlarged, grid, labelled_rows, write_png
from generative.report.plots import points_picture
from generative.report.video import gif_bytes
from scripts.generative.items import Items, take
from scripts.generative.preflight import MANY

Seen = UInt8[np.ndarray, "H W 3"] | str
"""What a person looks at: a picture, or a text."""
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


def seen(samples: Tensor, item: Field, columns: int) -> Seen | None:
    """Return what samples look like by their field alone: images in a grid, tokens as text; None for all else."""
    if item.kind == "image":
        return tiled(samples, columns)
    if item.kind == "tokens":
        return "\n\n".join("".join(until_end(item.names, row)) for row in samples.tolist()) + "\n"
    return None


def drawn(samples: Tensor, data: Data, columns: int) -> Seen | None:
    """Return what samples look like: see `seen`; points over those of the data, all else as the data draws it.

    None where the data has no pictures of its items.
    """
    found = seen(samples, data.item, columns)
    if found is not None:
        return found
    plain = samples.cpu().numpy()
    if data.item.kind == "point":
        return points_picture(plain, data.get("point", np.arange(min(1000, len(data)))))
    return data.draw and tiled(to_float(torch.from_numpy(data.draw(plain))), columns)


def write_view(path: Path, made: Picture | Film) -> Path:
    """Write what a view made, a picture as .png or a film as .gif, and return the file's name."""
    if isinstance(made, Picture):
        path = path.with_suffix(".png")
        write_png(path, _laid_out(made.images, made.rows, made.columns))
        return path
    path = path.with_suffix(".gif")
    frames = [_laid_out(frame) for frame in made.frames]
    if made.captions:
        frames = [captioned(frame, text) for frame, text in zip(frames, made.captions, strict=True)]
    write_bytes(path, gif_bytes(np.stack(frames), made.fps))
    return path


def _laid_out(
    images: Float[Tensor, "R K C H W"], rows: Sequence[str] = (), columns: Sequence[str] = ()
) -> UInt8[np.ndarray, "H W 3"]:
    """Return images in rows and columns with what stands beside and above them."""
    strips = [tiled(row, len(row), [] if number else columns) for number, row in enumerate(images)]
    return labelled_rows(strips, rows) if rows else column(strips, 2)


def write_seen(path: Path, found: Seen) -> Path:
    """Write a picture as .png or a text as .txt, and return the file's name."""
    path = path.with_suffix(".txt" if isinstance(found, str) else ".png")
    if isinstance(found, str):
        write_text(path, found)
    else:
        write_png(path, found)
    return path


@torch.no_grad()
def shown(module: nn.Module, data: Data, count: int, seed: int) -> Seen | None:
    """Return what there is to see of a model: samples, else translations, reconstructions, predicted classes, or None.

    The same noise or the same held-out images for the same seed, so that pictures of one training compare.
    """
    module.eval()
    device = next((each.device for each in [*module.parameters(), *module.buffers()]), torch.device("cpu"))
    columns = 10 if count % 10 == 0 else 8
    if offers(module, "sample"):
        many = count * MANY.get(data.item.kind, 1)
        return drawn(draw(module, many, torch.Generator(device).manual_seed(seed)), data, columns)
    if data.item.kind != "image":
        return None
    items = take(module, data.held_out(), count)
    if offers(module, "translate"):
        return translations(module, items, device)
    if offers(module, "reconstruct"):
        return reconstructions(module, items.first(16), device)
    if offers(module, "classify"):
        said = cast(Any, module).classify(items.values.to(device)).argmax(1).cpu()
        captions = [data.names("label")[number] for number in said.tolist()]
        return tiled(items.values, columns, captions, (said != items.condition[0]).tolist())
    return None


@torch.no_grad()
def reconstructions(module: nn.Module, items: Items, device: torch.device | str = "cpu") -> UInt8[np.ndarray, "H W 3"]:
    """Return images over what comes back of them, sixteen a row."""
    model: Any = module
    columns = min(16, len(items.values))
    back = model.reconstruct(items.values.to(device), *(each.to(device) for each in items.condition)).cpu()
    pairs = [torch.cat(pair) for pair in zip(items.values.split(columns), back.split(columns), strict=True)]
    return column([tiled(pair, columns) for pair in pairs], 8)


@torch.no_grad()
def translations(module: nn.Module, items: Items, device: torch.device | str = "cpu") -> UInt8[np.ndarray, "H W 3"]:
    """Return images of the first domain over what they become in the second, sixteen a row; then the other way."""
    model: Any = module
    rows = []
    for images, direction in ((items.values, "forward"), (items.condition[0], "backward")):
        made = model.translate(images.to(device), direction).cpu()
        rows += [torch.cat(pair) for pair in zip(images.split(16), made.split(16), strict=True)]
    return column([tiled(row, min(16, len(items.values))) for row in rows], 8)
