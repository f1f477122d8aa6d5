"""The page of a study: what came of it, how far accuracy and return go together, and every row."""

from collections.abc import Mapping, Sequence

import numpy as np

from generative.core.facts import Facts
from generative.report.pages import number, render
from generative.report.plots import svg
from worldmodels.statistics import Estimate
from worldmodels.study.plots import accuracy_panels, cell_returns, drawn
from worldmodels.study.study import Study
from worldmodels.study.table import (
    BY_SET,
    OF_CONTROLLERS,
    CellSummary,
    Row,
    correlation,
    fields_of,
    measured_tracks,
    recipes,
    summaries,
)

LABELS = {**BY_SET, **OF_CONTROLLERS}
ON = {
    "random": "of random actions, the same for every cell of one environment",
    "on-policy": "that each cell's own controller drove: other episodes for each cell",
    "mixed": "that each cell's own controller drove with noise: other episodes for each cell",
}


def render_study(name: str, study: Study, rows: Sequence[Row], facts: Mapping[str, str]) -> str:
    """Return the page as one HTML document that needs no other file.

    Args:
        name: of the study.
        study: what was compared.
        rows: of all cells and seeds.
        facts: further facts about it.
    """
    cells, tracks = summaries(study, rows), measured_tracks(study)
    columns, lines = _rows(study, rows)
    shown = {
        "base": f"preset {study.base.preset}, {study.base.env.id}",
        "cells": str(len(study.cells)),
        "seeds": ", ".join(map(str, study.seeds)),
        **({"optimiser seeds": ", ".join(map(str, study.optimiser_seeds))} if study.optimiser_seeds else {}),
        "measured on": f"{len(tracks)} {study.evaluate} tracks, {tracks.start} to {tracks.stop - 1}",
        **facts,
    }
    return render(
        __package__,
        "study.html",
        title=name,
        kind="study",
        facts=shown,
        returns=_returns(study, cells),
        accuracy=_accuracy(study, cells, rows),
        missing=[(row.cell.folder, row.state, row.reason) for row in rows if row.state != "finished"],
        columns=columns,
        rows=lines,
    )


def _returns(study: Study, cells: Sequence[CellSummary]) -> Facts:
    if not any(cell.score for cell in cells):
        return {}
    first, varied = next(iter(study.cells)), fields_of(study)
    rows = [
        [
            cell.name,
            *("" if value is None else str(value) for value in map(study.cells[cell.name].get, varied)),
            f"{len(cell.rows)} of {cell.expected}",
            _estimate(cell.score),
            None if cell.name == first else _estimate(cell.difference),
        ]
        for cell in cells
    ]
    return {
        "figure": svg(cell_returns(study, cells), "returns", "Return of every cell"),
        "columns": ["cell", *varied, "seeds", "mean return", f"minus {first}"],
        "rows": rows,
    }


def _accuracy(study: Study, cells: Sequence[CellSummary], rows: Sequence[Row]) -> Facts:
    names, on = drawn(study, cells), study.accuracy_on
    if not names:
        return {}
    return {
        "figure": svg(accuracy_panels(study, cells), "accuracy", "Accuracy of the world model against real return"),
        "caption": f"Small points: seeds. Large: means of cells, with intervals of the return. On episodes {ON[on]}.",
        "columns": ["cell, mean over seeds", *(LABELS[name] for name in names)],
        "means": [
            [cell.name, *(_mean([row.figure(name, on) for row in cell.rows]) for name in names)] for cell in cells
        ],
        "correlations": [
            (LABELS[name], _estimate(correlation(rows, name, on), 2), len(recipes(rows, name, on))) for name in names
        ],
    }


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return number(float(np.mean(known)), 3) if known else "n/a"


def _rows(study: Study, rows: Sequence[Row]) -> tuple[list[str], list[list[str | None]]]:
    on = study.accuracy_on
    shown = [name for name in LABELS if any(row.figure(name, on) is not None for row in rows)]
    lines = [
        [
            row.cell.folder,
            number(float(np.mean(list(row.returns.values())))) if row.returns else row.state,
            None if row.frames is None else f"{row.frames:,}",
            None if row.core_hours is None else number(row.core_hours, 3),
            *(_mean([row.figure(name, on)]) for name in shown),
        ]
        for row in rows
    ]
    return ["run folder", "mean return", "real frames", "core-hours", *(LABELS[name] for name in shown)], lines


def _estimate(found: Estimate | None, significant: int | None = None) -> str:
    if found is None:
        return "n/a"
    value = number(found.value, significant)
    if not np.isfinite(found.ci_low):
        return value
    return f"{value} ({number(found.ci_low, significant)} to {number(found.ci_high, significant)})"
