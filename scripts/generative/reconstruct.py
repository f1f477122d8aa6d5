"""`generative reconstruct`: held-out images over what comes back of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from generative import require
from generative.files import write_bytes
from generative.run import TrainingRun
from scripts.generative.feed import open_run, require_images, take
from scripts.generative.pictures import reconstructions
from worldmodels.report.video import png_bytes


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
    write_bytes(path, png_bytes(reconstructions(module, items)))
    return [f"{len(items.values)} images and what comes back: {path}"]
