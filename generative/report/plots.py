"""The style of all figures, the SVG and PNG that are written of them, and the figures that every training has.

A figure is drawn by a function marked `@styled`, which returns a Matplotlib `Figure`: no pyplot, no state. `svg` writes
it as one element of a page. Its text stays text, its ids carry its name, since several figures share one page, and ink
and grid refer to the CSS variables `--plot-ink` and `--plot-grid`, so that a dark page can recolour them.
"""

import functools
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure

from generative.core.facts import Facts, FactsView
from generative.report.images import png_bytes

P = ParamSpec("P")
BLUE, ORANGE, TEAL, PURPLE, GREY, RED = "#2f6fde", "#e0762b", "#1a9a86", "#8a5bd1", "#7d8594", "#b5476b"
COLOURS = (BLUE, ORANGE, TEAL, PURPLE, RED, "#8a7a1f", "#3f8fb0", GREY)
BASELINE_COLOURS = (GREY, PURPLE, TEAL, RED)
DASHED: Facts = {"linestyle": (0, (4, 3)), "linewidth": 1.4}
POINTS: Facts = {"marker": "o", "markersize": 4.5}
Breaks = Sequence[tuple[float | int, str]]
"""Places on the horizontal axis at which something begins, with its name."""
Drawing = Callable[[SubFigure | None], Figure]
"""Draws a figure, or a part of one that is `stacked`."""
_INK, _GRID = "#1f2431", "#e2e5eb"  # replaced by CSS variables in the text of the SVG
_STYLE: Facts = {
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
    **{f"{side}tick.{name}": value for side in "xy" for name, value in
       {"color": _GRID, "labelcolor": _INK, "major.size": 0, "minor.size": 0, "major.pad": 6}.items()},
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
}  # fmt: skip


@contextmanager
def _style(name: str = "figure") -> Iterator[None]:
    style: Any = {**_STYLE, "svg.hashsalt": name}  # Matplotlib's ids are random without a salt
    with matplotlib.rc_context(style):
        yield


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Return a function that draws its figure in the style of all figures."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with _style():
            return draw(*args, **kwargs)

    return drawn


def svg(figure: Figure, name: str, title: str) -> Markup:
    """Return a figure as one `<svg>` element that scales with the page; `name` goes before every id."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise ValueError(f"name={name!r}: it goes before ids; use letters, digits, - and _, a letter first")
    buffer = io.StringIO()
    with _style(name):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"', r"<svg \1", text, count=1)
    label = Markup('<svg role="img" aria-label="{}" stroke-linejoin="round" ').format(title)
    text = text.replace("<svg ", label, 1).replace(_INK, f"var(--plot-ink, {_INK})")
    return Markup(text.replace(_GRID, f"var(--plot-grid, {_GRID})").strip())


def picture(figure: Figure, dpi: int = 110) -> UInt8[np.ndarray, "H W 3"]:
    """Return a figure as an RGB image on white."""
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(dpi)
    with _style():
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


class NotebookFigure(Figure):
    """A figure that a notebook shows as it is, without pyplot."""

    def _repr_png_(self) -> bytes:
        return png_bytes(picture(self))


def stacked(drawings: Mapping[str, Drawing]) -> NotebookFigure:
    """Return one figure of several below each other, each under its title.

    Raises:
        ValueError: there is none.
    """
    if not drawings:
        raise ValueError("drawings is empty: nothing to draw; leave the figure out")
    heights = [draw(None).get_figheight() + 0.4 for draw in drawings.values()]
    figure = NotebookFigure(figsize=(7.6, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, (title, draw) in zip(parts, drawings.items(), strict=True):
        draw(part)
        part.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    return figure


def panels(
    heights: Sequence[float | int], x_label: str, y_labels: Sequence[str], on: SubFigure | None = None
) -> tuple[Figure, list[Axes]]:
    """Return a figure 7.6 inches wide of axes under each other, so many inches high, that share the horizontal one.

    Its 11 points are 17 pixels where a page shows it 900 pixels wide. The axes stand on a part of a figure where one is
    given.
    """
    figure = Figure(figsize=(7.6, sum(heights)), layout="constrained") if on is None else on.get_figure(root=True)
    column = (on or figure).subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=list(heights))[:, 0]
    for axes, label in zip(column, y_labels, strict=True):
        axes.set_ylabel(label)
    column[-1].set_xlabel(x_label)
    return figure, list(column)


def one_panel(
    height: float | int, x_label: str = "", y_label: str = "", on: SubFigure | None = None
) -> tuple[Figure, Axes]:
    """Return a figure as `panels`, of one."""
    figure, (axes,) = panels([height], x_label, [y_label], on)
    return figure, axes


@styled
def image_panel(image: UInt8[np.ndarray, "H W 3"], on: SubFigure | None = None) -> Figure:
    """Draw an image without axes, as wide as a figure or 3.6 inches high."""
    figure, axes = one_panel(min(3.6, 7.2 * image.shape[0] / image.shape[1]), on=on)
    axes.imshow(image, interpolation="antialiased")
    axes.set_anchor("W")
    axes.set_axis_off()
    return figure


def legend_above(axes: Axes) -> None:
    """Put the names over the axes, in as many columns as fit: a wider legend would squeeze the axes."""
    labels = axes.get_legend_handles_labels()[1]
    columns = len(labels)
    while columns > 1:
        widest = [max(map(len, column)) for column in np.array_split(np.array(labels, dtype=object), columns)]
        if sum(widest) + 7 * len(widest) <= 86:  # letters, and about 7 more per handle and gap
            break
        columns -= 1
    if labels:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, fontsize=10, borderaxespad=0.4,
                    handlelength=1.6, columnspacing=1.4)  # fmt: skip


def draw_means(
    axes: Axes, x: Sequence[float | int], rows: Sequence[FactsView], colour: str, label: str, **style: Any
) -> None:
    """Draw the `mean` of rows over x with an interval from `ci_low` to `ci_high`."""
    mean, low, high = (np.array([row[name] for row in rows], float) for name in ("mean", "ci_low", "ci_high"))
    error = [np.maximum(0.0, mean - low), np.maximum(0.0, high - mean)]
    axes.errorbar(x, mean, yerr=error, color=colour, elinewidth=1.4, label=label, **POINTS, **style)


def draw_breaks(axes: Axes, breaks: Breaks, named: bool = True) -> None:
    """Draw a thin line where something begins, with its name at the top; names that would collide are left out."""
    low, high = axes.get_xlim()
    free = low
    for place, name in breaks:
        axes.axvline(place, color=GREY, linewidth=0.8, alpha=0.7)
        if named and place >= free:
            axes.annotate(name, (place, 1.0), xycoords=("data", "axes fraction"), fontsize=9, xytext=(3, -10),
                          textcoords="offset points", color=GREY)  # fmt: skip
            free = place + (high - low) * 0.017 * (len(name) + 1)


def markers(points: int) -> Facts:
    """Return the style of a line through points: one through a few needs marks."""
    return POINTS if points <= 3 else {}


@styled
def loss_curves(
    history: Sequence[FactsView],
    baselines: Mapping[str, float | int] | None = None,
    label: str = "loss",
    breaks: Breaks = (),
    on: SubFigure | None = None,
) -> Figure:
    """Draw `train_loss` and `held_out_loss` over `step`, and each baseline as a named horizontal line.

    A row may lack either loss. The scale is logarithmic when all values are positive and span more than a factor of 30.
    Curves are cut at `breaks`.

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
    figure, axes = one_panel(3.2, "optimiser step", label, on)
    for (title, curve), colour in zip(curves.items(), (BLUE, ORANGE), strict=True):
        if curve:
            steps, losses = zip(*curve, strict=True)
            axes.plot(*_cut(steps, losses, breaks), color=colour, label=title, **markers(len(steps)))
    for index, (title, value) in enumerate(baselines.items()):
        axes.axhline(value, color=BASELINE_COLOURS[index % len(BASELINE_COLOURS)], label=title, **DASHED)
    if drawn.min() > 0 and drawn.max() > 30 * drawn.min():
        axes.set_yscale("log")
    draw_breaks(axes, breaks)
    legend_above(axes)
    return figure


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


@styled
def _points(points: Float[np.ndarray, "N _"], real: Float[np.ndarray, "M _"]) -> Figure:
    figure = Figure(figsize=(3.5, 3.5), layout="constrained")
    axes = figure.add_subplot(aspect="equal")
    reach = 1.5 * float(np.abs(real).max()) or 1.0
    for cloud, colour, size in ((real, "#c8cbd2", 6), (points, BLUE, 6)):
        axes.scatter(cloud[:, 0], cloud[:, 1], s=size, color=colour, linewidths=0)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[])
    return figure


def points_picture(points: Float[np.ndarray, "N _"], real: Float[np.ndarray, "M _"]) -> UInt8[np.ndarray, "H W 3"]:
    """Return points (blue) over real ones (grey) as an image."""
    return picture(_points(points, real))
