"""`generative translate`: held-out images of both domains over what they become in the other, and there and back.

Where the data know what a translation should be, that stands between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from generative import require
from generative.report.images import write_png
from generative.runs.run_folder import TrainingRun
from scripts.generative.figures.translated import twins_known
from scripts.generative.runs.assembly import open_run
from scripts.generative.runs.items import take
from scripts.generative.runs.pictures import translations


@dataclass(frozen=True)
class TranslateOptions:
    """Which images to translate."""

    count: int = 32
    """How many of each domain, evenly spread over the held-out part."""
    out: str = ""
    """File for the picture; pictures/translations.png in the run folder by default."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count={self.count}: give 1 or more")


def main(run: TrainingRun, options: TranslateOptions) -> Sequence[str]:
    """Write the picture; raise ComponentError where the model cannot translate, and say why."""
    module, data = open_run(run)
    require(module, "translate")
    items = take(module, data.held_out(), options.count)
    path = Path(options.out) if options.out else run.path / "pictures" / "translations.png"
    write_png(path, translations(module, items, back=True, twins=twins_known(module, data)))
    return [f"{len(items.values)} images of each domain and what they become: {path}"]
