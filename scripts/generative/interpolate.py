"""`generative interpolate`: ways from one image to another, by the line and by the arc, and a morph as GIF.

Between codes of held-out images, or between latents of the prior where a model cannot encode.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import nn

from generative import ComponentError
from generative.core.files import write_bytes
from generative.core.run_folder import TrainingRun
from generative.latent import between, morph
from generative.latent.interpolation import Mode
from generative.report.images import labelled_rows, write_png
from generative.report.video import gif_bytes
from scripts.generative.assembly import open_model
from scripts.generative.items import decoder
from scripts.generative.kept_codes import starts
from scripts.generative.pictures import rgb, tiled


@dataclass(frozen=True)
class InterpolateOptions:
    """Which images, and how many between them."""

    pairs: int = 4
    """Pairs of images; each gets a row by the line (lerp) and one by the arc (slerp)."""
    steps: int = 10
    """Images on a way, both ends included."""
    mode: Mode = "spherical"
    """Way of the morph: linear or spherical."""
    keys: int = 6
    """Images that the morph passes."""
    frames: int = 12
    """Frames of the morph from one of them to the next."""
    fps: int = 12
    """Frames of the morph per second."""
    seed: int = 0
    """Chooses the images."""

    def __post_init__(self) -> None:
        for name, least in (("pairs", 1), ("steps", 2), ("keys", 2), ("frames", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: give {least} or more")


def main(run: TrainingRun, options: InterpolateOptions) -> Sequence[str]:
    """Write `interpolation.png` and `morph.gif`; raise ComponentError where the model cannot decode."""
    module, folder = open_model(run), run.path / "pictures"
    write_png(folder / "interpolation.png", ways(run, module, options))
    keys = starts(run, module, options.keys, options.seed, "interpolate")
    frames = morph(decoder(module, keys.condition), keys.values, options.frames, options.mode)
    write_bytes(folder / "morph.gif", gif_bytes(rgb(frames), options.fps))
    return [f"lines and arcs: {folder / 'interpolation.png'}", f"morph: {folder / 'morph.gif'}"]


@torch.no_grad()
def ways(run: TrainingRun, module: nn.Module, options: InterpolateOptions) -> UInt8[np.ndarray, "H W 3"]:
    """Return the picture: for each pair the line above the arc, under the label of the pair's first image."""
    ends = starts(run, module, 2 * options.pairs, options.seed, "interpolate")
    pairs = len(ends.values) // 2
    if pairs == 0:
        raise ComponentError(f"{run.path}: {len(ends.values)} held-out image, too few for a way; train on more images")
    first, last = ends.values[:pairs], ends.values[pairs:]
    rows, labels = [], []
    for pair in range(pairs):
        decode = decoder(module, [each[pair:] for each in ends.condition])
        for mode, label in (("linear", "line"), ("spherical", "arc")):
            rows.append(decode(between(first[[pair]], last[[pair]], options.steps, mode)[0]))  # type: ignore[arg-type]
            labels.append(label)
    return labelled_rows([tiled(row, len(row)) for row in rows], labels)
