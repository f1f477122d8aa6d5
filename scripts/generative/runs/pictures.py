"""What models make, as pictures: grids of images with captions, and points over those they should lie on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from generative import offers, to_float, to_uint8
from generative.capabilities import dials, draw
from generative.core.files import write_bytes
from generative.core.views import Film, Picture
from generative.data import Data, Field
from generative.data.text.padded import until_end
from generative.objectives.masking import hidden_tokens
from generative.report.images import captioned, column, enlarged, grid, labelled_rows
from generative.report.media import MEDIA, Files, medium_of, picture
from generative.report.plots import points_picture
from generative.report.video import gif_bytes
from scripts.generative.runs.items import Items, answered, field_of, inputs, take
from scripts.generative.runs.preflight import MANY

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


def seen(module: nn.Module, samples: Tensor, item: Field, columns: int) -> Files | None:
    """Return what there is to see or hear of samples by themselves; None of those that need the data's pictures."""
    medium = medium_of(module, item)
    if medium != "picture":
        return MEDIA.find(medium).files(samples.cpu().numpy(), item)
    return picture(tiled(samples, columns)) if item.kind == "image" else None


def drawn(module: nn.Module, samples: Tensor, data: Data, columns: int) -> Files | None:
    """Return what there is of samples: see `seen`; points over those of the data, all else as the data draws it.

    None where the data has no pictures of its items.
    """
    found = seen(module, samples, data.item, columns)
    if found is not None:
        return found
    plain = samples.cpu().numpy()
    if data.item.kind == "point":
        return picture(points_picture(plain, data.get("point", np.arange(min(1000, len(data))))))
    return picture(tiled(to_float(torch.from_numpy(data.draw(plain))), columns)) if data.draw else None


def write_view(path: Path, made: Picture | Film) -> Path:
    """Write what a view made, a picture as .png or a film as .gif, and return the file's name."""
    (written,) = write_seen(path, view_files(made))
    return written


def view_files(made: Picture | Film) -> Files:
    """Return what a view made as a file, a picture as .png or a film as .gif."""
    if isinstance(made, Picture):
        return picture(_laid_out(made.images, made.rows, made.columns))
    frames = [_laid_out(frame) for frame in made.frames]
    if made.captions:
        frames = [captioned(frame, text) for frame, text in zip(frames, made.captions, strict=True)]
    return {".gif": gif_bytes(np.stack(frames), made.fps)}


def _laid_out(
    images: Float[Tensor, "R K C H W"], rows: Sequence[str] = (), columns: Sequence[str] = ()
) -> UInt8[np.ndarray, "H W 3"]:
    """Return images in rows and columns with what stands beside and above them."""
    strips = [tiled(row, len(row), [] if number else columns) for number, row in enumerate(images)]
    return labelled_rows(strips, rows) if rows else column(strips, 2)


def write_seen(path: Path, found: Files) -> list[Path]:
    """Write the files, which have their name from `path` and each an ending of its own; return their names."""
    for ending, content in found.items():
        write_bytes(path.with_suffix(ending), content)
    return [path.with_suffix(ending) for ending in found]


@torch.no_grad()
def shown(module: nn.Module, data: Data, count: int, seed: int) -> Files | None:
    """Return what there is to see or hear of a model; None where that is nothing.

    Samples, else translations, reconstructions or predicted classes: of the same noise or the same held-out images for
    the same seed, so that pictures of one training compare.
    """
    module.eval()
    device = next((each.device for each in [*module.parameters(), *module.buffers()]), torch.device("cpu"))
    columns = 10 if count % 10 == 0 else 8
    if offers(module, "sample"):
        many = count * MANY.get(data.item.kind, 1)
        return drawn(module, draw(module, many, torch.Generator(device).manual_seed(seed)), data, columns)
    items = take(module, data.held_out(), count)
    if offers(module, "answer"):
        return answers(module, data, items.to(device), seed)
    if offers(module, "fill"):
        return fillings(module, data, items.values.to(device), seed)
    if data.item.kind != "image":
        return None
    if offers(module, "translate"):
        return picture(translations(module, items, device))
    for name in ("reconstruct", "restyle"):
        if offers(module, name):
            return picture(reconstructions(module, items.first(16), device, name))
    if offers(module, "classify"):
        said = cast(Any, module).classify(items.values.to(device)).argmax(1).cpu()
        captions = [data.names("label")[number] for number in said.tolist()]
        return picture(tiled(items.values, columns, captions, (said != items.condition[0]).tolist()))
    return None


def answers(module: nn.Module, data: Data, items: Items, seed: int) -> Files:
    """Return sources with a model's answers under them, and what is right where that is something else, as a text.

    A marked word of a source stands in brackets.
    """
    said = answered(module, items, dials(module)(), seed).tolist()
    source, target = (field_of(module, items, name).tolist() for name in ("source", "target"))
    marks = (
        field_of(module, items, "answer").tolist() if "answer" in inputs(module) else [[0] * len(source[0])] * len(said)
    )
    lines = []
    for place, row in enumerate(said):
        read = until_end(data.names("source"), source[place])
        pairs = zip(read, marks[place], strict=False)
        asked = "".join(f" [{each.strip()}]" if mark else each for each, mark in pairs).strip()
        found, right = ("".join(until_end(data.names("target"), each)).strip() for each in (row, target[place]))
        lines.append(f"{asked}\n  {found}" + ("" if found == right else f"  (right: {right})"))
    return {".txt": ("\n".join(lines) + "\n").encode()}


def fillings(module: nn.Module, data: Data, tokens: Int[Tensor, "N T"], seed: int) -> Files:
    """Return texts with hidden tokens in brackets: a model's guess, and what is right where that is something else."""
    hidden = chosen(tokens, seed)
    guessed, names = cast(Any, module).fill(tokens, hidden).argmax(2), data.names(data.main)
    texts = []
    for row in zip(tokens.tolist(), guessed.tolist(), hidden.tolist(), strict=True):
        said = ""
        for right, guess, asked in zip(*row, strict=True):
            wrong = "" if guess == right else f"|{names[right]}"
            said += f"[{names[guess]}{wrong}]" if asked else names[right]
        texts.append(said.strip())
    return {".txt": ("\n\n".join(texts) + "\n").encode()}


def chosen(tokens: Int[Tensor, "N T"], seed: int) -> Bool[Tensor, "N T"]:
    """Return which tokens a model has to guess, as many as in training; a function of the seed."""
    places = hidden_tokens(tokens, 1, 0, torch.Generator().manual_seed(seed))[1]
    return torch.zeros_like(tokens, dtype=torch.bool).scatter_(1, places, True)


@torch.no_grad()
def reconstructions(
    module: nn.Module, items: Items, device: torch.device | str = "cpu", name: str = "reconstruct"
) -> UInt8[np.ndarray, "H W 3"]:
    """Return images over what comes back of them, sixteen a row; of a method of another name, over what it makes."""
    columns = min(16, len(items.values))
    condition = (each.to(device) for each in items.condition)
    back = getattr(module, name)(items.values.to(device), *condition).cpu()
    pairs = [torch.cat(pair) for pair in zip(items.values.split(columns), back.split(columns), strict=True)]
    return column([tiled(pair, columns) for pair in pairs], 8)


@torch.no_grad()
def translations(
    module: nn.Module, items: Items, device: torch.device | str = "cpu", back: bool = False, twins: bool = False
) -> UInt8[np.ndarray, "H W 3"]:
    """Return images of the first domain over what they become in the second, sixteen a row; then the other way.

    Args:
        module: the translator.
        items: images of both domains.
        device: where it is.
        back: add below what comes back from there.
        twins: add below what the translation should be, where images of both domains are twins.
    """
    model: Any = module
    rows = []
    sides = (items.values, items.condition[0], "forward", "backward")
    for images, others, there, again in (sides, (sides[1], sides[0], *sides[:1:-1])):
        made = model.translate(images.to(device), there)
        shown = [images, made.cpu()]
        shown += [others] if twins else []
        shown += [model.translate(made, again).cpu()] if back else []
        rows += [torch.cat(parts) for parts in zip(*(each.split(16) for each in shown), strict=True)]
    return column([tiled(row, min(16, len(items.values))) for row in rows], 8)
