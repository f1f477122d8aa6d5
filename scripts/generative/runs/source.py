"""What a view may ask for, out of a run's folder and its data."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from generative import ComponentError
from generative.data.identity import data_facts, fields_of
from generative.runs.run_folder import TrainingRun
from scripts.generative.runs.assembly import open_data
from scripts.generative.runs.items import inputs, take
from scripts.generative.runs.kept_codes import starts


@dataclass(frozen=True)
class RunSource:
    """A run and its model, as a view's source."""

    run: TrainingRun
    module: nn.Module

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that the model is told."""
        return self.names("label") if "label" in inputs(self.module) else ()

    def names(self, field: str) -> tuple[str, ...]:
        """Return what the numbers of a field of the data stand for."""
        return fields_of(data_facts(self.run))[field].names

    def codes(self, count: int, seed: int) -> tuple[Tensor, ...]:
        """Return latents that the run folder keeps; the data are not asked for."""
        items = starts(self.run, self.module, count, seed, "show")
        return (items.values, *items.condition)

    def held_out(self, count: int) -> tuple[Tensor, ...]:
        """Return held-out items, evenly spread."""
        items = take(self.module, open_data(self.run).held_out(), count)
        return (items.values, *items.condition)

    def attributes(self) -> Mapping[str, Tensor]:
        """Return the vectors that `generative attribute` has written; raise ComponentError for a damaged file."""
        found = {}
        for file in sorted((self.run.path / "attribute").glob("*.json")):
            try:
                found[file.stem] = torch.tensor(json.loads(file.read_text())["vector"], dtype=torch.float32)
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise ComponentError(f"{file}: no attribute ({error}); delete it, or learn it again") from error
        return found
