"""The figures of a study: accuracy of the world model against real return, and the returns of cells."""

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from worldmodels.report.plots import BLUE, GREY, ORANGE, PURPLE, TEAL, _figure, _style, _svg
from worldmodels.study.study import Study
from worldmodels.study.table import BY_SET, OF_CONTROLLERS, CellSummary

COLOURS = (BLUE, ORANGE, TEAL, PURPLE, "#b5476b", "#8a7a1f", "#3f8fb0", GREY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DRAWN = ("nll_gain", "action_sensitivity", "open_loop_10_share", "open_loop_50_share", "reward_r2", "agreement")
"""Figures that are drawn, where the cards have them."""
COLUMNS = 3


def drawn(study: Study, cells: Sequence[CellSummary]) -> list[str]:
    """Return the figures that at least one row has."""
    rows = [row for cell in cells for row in cell.rows]
    return [name for name in DRAWN if any(row.figure(name, study.accuracy_on) is not None for row in rows)]


def accuracy_svg(study: Study, cells: Sequence[CellSummary]) -> str:
    """Return the figure of accuracy against return as one `<svg>` element, as those of `worldmodels.report.plots`."""
    with matplotlib.rc_context(_style("accuracy")):
        return _svg(_accuracy(study, cells), "accuracy", "Accuracy of the world model against real return")


def accuracy_png(study: Study, cells: Sequence[CellSummary], dpi: int = 120) -> bytes:
    """Return the same figure as a PNG picture."""
    with matplotlib.rc_context({**_style("accuracy"), "savefig.facecolor": "white"}):
        figure = _accuracy(study, cells)
        figure.patch.set_visible(True)
        FigureCanvasAgg(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _accuracy(study: Study, cells: Sequence[CellSummary]) -> Figure:
    """Draw a panel for each figure: a point for each seed, and each cell's mean with the interval of its return."""
    names = drawn(study, cells)
    shown = [place for place, cell in enumerate(cells) if cell.rows]
    lines = -(-len(names) // COLUMNS)
    columns = min(COLUMNS, len(names))
    per_line = max(1, int(columns * 45 // (max(len(cell.name) for cell in cells) + 5)))
    legend = 0.24 * -(-len(shown) // per_line) + 0.4
    figure = Figure(figsize=(max(4.6, 3.9 * columns), 3.1 * lines + legend), layout="constrained")
    figure.patch.set_visible(False)
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for index, axes in enumerate(grid.flat):
        if index >= len(names):
            axes.set_visible(False)
            continue
        axes.patch.set_visible(False)
        axes.tick_params(length=0, pad=6, labelleft=index % COLUMNS == 0)
        axes.margins(x=0.12)
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(_label(names[index]), fontsize=10)
        for place, cell in enumerate(cells):
            _draw_cell(axes, study, cell, place, names[index])
    where = "validation" if study.evaluate == "validation" else "test"
    for line in grid:
        line[0].set_ylabel(f"return on {where} tracks")
    figure.supxlabel(f"accuracy on held-out episodes ({study.accuracy_on})", fontsize=11)
    handles = [Line2D([], [], color=_colour(place), marker=_marker(place), linestyle="", markersize=7,
                      label=cells[place].name) for place in shown]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper left", ncols=min(per_line, len(shown)), fontsize=10,
                  handletextpad=0.3, columnspacing=1.4)  # fmt: skip
    return figure


def _label(name: str) -> str:
    return BY_SET[name] if name in BY_SET else OF_CONTROLLERS[name]


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


def returns_svg(study: Study, cells: Sequence[CellSummary]) -> str:
    """Draw each cell's mean return with its interval and a point for each seed; one `<svg>` element."""
    with matplotlib.rc_context(_style("returns")):
        where = "validation" if study.evaluate == "validation" else "test"
        figure, axes = _figure(0.9 + 0.42 * len(cells), f"return on {where} tracks", "")
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
        return _svg(figure, "returns", "Return of every cell")


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _marker(place: int) -> str:
    return MARKERS[place % len(MARKERS)]
