"""The page of a study: what differs, what came of it, how far accuracy and return go together, and every row."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from worldmodels.report.page import CSS, details, number, plot, table
from worldmodels.statistics import Estimate
from worldmodels.study.plots import accuracy_svg, drawn, returns_svg
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
        facts: further facts for the head of the page.
    """
    cells = summaries(study, rows)
    sections = [("Return", _returns(study, cells)), ("Accuracy against return", _accuracy(study, cells, rows)),
                ("What is missing", _missing(rows)), ("Every cell and seed", _rows(study, rows))]  # fmt: skip
    body = "\n".join(f"<section><h2>{escape(title)}</h2>{content}</section>" for title, content in sections if content)
    tracks = measured_tracks(study)
    shown = {
        "base": f"preset {study.base.preset}, {study.base.env.id}",
        "cells": str(len(study.cells)),
        "seeds": ", ".join(map(str, study.seeds)),
        **({"optimiser seeds": ", ".join(map(str, study.optimiser_seeds))} if study.optimiser_seeds else {}),
        "measured on": f"{len(tracks)} {study.evaluate} tracks, {tracks.start} to {tracks.stop - 1}",
        **facts,
    }
    head = "".join(f"<div><dt>{escape(key)}</dt><dd>{escape(value)}</dd></div>" for key, value in shown.items())
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)} · study</title><style>{CSS}</style></head>\n<body><main>"
        f'<header><p class="eyebrow">study</p><h1>{escape(name)}</h1><dl class="facts">{head}</dl></header>\n'
        f"{body}\n</main></body></html>\n"
    )


def _returns(study: Study, cells: Sequence[CellSummary]) -> str:
    if not any(cell.score for cell in cells):
        return '<p class="muted">No cell is finished yet.</p>'
    first, varied = next(iter(study.cells)), fields_of(study)
    lines = [
        [
            escape(cell.name),
            *(_cell(study.cells[cell.name].get(name)) for name in varied),
            f"{len(cell.rows)} of {cell.expected}",
            _estimate(cell.score),
            "" if cell.name == first else _estimate(cell.difference),
        ]
        for cell in cells
    ]
    note = (
        '<p class="muted">Mean over seeds and tracks with a 95 % interval in which both are drawn again; differences '
        "are taken on the same seeds and tracks. An interval over few seeds is too narrow, and over one seed it says "
        "nothing of another training.</p>"
    )
    headings = ["cell", *varied, "seeds", "mean return", f"minus {first}"]
    return plot(returns_svg(study, cells), "Small points: seeds.") + table(headings, lines) + note


def _accuracy(study: Study, cells: Sequence[CellSummary], rows: Sequence[Row]) -> str:
    names = drawn(study, cells)
    if not names:
        return ""
    on = study.accuracy_on
    caption = f"Small points: seeds. Large: means of cells, with the interval of the return. On episodes {ON[on]}."
    means = [
        [escape(cell.name), *(_mean([row.figure(name, on) for row in cell.rows]) for name in names)] for cell in cells
    ]
    agreed = [
        [escape(LABELS[name]), _estimate(correlation(rows, name, on), 2), str(len(recipes(rows, name, on)))]
        for name in names
    ]
    note = (
        '<p class="muted">Rank correlation over cells and seeds, optimiser seeds averaged; the interval by drawing '
        "them again, and too narrow for few. Cells with other encoders have other latents: figures in spreads or nats "
        "then compare only loosely (see the cells' own accuracy pages).</p>"
    )
    return (
        plot(accuracy_svg(study, cells), caption)
        + table(["cell, mean over seeds", *(LABELS[name] for name in names)], means)
        + "<h3>Do better world models give better controllers?</h3>"
        + table(["figure", "rank correlation with return", "cells and seeds"], agreed)
        + note
    )


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return number(float(np.mean(known)), 3) if known else "n/a"


def _missing(rows: Sequence[Row]) -> str:
    lines = [[escape(row.cell.folder), row.state, escape(row.reason)] for row in rows if row.state != "finished"]
    return table(["cell", "state", "why"], lines) if lines else ""


def _rows(study: Study, rows: Sequence[Row]) -> str:
    on, names = study.accuracy_on, [*BY_SET, *OF_CONTROLLERS]
    shown = [name for name in names if any(row.figure(name, on) is not None for row in rows)]
    lines = []
    for row in rows:
        score = number(float(np.mean(list(row.returns.values())))) if row.returns else escape(row.state)
        hours = "" if row.core_hours is None else number(row.core_hours, 3)
        frames = "" if row.frames is None else f"{row.frames:,}"
        folder = escape(row.cell.folder)
        lines.append([folder, score, frames, hours, *(_mean([row.figure(name, on)]) for name in shown)])
    note = (
        '<p class="muted">Frames and core-hours before the measurement, what is shared counted in full for each cell. '
        "<code>table.csv</code> has these rows with intervals and the figures on all held-out episodes.</p>"
    )
    headings = ["run folder", "mean return", "real frames", "core-hours", *(LABELS[name] for name in shown)]
    return details(f"{len(rows)} rows", table(headings, lines)) + note


def _estimate(found: Estimate | None, significant: int | None = None) -> str:
    if found is None:
        return "n/a"
    value = number(found.value, significant)
    if not np.isfinite(found.ci_low):
        return value
    return f"{value} ({number(found.ci_low, significant)} to {number(found.ci_high, significant)})"


def _cell(value: Any) -> str:
    return "" if value is None else escape(str(value))
