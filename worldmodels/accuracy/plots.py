"""The card's figures: one function for each, and all of them on one sheet."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FixedLocator, NullLocator

from generative.core.facts import Facts, FactsView
from generative.report.images import column, row
from generative.report.plots import (
    BLUE,
    DASHED,
    GREY,
    ORANGE,
    PURPLE,
    TEAL,
    legend_above,
    one_panel,
    picture,
    styled,
)

COLOURS = {"random": TEAL, "on-policy": BLUE, "mixed": ORANGE}
FEATURES = {"z": (GREY, "z"), "z+h": (BLUE, "z and h"), "z+untrained": (PURPLE, "z and an untrained memory's h")}
Card = FactsView
Draw = Callable[[Axes, Card], None]


def measured(card: Card, part: str) -> Facts:
    """Return a part of the card by set, without the sets where it was left out."""
    found = {name: content.get(part) for name, content in card["sets"].items()}
    return {name: content for name, content in found.items() if content and "skipped" not in content}


def draw_open_loop(axes: Axes, card: Card) -> None:
    """Draw the energy score above vision's noise over horizons, with its interval, compared with persistence."""
    for name, content in measured(card, "open_loop").items():
        _over_horizons(axes, name, content["horizons"], content["excess"])
    _horizon_axes(axes, card, "energy score above vision's noise")


def draw_pixels(axes: Axes, card: Card) -> None:
    """Draw the squared error of decoded dreams above vision's own over horizons, compared with persistence."""
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
    axes.plot([], [], color=GREY, label="persistence", **DASHED)
    axes.set_xlabel("steps ahead")
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


@styled
def drawn(name: str, card: Card, on: SubFigure | None = None) -> Figure:
    """Return one of the figures, drawn on a part of another one where that is given."""
    draw = FIGURES[name][1]
    figure, axes = one_panel(_height(name, card), on=on)
    draw(axes, card)
    legend_above(axes)
    return figure


def _height(name: str, card: Card) -> float:
    """Return the height of a figure in inches: probes need a row for each state."""
    chosen = probed_set(card)
    if name != "probes" or chosen is None:
        return 3.4
    return 1.2 + 0.36 * len(card["sets"][chosen]["probes"]["names"])


def sheet(card: Card) -> UInt8[np.ndarray, "H W 3"] | None:
    """Return all figures in one picture, two in a row, each under its title; None if there are none."""
    figures = []
    for name in drawable(card):
        figure = drawn(name, card)
        figure.suptitle(FIGURES[name][0], x=0.02, ha="left", fontsize=13, fontweight="bold")
        figures.append(picture(figure))
    rows = [row(figures[start : start + 2], 20) for start in range(0, len(figures), 2)]
    return column(rows, 20) if rows else None
