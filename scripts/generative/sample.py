"""`generative sample`: a grid of draws from a trained model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generative.runs.run_folder import TrainingRun
from scripts.generative.runs.assembly import open_model
from scripts.generative.runs.making import samples_of
from scripts.generative.runs.pictures import write_seen


@dataclass(frozen=True)
class SampleOptions:
    """What to draw."""

    count: int = 64
    """How many."""
    columns: int = 8
    """Images in a row."""
    labels: tuple[str, ...] = ()
    """Classes to draw, by name or number, in turn; all of them by default. For models that are told labels."""
    seed: int = 0
    """Determines the draws."""
    out: str = ""
    """File for the picture or text, whose ending follows what it is; samples/drawn in the run folder by default."""

    def __post_init__(self) -> None:
        for name in ("count", "columns"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 1 or more")


def main(run: TrainingRun, options: SampleOptions, dials: Any = None) -> Sequence[str]:
    """Write the grid, drawn under the model's dials or, by default, as they are by themselves.

    Raises:
        ComponentError: the model cannot sample, or is told no labels; says why.
        ValueError: there is no such label.
    """
    found = samples_of(run, open_model(run), options.count, options.columns, options.labels, dials, options.seed)
    paths = write_seen(Path(options.out or run.path / "samples" / "drawn"), found)
    return [f"{options.count} samples: {', '.join(map(str, paths))}"]
