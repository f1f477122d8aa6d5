"""`generative sample`: a grid of draws from a trained model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from generative import ComponentError, require
from generative.core.run_folder import TrainingRun
from generative.data.identity import data_facts
from generative.report.images import write_png
from scripts.generative.assembly import open_data, open_model
from scripts.generative.pictures import drawn, tiled


@dataclass(frozen=True)
class SampleOptions:
    """What to draw."""

    count: int = 64
    """How many."""
    columns: int = 8
    """Images in a row."""
    temperature: float = 1.0
    """Of the prior: below 1 more typical, above 1 more various."""
    seed: int = 0
    """Determines the draws."""
    out: str = ""
    """File for the picture; samples/drawn.png in the run folder by default."""

    def __post_init__(self) -> None:
        for name in ("count", "columns"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 1 or more")


def main(run: TrainingRun, options: SampleOptions) -> Sequence[str]:
    """Write the grid; raise ComponentError where the model cannot sample, and say why."""
    module, facts = open_model(run), data_facts(run)
    require(module, "sample")
    model: Any = module
    with torch.no_grad():
        samples = model.sample(options.count, options.temperature, torch.Generator().manual_seed(options.seed))
    images = facts["kind"] == "images"  # rows need the data's words, and points theirs beside them
    picture = tiled(samples, options.columns) if images else drawn(samples, open_data(run), options.columns)
    if picture is None:
        raise ComponentError(f"{facts['name']}: has no pictures of its rows; draw them in Python with model.sample()")
    path = Path(options.out) if options.out else run.path / "samples" / "drawn.png"
    write_png(path, picture)
    return [f"{options.count} samples: {path}"]
