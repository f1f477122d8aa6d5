"""The figures of a study: accuracy of the world model against real return, and the returns of cells."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from generative.report.plots import COLOURS, one_panel, styled
from worldmodels.study.study import Study
from worldmodels.study.table import BY_SET, OF_CONTROLLERS, CellSummary

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DRAWN = ("nll_gain", "action_sensitivity", "open_loop_10_share", "open_loop_50_share", "reward_r2", "agreement")
"""Figures that are drawn, where the cards have them."""
COLUMNS = 3


def drawn(study: Study, cells: Sequence[CellSummary]) -> list[str]:
    """Return the figures that at least one row has."""
    rows = [row for cell in cells for row in cell.rows]
    return [name for name in DRAWN if any(row.figure(name, study.accuracy_on) is not None for row in rows)]


@styled
def accuracy_panels(study: Study, cells: Sequence[CellSummary]) -> Figure:
    """Draw a panel for each figure: a point for each seed, and each cell's mean with the interval of its return."""
    names = drawn(study, cells)
    shown = [place for place, cell in enumerate(cells) if cell.rows]
    lines = -(-len(names) // COLUMNS)
    columns = min(COLUMNS, len(names))
    per_line = max(1, int(columns * 45 // (max(len(cell.name) for cell in cells) + 5)))
    legend = 0.24 * -(-len(shown) // per_line) + 0.4
    figure = Figure(figsize=(max(4.6, 3.9 * columns), 3.1 * lines + legend), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(grid.flat, names, strict=False):
        axes.margins(x=0.12)
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel({**BY_SET, **OF_CONTROLLERS}[name], fontsize=10)
        for place, cell in enumerate(cells):
            _draw_cell(axes, study, cell, place, name)
    for line in grid:
        line[0].set_ylabel(_returns_on(study))
    figure.supxlabel(f"accuracy on held-out episodes ({study.accuracy_on})", fontsize=11)
    handles = [Line2D([], [], color=_colour(place), marker=_marker(place), linestyle="", markersize=7,
                      label=cells[place].name) for place in shown]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper left", ncols=min(per_line, len(shown)), fontsize=10,
                  handletextpad=0.3, columnspacing=1.4)  # fmt: skip
    return figure


def _draw_cell(axes: Axes, study: Study, cell: CellSummary, place: int, name: str) -> None:
    known = [(value, np.mean(list(row.returns.values()))) for row in cell.rows
             if (value := row.figure(name, study.accuracy_on)) is not None]  # fmt: skip
    if not known or cell.score is None:
        return
    x, y = np.array(known, dtype=np.float64).T
    axes.scatter(x, y, s=22, color=_colour(place), marker=_marker(place), alpha=0.45, linewidths=0)
    interval = [[cell.score.value - cell.score.ci_low], [cell.score.ci_high - cell.score.value]]
    axes.errorbar(x.mean(), cell.score.value, yerr=interval, color=_colour(place), marker=_marker(place), markersize=8,
                  elinewidth=1.6, capsize=3, linestyle="")  # fmt: skip


@styled
def cell_returns(study: Study, cells: Sequence[CellSummary]) -> Figure:
    """Draw each cell's mean return with its interval and a point for each seed."""
    figure, axes = one_panel(0.9 + 0.42 * len(cells), _returns_on(study))
    at = np.arange(len(cells))[::-1]
    for place, (height, cell) in enumerate(zip(at, cells, strict=True)):
        if cell.score is None:
            continue
        means = [np.mean(list(row.returns.values())) for row in cell.rows]
        axes.scatter(means, [height + 0.22] * len(means), s=18, color=_colour(place), alpha=0.5, linewidths=0)
        axes.plot([cell.score.ci_low, cell.score.ci_high], [height, height], color=_colour(place), linewidth=2)
        axes.plot([cell.score.value], [height], color=_colour(place), marker=_marker(place), markersize=8)
    axes.set_yticks(at, [cell.name for cell in cells], fontsize=10)
    axes.set_ylim(-0.6, len(cells) - 0.4)
    axes.grid(axis="y", visible=False)
    return figure


def _returns_on(study: Study) -> str:
    return f"return on {'validation' if study.evaluate == 'validation' else 'test'} tracks"


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _marker(place: int) -> str:
    return MARKERS[place % len(MARKERS)]
