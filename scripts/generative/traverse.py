"""`generative traverse`: what the dimensions of a latent stand for, the most telling ones first."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import nn

from generative.core.run_folder import TrainingRun
from generative.latent import spread_order, traverse
from generative.report.images import labelled_rows, write_png
from scripts.generative.assembly import open_model
from scripts.generative.items import decoder
from scripts.generative.kept_codes import MOST_STARTS, starts
from scripts.generative.pictures import tiled


@dataclass(frozen=True)
class TraverseOptions:
    """Which dimensions, and how far."""

    dimensions: tuple[int, ...] = ()
    """Numbers of the dimensions; by default those that vary most over held-out images."""
    most: int = 10
    """How many of them at most, where none are named."""
    reach: float = 2.5
    """How far to both sides, in standard deviations of the codes of held-out images."""
    steps: int = 9
    """Images in a row."""
    item: int = 0
    """Number of the held-out image to start from."""
    out: str = ""
    """File for the picture; pictures/traversal.png in the run folder by default."""

    def __post_init__(self) -> None:
        for name in ("most", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 1 or more")
        if self.item < 0:
            raise ValueError(f"item={self.item}: the held-out images count from 0")


def main(run: TrainingRun, options: TraverseOptions) -> Sequence[str]:
    """Write the picture; raise ComponentError where the model cannot decode, and say why."""
    module = open_model(run)
    path = Path(options.out) if options.out else run.path / "pictures" / "traversal.png"
    picture, order = traversal(run, module, options)
    write_png(path, picture)
    return [f"dimensions {', '.join(map(str, order))}: {path}"]


@torch.no_grad()
def traversal(
    run: TrainingRun, module: nn.Module, options: TraverseOptions
) -> tuple[UInt8[np.ndarray, "H W 3"], list[int]]:
    """Return the picture and the dimensions in it, from the top."""
    items = starts(run, module, MOST_STARTS, 0, "traverse")
    if options.item >= len(items.values):
        raise ValueError(f"item={options.item}: there are {len(items.values)} to choose from")
    order = list(options.dimensions) or spread_order(items.values)[: options.most]
    decode = decoder(module, [each[options.item :] for each in items.condition])
    share = torch.linspace(-options.reach, options.reach, options.steps)
    rows = []
    for dimension in order:
        column = items.values[:, dimension]
        values = column.mean() + share * column.std()
        rows.append(traverse(decode, items.values[options.item], [dimension], values)[0])
    return labelled_rows([tiled(row, len(row)) for row in rows], [f"z{dimension}" for dimension in order]), order
