"""`generative reconstruct`: held-out images over what comes back of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from generative import require
from generative.report.images import write_png
from generative.runs.run_folder import TrainingRun
from scripts.generative.runs.assembly import open_run
from scripts.generative.runs.items import require_images, take
from scripts.generative.runs.pictures import reconstructions


@dataclass(frozen=True)
class ReconstructOptions:
    """Which images to show."""

    count: int = 32
    """How many, evenly spread over the held-out part."""
    out: str = ""
    """File for the picture; pictures/reconstructions.png in the run folder by default."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count={self.count}: give 1 or more")


def main(run: TrainingRun, options: ReconstructOptions) -> Sequence[str]:
    """Write the picture; raise ComponentError where the model cannot reconstruct, and say why."""
    module, data = open_run(run)
    require(module, "reconstruct")
    items = take(module, require_images(data, "reconstruct").held_out(), options.count)
    path = Path(options.out) if options.out else run.path / "pictures" / "reconstructions.png"
    write_png(path, reconstructions(module, items))
    return [f"{len(items.values)} images and what comes back: {path}"]
