"""`generative show`: the views of a trained model, each a picture or a film with dials of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from generative.latent.views import view_named, views_of
from generative.runs.run_folder import TrainingRun
from scripts.generative.runs.assembly import open_model
from scripts.generative.runs.pictures import write_view
from scripts.generative.runs.source import RunSource


@dataclass(frozen=True)
class ShowOptions:
    """Which view, and what goes for all of them."""

    view: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="VIEW")] = None
    """The view; a list of the run's views by default."""
    seed: int = 0
    """Determines what is drawn and chosen."""
    out: str = ""
    """File for the picture or film, whose ending follows what it is; pictures/VIEW in the run folder by default."""


def main(run: TrainingRun, options: ShowOptions, dials: Any = None) -> Sequence[str]:
    """Write what a view shows, its dials as they are by default; without a view, say which there are.

    Raises:
        ComponentError: there is no such view of this model, or it needs what is missing.
        ValueError: a dial does not fit this model.
    """
    module = open_model(run)
    if options.view is None:
        known = views_of(module)
        return [f"  {name:16} {_says(kind)}" for name, kind in known.items()] or [f"{module.type_name} has no views"]
    kind = view_named(options.view, module)
    made = (kind() if dials is None else dials).show(module, RunSource(run, module), options.seed)
    path = write_view(Path(options.out or run.path / "pictures" / options.view), made)
    return [f"{options.view}: {path}"]


def _says(kind: type[Any]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]
