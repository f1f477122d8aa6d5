"""The figures of a run's report, each a function that returns a figure for `generative.report.plots.svg`."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from generative.core.facts import FactsView
from generative.report.plots import (
    BLUE,
    DASHED,
    GREY,
    ORANGE,
    POINTS,
    PURPLE,
    TEAL,
    Breaks,
    draw_breaks,
    draw_means,
    legend_above,
    markers,
    one_panel,
    panels,
    styled,
)
from worldmodels.statistics import SOLVED_RETURN, Summary

Rows = Sequence[FactsView]


@styled
def learning_curve(
    generations: Rows,
    baseline: Summary | None = None,
    dreamt: bool = False,
    breaks: Breaks = (),
    on: SubFigure | None = None,
) -> Figure:
    """Draw return over generations: the population, its best member, the validation of its mean.

    The band runs from `quantile_10` to `quantile_90` of the population where every row has them, else one standard
    deviation to each side of its mean.

    Args:
        generations: rows as in `ReportData.generations`.
        baseline: the random policy's returns.
        dreamt: whether the population's returns are those of dreams: they are in another unit than real ones, so
            validation then stands on axes of its own, below.
        breaks: generations at which something begins, with its name.
        on: a part of a figure to draw on; a figure of its own by default.

    Raises:
        ValueError: no generations.
    """
    if not generations:
        raise ValueError("generations=[]: nothing to draw; leave the figure out")
    labels = ["dream return", "real return"] if dreamt else ["return"]
    figure, axes = panels([2.6, 2.4] if dreamt else [3.6], "generation", labels, on)
    _draw_population(axes[0], generations)
    validated = [row for row in generations if row.get("validation")]
    if validated:
        draw_means(axes[-1], [row["generation"] for row in validated], [row["validation"] for row in validated], ORANGE,
                   "validation of the mean (95 %)")  # fmt: skip
    if baseline is not None:
        axes[-1].axhline(baseline.mean, color=GREY, label="random policy", **DASHED)
    for each in axes:
        draw_breaks(each, breaks, named=each is axes[0])
        each.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10], integer=True))
        legend_above(each)
    return figure


def _draw_population(axes: Axes, generations: Rows) -> None:
    x = [row["generation"] for row in generations]
    mean = np.array([row["mean"] for row in generations], dtype=float)
    if all("quantile_10" in row and "quantile_90" in row for row in generations):
        low, high = (np.array([row[f"quantile_{percent}"] for row in generations], float) for percent in (10, 90))
        band = "population 10 to 90 %"
    else:
        std = np.array([row["std"] for row in generations], dtype=float)
        low, high, band = mean - std, mean + std, "population ± std"
    axes.plot(x, mean, color=BLUE, label="population mean", **markers(len(x)))
    axes.fill_between(x, low, high, color=BLUE, alpha=0.16, linewidth=0, label=band)
    axes.plot(x, [row["best"] for row in generations], color=GREY, linewidth=1.2, label="population best")


@styled
def return_strip(
    returns: Float[np.ndarray, " E"], summary: Summary, baseline: Summary | None = None, on: SubFigure | None = None
) -> Figure:
    """Draw a dot per test track under a histogram, the mean with its 95 % interval, and the random policy.

    Raises:
        ValueError: no returns.
    """
    if len(returns) == 0:
        raise ValueError("returns is empty: nothing to draw; leave the figure out")
    figure, axes = one_panel(2.7, "return on one test track", on=on)
    counts, edges = np.histogram(returns, bins=min(40, max(8, round(len(returns) ** 0.5 * 2.5))))
    axes.bar(edges[:-1], counts / counts.max(), np.diff(edges), align="edge", color=BLUE, alpha=0.2, linewidth=0)
    jitter = (np.arange(len(returns)) * 0.6180339887) % 1.0  # golden ratio: neighbours fall far apart
    axes.scatter(np.sort(returns), -0.12 - 0.3 * jitter, s=13, color=BLUE, alpha=0.65, linewidths=0)
    label = f"mean {summary.mean:.1f}"
    if summary.episodes > 1:
        axes.plot([summary.ci_low, summary.ci_high], [1.13, 1.13], color=ORANGE, linewidth=6)
        label += f" (95 % {summary.ci_low:.1f} to {summary.ci_high:.1f})"
    axes.plot([summary.mean] * 2, [-0.46, 1.2], color=ORANGE, linewidth=2, label=label.replace("-", "−"))
    if baseline is not None:
        label = f"random policy {baseline.mean:.1f}".replace("-", "−")
        axes.axvline(baseline.mean, color=GREY, label=label, **DASHED)
    if axes.get_xlim()[1] > 0.8 * SOLVED_RETURN:
        axes.axvline(SOLVED_RETURN, color=TEAL, linestyle=":", linewidth=1.6, label=f"solved {SOLVED_RETURN:.0f}")
    axes.set_ylim(-0.52, 1.25)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    legend_above(axes)
    return figure


@styled
def rounds_curve(
    curve: Rows,
    finals: Rows = (),
    chosen: int | None = None,
    baseline: Summary | None = None,
    on: SubFigure | None = None,
) -> Figure:
    """Draw real return over real frames, and below it, on an axis of its own, the dream's return per step.

    Args:
        curve: rows as in `rounds/curve.jsonl`, each point with the name of its round.
        finals: rows of the rounds that were evaluated again, with `final`.
        chosen: number of the chosen round.
        baseline: the random policy's returns.
        on: a part of a figure to draw on; a figure of its own by default.

    Raises:
        ValueError: no rounds.
    """
    if not curve:
        raise ValueError("curve=[]: nothing to draw; leave the figure out")
    dreamt = [row for row in curve if row["dream_reward"] is not None]
    most = max(row["frames"] for row in curve)
    scale, unit = next(each for each in ((1e6, ", millions"), (1e3, ", thousands"), (1.0, "")) if most >= 2 * each[0]
                       and (most >= 2e4 or each[0] == 1))  # fmt: skip
    labels = ["real return", "dream: per step"][: 1 + bool(dreamt)]
    figure, axes = panels([3.0, 1.9][: len(labels)], f"real frames{unit}", labels, on)
    at = {row["round"]: row["frames"] / scale for row in curve}
    draw_means(axes[0], list(at.values()), [row["validation"] for row in curve], BLUE, "validation (95 %)")
    aside = {number: place + 0.012 * max(at.values()) for number, place in at.items()}
    if finals:
        draw_means(axes[0], [aside[row["round"]] for row in finals], [row["final"] for row in finals], ORANGE,
                   "top-k re-evaluation (95 %)", linestyle="none")  # fmt: skip
    for row in finals:
        if row["round"] == chosen:
            axes[0].scatter([aside[chosen]], [row["final"]["mean"]], s=170, facecolors="none", edgecolors=TEAL,
                            linewidths=2, label="chosen", zorder=4)  # fmt: skip
    if baseline is not None:
        axes[0].axhline(baseline.mean, color=GREY, label="random policy", **DASHED)
    for row in curve:
        axes[0].annotate(f"{row['round']:02d}", (at[row["round"]], row["validation"]["mean"]), fontsize=9,
                         xytext=(-5, 6), textcoords="offset points", ha="right")  # fmt: skip
    axes[0].margins(x=0.06)
    legend_above(axes[0])
    if dreamt:
        axes[1].plot([at[row["round"]] for row in dreamt], [row["dream_reward"] for row in dreamt], color=PURPLE,
                     **POINTS)  # fmt: skip
    return figure
