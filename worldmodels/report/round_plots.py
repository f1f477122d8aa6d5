"""The figure of a loop: what its rounds reached, for how many real frames."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from worldmodels.evolution.loop import round_name
from worldmodels.report.plots import BLUE, DASHED, GREY, ORANGE, PURPLE, TEAL, _legend_above, _panels, _style, _svg
from worldmodels.statistics import Summary


def rounds_curve(
    curve: Sequence[Mapping[str, Any]],
    finals: Sequence[Mapping[str, Any]] = (),
    chosen: int | None = None,
    baseline: Summary | None = None,
    name: str = "rounds",
) -> str:
    """Draw real return over real frames, and below it, on an axis of its own, what a step of the dream paid.

    Args:
        curve: rows as in `rounds/curve.jsonl`, each point with the name of its round.
        finals: rows of the rounds that were measured again, with `final`.
        chosen: number of the chosen round.
        baseline: the random policy's returns.
        name: of the figure, for ids.

    Raises:
        ValueError: no rounds.
    """
    if not curve:
        raise ValueError("curve=[]: nothing to draw; leave the figure out")
    dreamt = [row for row in curve if row["dream_reward"] is not None]
    with matplotlib.rc_context(_style(name)):
        labels = ["real return", *(["dream: return a step"] if dreamt else [])]
        figure, axes = _panels([3.0, 1.9][: len(labels)], f"real frames{_unit(curve)}", labels)
        at = {row["round"]: row["frames"] / _scale(curve) for row in curve}
        _interval(axes[0], at, curve, "validation", BLUE, "validation (95 %)")
        if finals:
            _interval(axes[0], at, finals, "final", ORANGE, "measured again (95 %)", shift=0.012 * max(at.values()))
        picked = next((row for row in finals if row["round"] == chosen), None)
        if picked is not None:
            place = at[picked["round"]] + 0.012 * max(at.values())
            axes[0].scatter([place], [picked["final"]["mean"]], s=170, facecolors="none", edgecolors=TEAL,
                            linewidths=2, label="chosen", zorder=4)  # fmt: skip
        if baseline is not None:
            axes[0].axhline(baseline.mean, color=GREY, label="random policy", **DASHED)
        for row in curve:
            axes[0].annotate(round_name(row["round"]), (at[row["round"]], row["validation"]["mean"]), fontsize=9,
                             xytext=(-5, 6), textcoords="offset points", ha="right")  # fmt: skip
        axes[0].margins(x=0.06)
        _legend_above(axes[0])
        if dreamt:
            axes[1].plot([at[row["round"]] for row in dreamt], [row["dream_reward"] for row in dreamt], color=PURPLE,
                         marker="o", markersize=4.5)  # fmt: skip
        return _svg(figure, name, "Real return over real frames, round by round")


def _scale(curve: Sequence[Mapping[str, Any]]) -> float:
    most = max(row["frames"] for row in curve)
    return 1e6 if most >= 2e6 else 1e3 if most >= 2e4 else 1.0


def _unit(curve: Sequence[Mapping[str, Any]]) -> str:
    return {1e6: ", millions", 1e3: ", thousands", 1.0: ""}[_scale(curve)]


def _interval(
    axes: Axes,
    at: Mapping[int, float],
    rows: Sequence[Mapping[str, Any]],
    key: str,
    colour: str,
    label: str,
    shift: float = 0.0,
) -> None:
    mean = np.array([row[key]["mean"] for row in rows], dtype=float)
    low, high = (np.array([row[key][bound] for row in rows], dtype=float) for bound in ("ci_low", "ci_high"))
    axes.errorbar(
        [at[row["round"]] + shift for row in rows],
        mean,
        yerr=[np.maximum(0.0, mean - low), np.maximum(0.0, high - mean)],
        color=colour,
        linestyle="none" if shift else "-",
        marker="o",
        markersize=4.5,
        elinewidth=1.4,
        label=label,
    )
