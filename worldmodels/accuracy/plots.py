"""The card's figures: each is drawn on given axes, alone as SVG for the page or beside the others on one PNG sheet."""

import io
from collections.abc import Callable, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from generative.plain import Facts, FactsView
from worldmodels.report.plots import BLUE, GREY, ORANGE, PURPLE, TEAL, _figure, _legend_above, _style, _svg

COLOURS = {"random": TEAL, "on-policy": BLUE, "mixed": ORANGE}
FEATURES = {"z": (GREY, "z"), "z+h": (BLUE, "z and h"), "z+untrained": (PURPLE, "z and an untrained memory's h")}
DASHED: Facts = {"linestyle": (0, (4, 3)), "linewidth": 1.4}
Card = FactsView
Draw = Callable[[Axes, Card], None]


def measured(card: Card, part: str) -> Facts:
    """Return a part of the card by set, without the sets where it was left out."""
    found = {name: content.get(part) for name, content in card["sets"].items()}
    return {name: content for name, content in found.items() if content and "skipped" not in content}


def draw_open_loop(axes: Axes, card: Card) -> None:
    """Draw the energy score above its floor over horizons, with its interval, beside persistence."""
    for name, content in measured(card, "open_loop").items():
        _over_horizons(axes, name, content["horizons"], content["excess"])
    _horizon_axes(axes, card, "energy score above vision's noise")


def draw_pixels(axes: Axes, card: Card) -> None:
    """Draw the squared error of decoded dreams above vision's own over horizons, beside persistence."""
    for name, content in measured(card, "pixels").items():
        _over_horizons(axes, name, content["horizons"], content["mse"])
    _horizon_axes(axes, card, "pixel error above vision's")


def _over_horizons(axes: Axes, name: str, horizons: Sequence[int], curves: FactsView) -> None:
    for kind, dashed in (("memory", False), ("persistence", True)):
        rows = [(horizon, row) for horizon, row in zip(horizons, curves[kind], strict=True) if row is not None]
        if not rows:
            continue
        x, y = [horizon for horizon, _ in rows], [row["value"] for _, row in rows]
        if dashed:
            axes.plot(x, y, color=COLOURS[name], **DASHED)
            continue
        axes.plot(x, y, color=COLOURS[name], marker="o", markersize=4, label=name)
        low, high = ([row[bound] for _, row in rows] for bound in ("ci_low", "ci_high"))
        axes.fill_between(x, low, high, color=COLOURS[name], alpha=0.15, linewidth=0)


def _horizon_axes(axes: Axes, card: Card, label: str) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(card["settings"]["horizons"])))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}")
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.plot([], [], color=GREY, label="nothing changes", **DASHED)
    axes.set_xlabel("steps alone")
    axes.set_ylabel(label)


def draw_calibration(axes: Axes, card: Card) -> None:
    """Draw where the truth falls in the predicted distribution: flat at 1 if calibrated."""
    highest = 2.0
    for name, content in measured(card, "calibration").items():
        density = np.array(content["pit"]) * len(content["pit"])
        axes.stairs(
            density, np.linspace(0, 1, len(density) + 1), baseline=None, color=COLOURS[name], linewidth=2, label=name
        )
        highest = max(highest, float(density.max()) * 1.05)
    axes.axhline(1.0, color=GREY, label="calibrated", **DASHED)
    axes.set_ylim(0, highest)
    axes.set_xlabel("place of the truth in its predicted distribution")
    axes.set_ylabel("density")


def probed_set(card: Card) -> str | None:
    """Return the set whose probes are drawn: the agent's own episodes if there are any."""
    found = measured(card, "probes")
    return next((name for name in ("on-policy", "mixed", "random") if name in found), None)


def draw_probes(axes: Axes, card: Card) -> None:
    """Draw R^2 of the probes to the simulator's state as it is now, of one set."""
    name = probed_set(card)
    assert name is not None
    probes = card["sets"][name]["probes"]
    kinds = list(probes["now"])
    place = np.arange(len(probes["names"]))[::-1]
    for turn, kind in enumerate(kinds):
        colour, label = FEATURES[kind]
        known = [(row, value) for row, value in zip(place, probes["now"][kind], strict=True) if value is not None]
        at = [row + 0.27 * (len(kinds) / 2 - 0.5 - turn) for row, _ in known]
        axes.barh(at, [max(value["value"], -0.25) for _, value in known], 0.25, color=colour, label=label, linewidth=0)
    axes.set_yticks(place, [title.replace("_", " ") for title in probes["names"]], fontsize=10)
    axes.set_ylim(-0.6, len(place) - 0.4)
    axes.set_xlim(-0.27, 1.0)
    axes.axvline(0.0, color=GREY, linewidth=1.0)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("share of the variance explained on other tracks (cut at −0.25)")


def draw_reward(axes: Axes, card: Card) -> None:
    """Draw dreamt over real returns of pieces of episodes."""
    every: list[float] = []
    for name, content in measured(card, "reward").items():
        real, dreamt = content["points"]["real"], content["points"]["open_loop"]
        axes.scatter(real, dreamt, s=14, color=COLOURS[name], alpha=0.6, linewidths=0, label=name)
        every += real
    if every:
        axes.plot([min(every), max(every)], [min(every), max(every)], color=GREY, label="equal", **DASHED)  # fmt: skip
    axes.set_xlabel("real return")
    axes.set_ylabel("dreamt with the same actions")


def draw_agreement(axes: Axes, card: Card) -> None:
    """Draw mean dream return over mean real return, one point a controller."""
    points = card["agreement"]["points"]
    axes.scatter([row["real"] for row in points], [row["dream"] for row in points], s=26, color=BLUE, alpha=0.75,
                 linewidths=0, label="controllers")  # fmt: skip
    chosen = max(points, key=lambda row: row["dream"])
    axes.scatter([chosen["real"]], [chosen["dream"]], s=90, facecolors="none", edgecolors=ORANGE, linewidths=1.8,
                 label="the one the dream would choose")  # fmt: skip
    axes.set_xlabel("mean real return")
    axes.set_ylabel("mean dream return")


FIGURES: dict[str, tuple[str, Draw]] = {
    "open-loop": ("Error of dreams by horizon", draw_open_loop),
    "pixels": ("Pixel error of dreams by horizon", draw_pixels),
    "calibration": ("Calibration of the next latent", draw_calibration),
    "reward": ("Returns of dreams with recorded actions", draw_reward),
    "agreement": ("Controllers in both worlds", draw_agreement),
    "probes": ("What z and h know", draw_probes),
}
"""Each figure's name, title and function."""


def drawable(card: Card) -> list[str]:
    """Return the names of the figures for which there is something to draw."""
    parts = {"open-loop": "open_loop", "pixels": "pixels", "calibration": "calibration", "reward": "reward"}
    names = [name for name, part in parts.items() if measured(card, part)]
    if "points" in card["agreement"]:
        names.append("agreement")
    if probed_set(card) is not None:
        names.append("probes")
    return names


def svg(name: str, card: Card) -> str:
    """Return a figure as one `<svg>` element, as those of `worldmodels.report.plots`."""
    title, draw = FIGURES[name]
    with matplotlib.rc_context(_style(name)):
        figure, axes = _figure(_height(name, card), "", "")
        draw(axes, card)
        _legend_above(axes)
        return _svg(figure, name, title)


def _height(name: str, card: Card) -> float:
    """Return the height of a figure in inches: probes need a row for each state."""
    chosen = probed_set(card)
    if name != "probes" or chosen is None:
        return 3.4
    return 1.2 + 0.36 * len(card["sets"][chosen]["probes"]["names"])


def png(card: Card, dpi: int = 110) -> bytes:
    """Return all figures on one sheet, two beside each other, as a PNG; without any, an empty sheet."""
    names = drawable(card)
    rows = [names[start : start + 2] for start in range(0, len(names), 2)]
    heights = [max(_height(name, card) for name in row) + 0.5 for row in rows]
    with matplotlib.rc_context({**_style("sheet"), "savefig.facecolor": "white"}):
        figure = Figure(figsize=(13.0, max(1.0, sum(heights))), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(max(1, len(rows)), 2, height_ratios=heights or [1.0], hspace=0.06, wspace=0.06)
        for index, row in enumerate(rows):
            for column, name in enumerate(row):
                title, draw = FIGURES[name]
                axes = figure.add_subplot(grid[index, column])
                axes.tick_params(length=0, pad=6)
                draw(axes, card)
                axes.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=30)
                axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize=9, columnspacing=1.2)
                if _height(name, card) < heights[index] - 1:  # beside a taller one
                    axes.set_box_aspect(0.62)
                    axes.set_anchor("N")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
