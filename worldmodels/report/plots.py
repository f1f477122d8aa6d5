"""The report's figures as SVG text that can stand in a page beside each other.

Each function returns one `<svg>` element: no network, no fonts, no external file, no pyplot. The text stays
text (it can be selected and searched). Ids carry the figure's name, since several figures share one page and
equal ids would make one figure wear another's clip paths. Ink and grid refer to the CSS variables
`--plot-ink` and `--plot-grid`, so that a dark page can recolour them; without those variables the figures are
dark on white.
"""

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from worldmodels.statistics import SOLVED_RETURN, Summary

BLUE, ORANGE, TEAL, PURPLE, GREY = "#2f6fde", "#e0762b", "#1a9a86", "#8a5bd1", "#7d8594"
_INK, _GRID = "#1f2431", "#e2e5eb"  # replaced by CSS variables in the text of the SVG
_BASELINE_COLOURS = (GREY, PURPLE, TEAL, "#b5476b")
DASHED: dict[str, Any] = {"linestyle": (0, (4, 3)), "linewidth": 1.4}
Breaks = Sequence[tuple[float | int, str]]
"""Places on the horizontal axis at which something begins, with its name."""
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a $ in a label is a $
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with Matplotlib and is wide: no browser's font needs more room
    "font.size": 11,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _GRID,
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "xtick.color": _GRID,
    "ytick.color": _GRID,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
}


def learning_curve(
    generations: Sequence[Mapping[str, Any]],
    baseline: Summary | None = None,
    name: str = "learning",
    dreamt: bool = False,
    breaks: Breaks = (),
) -> str:
    """Draw return over generations: the population, its best member, the validation of its mean.

    The band runs from `quantile_10` to `quantile_90` of the population where every row has them, else one standard
    deviation to each side of its mean. `baseline` is drawn as a line named "random policy".

    Args:
        generations: rows as in `ReportData.generations`.
        baseline: the random policy's returns.
        name: of the figure, for ids.
        dreamt: whether the population's returns are those of dreams: they are in another unit than real ones, so
            validation then stands on axes of its own, below.
        breaks: generations at which something begins, with its name.

    Raises:
        ValueError: no generations.
    """
    if not generations:
        raise ValueError("generations=[]: nothing to draw; leave the figure out")
    with matplotlib.rc_context(_style(name)):
        labels = ["dream return", "real return"] if dreamt else ["return"]
        figure, panels = _panels([2.6, 2.4] if dreamt else [3.6], "generation", labels)
        _draw_population(panels[0], generations)
        _draw_validation(panels[-1], generations)
        if baseline is not None:
            panels[-1].axhline(baseline.mean, color=GREY, linestyle=(0, (4, 3)), linewidth=1.4, label="random policy")
        for axes in panels:
            _draw_breaks(axes, breaks, named=axes is panels[0])
            axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10], integer=True))
            if axes.get_legend_handles_labels()[1]:
                _legend_above(axes)
        return _svg(figure, name, "Return over generations")


def _draw_population(axes: Axes, generations: Sequence[Mapping[str, Any]]) -> None:
    x = [row["generation"] for row in generations]
    mean = np.array([row["mean"] for row in generations], dtype=float)
    if all("quantile_10" in row and "quantile_90" in row for row in generations):
        low = np.array([row["quantile_10"] for row in generations], dtype=float)
        high = np.array([row["quantile_90"] for row in generations], dtype=float)
        band = "population 10 to 90 %"
    else:
        std = np.array([row["std"] for row in generations], dtype=float)
        low, high, band = mean - std, mean + std, "population ± std"
    axes.plot(x, mean, color=BLUE, label="population mean", **_markers(len(x)))
    axes.fill_between(x, low, high, color=BLUE, alpha=0.16, linewidth=0, label=band)
    axes.plot(x, [row["best"] for row in generations], color=GREY, linewidth=1.2, label="population best")


def _draw_validation(axes: Axes, generations: Sequence[Mapping[str, Any]]) -> None:
    validated = [(row["generation"], row["validation"]) for row in generations if row.get("validation")]
    if not validated:
        return
    interval = [
        [max(0.0, row["mean"] - row["ci_low"]) for _, row in validated],
        [max(0.0, row["ci_high"] - row["mean"]) for _, row in validated],
    ]
    axes.errorbar(
        [generation for generation, _ in validated],
        np.array([row["mean"] for _, row in validated], dtype=float),
        yerr=interval,
        color=ORANGE,
        marker="o",
        markersize=4.5,
        elinewidth=1.4,
        label="validation of the mean (95 %)",
    )


def _draw_breaks(axes: Axes, breaks: Breaks, named: bool = True) -> None:
    """Draw a thin line where something begins, with its name at the top; names that would collide are left out."""
    low, high = axes.get_xlim()
    free = low
    for place, name in breaks:
        axes.axvline(place, color=GREY, linewidth=0.8, alpha=0.7)
        if named and place >= free:
            axes.annotate(name, (place, 1.0), xycoords=("data", "axes fraction"), fontsize=9, xytext=(3, -10),
                          textcoords="offset points", color=GREY)  # fmt: skip
            free = place + (high - low) * 0.017 * (len(name) + 1)


def loss_curves(
    history: Sequence[Mapping[str, Any]],
    baselines: Mapping[str, float | int] | None = None,
    label: str = "loss",
    name: str = "loss",
    breaks: Breaks = (),
) -> str:
    """Draw `train_loss` and `held_out_loss` over `step`, and each baseline as a named horizontal line.

    Rows are as in `ReportData.vision["history"]`; a row may lack either loss. The scale is logarithmic when
    all values are positive and span more than a factor of 30. Curves are cut at `breaks`, the steps at which something
    begins, with its name.

    Raises:
        ValueError: no row has a loss.
    """
    baselines = baselines or {}
    curves = {
        title: [(row["step"], row[key]) for row in history if row.get(key) is not None]
        for key, title in (("train_loss", "train"), ("held_out_loss", "held out"))
    }
    drawn = np.array([value for curve in curves.values() for _, value in curve] + list(baselines.values()), dtype=float)
    if not any(curves.values()):
        raise ValueError("history has no train_loss and no held_out_loss: nothing to draw; leave the figure out")
    with matplotlib.rc_context(_style(name)):
        figure, axes = _figure(3.2, "optimiser step", label)
        for (title, curve), colour in zip(curves.items(), (BLUE, ORANGE), strict=True):
            if curve:
                steps, losses = zip(*curve, strict=True)
                axes.plot(*_cut(steps, losses, breaks), color=colour, label=title, **_markers(len(steps)))
        for index, (title, value) in enumerate(baselines.items()):
            colour = _BASELINE_COLOURS[index % len(_BASELINE_COLOURS)]
            axes.axhline(value, color=colour, linestyle=(0, (4, 3)), linewidth=1.5, label=title)
        if drawn.min() > 0 and drawn.max() > 30 * drawn.min():
            axes.set_yscale("log")
        _draw_breaks(axes, breaks)
        _legend_above(axes)
        return _svg(figure, name, f"{label} over optimiser steps")


def _cut(
    steps: Sequence[float | int], values: Sequence[float | int], breaks: Breaks
) -> tuple[list[float], list[float]]:
    """Put a gap into a curve at every break that it crosses."""
    x, y = list(map(float, steps)), list(map(float, values))
    for place, _ in breaks:
        after = int(np.searchsorted(x, place, side="right"))
        if 0 < after < len(x):
            x.insert(after, float(place))
            y.insert(after, float("nan"))
    return x, y


def return_strip(
    returns: Float[np.ndarray, " E"], summary: Summary, baseline: Summary | None = None, name: str = "returns"
) -> str:
    """Draw a dot per test track under a histogram, the mean with its 95 % interval, and the random policy.

    Raises:
        ValueError: no returns.
    """
    if len(returns) == 0:
        raise ValueError("returns is empty: nothing to draw; leave the figure out")
    with matplotlib.rc_context(_style(name)):
        figure, axes = _figure(2.7, "return on one test track", "")
        counts, edges = np.histogram(returns, bins=min(40, max(8, round(len(returns) ** 0.5 * 2.5))))
        heights = counts / counts.max()
        axes.bar(edges[:-1], heights, np.diff(edges), align="edge", color=BLUE, alpha=0.2, linewidth=0)
        jitter = (np.arange(len(returns)) * 0.6180339887) % 1.0  # golden ratio: neighbours fall far apart
        axes.scatter(np.sort(returns), -0.12 - 0.3 * jitter, s=13, color=BLUE, alpha=0.65, linewidths=0)
        label = f"mean {summary.mean:.1f}"
        if summary.episodes > 1:
            axes.plot([summary.ci_low, summary.ci_high], [1.13, 1.13], color=ORANGE, linewidth=6)
            label += f" (95 % {summary.ci_low:.1f} to {summary.ci_high:.1f})"
        axes.plot([summary.mean] * 2, [-0.46, 1.2], color=ORANGE, linewidth=2, label=label.replace("-", "−"))
        if baseline is not None:
            label = f"random policy {baseline.mean:.1f}".replace("-", "−")
            axes.axvline(baseline.mean, color=GREY, linestyle=(0, (4, 3)), linewidth=1.6, label=label)
        if axes.get_xlim()[1] > 0.8 * SOLVED_RETURN:
            label = f"solved {SOLVED_RETURN:.0f}"
            axes.axvline(SOLVED_RETURN, color=TEAL, linestyle=":", linewidth=1.6, label=label)
        axes.set_ylim(-0.52, 1.25)
        axes.yaxis.set_visible(False)
        axes.spines["left"].set_visible(False)
        _legend_above(axes)
        return _svg(figure, name, "Return per test track")


def _style(name: str) -> Any:
    return {**_STYLE, "svg.hashsalt": name}  # Matplotlib's ids are random without a salt


def _panels(heights: Sequence[float], x_label: str, y_labels: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Return a figure as `_figure`, of axes under each other that share the horizontal one."""
    figure, first = _figure(sum(heights), "", y_labels[0])
    if len(heights) == 1:
        first.set_xlabel(x_label)
        return figure, [first]
    first.remove()
    grid = figure.add_gridspec(len(heights), 1, height_ratios=list(heights))
    panels: list[Axes] = []
    for place, label in enumerate(y_labels):
        axes = figure.add_subplot(grid[place], sharex=panels[0] if panels else None)
        axes.patch.set_visible(False)
        axes.set_ylabel(label)
        axes.tick_params(length=0, pad=6, labelbottom=place == len(heights) - 1)
        panels.append(axes)
    panels[-1].set_xlabel(x_label)
    return figure, panels


def _figure(height: float, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """A transparent figure 7.6 inches wide: 11 pt are then 17 px where the page shows it 900 px wide."""
    figure = Figure(figsize=(7.6, height), layout="constrained")
    figure.patch.set_visible(False)
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.tick_params(length=0, pad=6)
    return figure, axes


def _markers(points: int) -> dict[str, Any]:
    """A line through one or two points shows nothing: mark them while there are few."""
    return {"marker": "o", "markersize": 4.5} if points <= 3 else {}


def _legend_above(axes: Axes) -> None:
    """Names over the axes, in as many columns as fit: a wider legend would squeeze the axes."""
    labels = axes.get_legend_handles_labels()[1]
    columns = len(labels)
    while columns > 1:
        widest = [max(map(len, column)) for column in np.array_split(np.array(labels, dtype=object), columns)]
        if sum(widest) + 7 * len(widest) <= 86:  # letters, and about 7 more per handle and gap
            break
        columns -= 1
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=columns,
        fontsize=10,
        borderaxespad=0.4,
        handlelength=1.6,
        columnspacing=1.4,
    )


def _svg(figure: Figure, name: str, title: str) -> str:
    """The figure as one `<svg>` element that scales with the page; `name` goes before every id."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise ValueError(f"name={name!r}: it goes before ids; use letters, digits, - and _, a letter first")
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", text, count=1)
    text = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", text, count=1)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" stroke-linejoin="round" ', 1)
    return text.replace(_INK, f"var(--plot-ink, {_INK})").replace(_GRID, f"var(--plot-grid, {_GRID})").strip()
