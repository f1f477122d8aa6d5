"""`generative sample`: a grid of draws from a trained model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from generative import ComponentError, require
from generative.capabilities import dials as dials_of
from generative.core.options import did_you_mean
from generative.data import Field
from generative.data.identity import data_facts, fields_of
from generative.runs.run_folder import TrainingRun
from scripts.generative.runs.assembly import open_data, open_model
from scripts.generative.runs.items import inputs
from scripts.generative.runs.pictures import drawn, seen, write_seen


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
    module, facts = open_model(run), data_facts(run)
    require(module, "sample")
    model: Any = module
    condition = (told(module, options, fields_of(facts)),) if options.labels else ()
    sampling = dials_of(module)() if dials is None else dials
    with torch.no_grad():
        samples = model.sample(options.count, sampling, torch.Generator().manual_seed(options.seed), *condition)
    item = next(iter(fields_of(facts).values()))
    found = seen(module, samples, item, options.columns)
    if found is None:  # rows need the data's pictures, and points the data's own beside them
        found = drawn(module, samples, open_data(run), options.columns)
    if found is None:
        raise ComponentError(
            f"{facts['name']}: has no pictures of its {item.kind}s; draw them in Python with model.sample()"
        )
    paths = write_seen(Path(options.out or run.path / "samples" / "drawn"), found)
    return [f"{options.count} samples: {', '.join(map(str, paths))}"]


def told(module: nn.Module, options: SampleOptions, fields: Mapping[str, Field]) -> Int[Tensor, " n"]:
    """Return the label of each sample, those of the options in turn; errors as of `main`."""
    if "label" not in inputs(module):
        raise ComponentError(f"labels: {module.type_name} is told no labels; leave them out, or train conditional-vae")
    classes, numbers = fields["label"].names, []
    for label in options.labels:
        if label in classes:
            numbers.append(list(classes).index(label))
        elif label.isdecimal() and int(label) < len(classes):
            numbers.append(int(label))
        else:
            raise ValueError(f"labels={label}: no such class;{did_you_mean(label, classes)}")
    return torch.tensor([numbers[place % len(numbers)] for place in range(options.count)])
