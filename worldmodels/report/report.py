"""The run at a glance: everything a run folder knows, as one HTML file that opens anywhere.

The headline is the mean return on test tracks with its interval, the number of tracks and the random policy's score; a
best episode is never a headline. A stage that has not run is named together with the command that runs it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from markupsafe import Markup

from generative.core.facts import Facts, FactsView
from generative.report.pages import Share, duration, number, render
from generative.report.plots import Breaks, Drawing, loss_curves, svg
from worldmodels.accuracy.verdict import Verdict
from worldmodels.report.plots import learning_curve, return_strip, rounds_curve
from worldmodels.report.rounds import Rounds, rounds_values
from worldmodels.statistics import SOLVED_RETURN, Summary


@dataclass(frozen=True)
class TrainedPart:
    """What is known of a trained part."""

    history: Sequence[FactsView] = ()
    """Rows with `step` and `train_loss` and/or `held_out_loss`."""
    loss: str = "loss"
    """What the loss is, with its unit."""
    baselines: Mapping[str, float | int] = field(default_factory=dict)
    """Losses to compare with, by name."""
    breaks: Breaks = ()
    """Steps at which a round begins, with its name."""
    verdict: str = ""
    """A sentence."""
    measured: str = ""
    """What `measures` are, with their unit."""
    measures: Mapping[str, float | int | None] = field(default_factory=dict)
    """Figures by name; None where something was not measured."""


@dataclass(frozen=True)
class ReportData:
    """What the page shows, in plain types; every field but `name` may stay empty.

    Rows and dicts may carry further keys, which are ignored unless said otherwise. None stands for "not
    measured".
    """

    name: str
    """The run, as its commands name it: it stands in the title and in `worldmodels STAGE name`."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What was run, shown in this order: preset, environment, action repeat, the wrapper that stops training
    episodes early (say "training only"), seeds, commit, versions, hardware."""
    summary: Summary | None = None
    """Returns on the test tracks; the headline."""
    baseline: Summary | None = None
    """The random policy's returns, best on the same tracks."""
    generations: Sequence[FactsView] = ()
    """One row per generation: `generation`, `mean`, `best`, `worst`, `std` of the population's returns,
    optionally `quantile_10` and `quantile_90`; `validation` (None or `mean`, `ci_low`, `ci_high` of the
    distribution's mean on validation tracks); `frames` simulated; `seconds` in all; `timings` (part ->
    seconds, parts do not overlap). Those of a loop's rounds follow one another."""
    dreamt: bool = False
    """Whether the population's returns are those of dreams."""
    breaks: Breaks = ()
    """Generations at which a round begins, with its name."""
    rounds: Rounds | None = None
    """What a loop's rounds reached; None without a loop."""
    verdict: Verdict | None = None
    """What the figures of the world model mean; None as long as there is none."""
    vision: TrainedPart | None = None
    memory: TrainedPart | None = None
    images: Mapping[str, bytes] = field(default_factory=dict)
    """PNG files by name: "rollouts" and "reconstructions"."""
    drive: bytes = b""
    """Film of a drive on a test track; empty where there is none."""
    dreams: Mapping[str, bytes] = field(default_factory=dict)
    """Films and PNG files of dreams by name, in the order of the page."""
    dream_captions: Mapping[str, str] = field(default_factory=dict)
    """What they show, by name; `not_filmed` says why there is nothing to see."""
    episodes: Sequence[FactsView] = ()
    """One row per test episode; its keys are the columns: `seed`, `return`, `steps`, `tiles`, `lap`..."""
    config_yaml: str = ""
    """The resolved config."""
    round_differences: Sequence[tuple[str, str, str]] = ()
    """Fields that the chosen round has otherwise than its loop: name, the loop's value, the round's."""
    warnings: Sequence[str] = ()
    """What a reader must know before believing the figures, such as a collapsed posterior."""
    command: str = ""
    """The commands that reproduce the run."""


def drawings(data: ReportData) -> dict[str, Drawing]:
    """Return what draws each figure for which the run has something by now, by the title of its section."""
    found: dict[str, Drawing] = {}
    rounds, score = data.rounds, data.summary
    if rounds and rounds.curve:
        found["Rounds"] = lambda on: rounds_curve(rounds.curve, rounds.finals, rounds.chosen, data.baseline, on)
    if score is not None and data.episodes and all(row.get("return") is not None for row in data.episodes):
        returns = np.array([row["return"] for row in data.episodes], dtype=np.float64)
        found["Test tracks"] = lambda on: return_strip(returns, score, data.baseline, on)
    if data.generations:
        found["Learning"] = lambda on: learning_curve(data.generations, data.baseline, data.dreamt, data.breaks, on)
    for title, part in (("Vision", data.vision), ("Memory", data.memory)):
        if part and part.history:
            found[title] = partial(loss_curves, part.history, part.baselines, part.loss, part.breaks)
    return found


def _drawn(data: ReportData, title: str, name: str, says: str) -> Markup | str:
    draw = drawings(data).get(title)
    return "" if draw is None else svg(draw(None), name, says)


def render_report(data: ReportData) -> str:
    """Return the page as one HTML document that needs no other file.

    Raises:
        ValueError: a picture or film is none that a page can show.
    """
    columns = list(dict.fromkeys(key for row in data.episodes for key in row))
    return render(
        __package__,
        "report.html",
        title=data.name,
        kind="worldmodels run",
        facts=data.facts,
        warnings=data.warnings,
        data=data,
        score=headline(data.summary, data.baseline),
        rounds=rounds_values(data.rounds, _drawn(data, "Rounds", "rounds", "Real return by frames"))
        if data.rounds
        else None,
        returns=_drawn(data, "Test tracks", "returns", "Return per test track"),
        episodes=(columns, [[row.get(column) for column in columns] for row in data.episodes]),
        learning=_learning(data),
        timings=timings(data.generations),
        trained={
            name: _trained(data, part, name)
            for name, part in (("vision", data.vision), ("memory", data.memory))
            if part
        },
    )


def headline(score: Summary | None, baseline: Summary | None) -> Facts:
    """Return the headline's numbers as text; none without an evaluation."""
    if score is None:
        return {}
    return {
        "tracks": "1 test track" if score.episodes == 1 else f"{score.episodes:,} test tracks",
        "mean": number(score.mean),
        "interval": _interval(score),
        "tiles": {
            "median": number(score.median),
            "worst 5 %": number(score.worst_5_percent),
            "std": number(score.std) if score.episodes > 1 else "n/a",
            f"at least {SOLVED_RETURN:.0f}": f"{100 * score.success_rate:.0f} %",
        },
        "baseline": baseline and (number(baseline.mean), f"{_interval(baseline)}, {baseline.episodes:,} tracks"),
    }


def _interval(summary: Summary) -> str:
    if summary.episodes == 1:
        return "one episode: no interval"
    return f"95 % interval {number(summary.ci_low)} to {number(summary.ci_high)}"


def _learning(data: ReportData) -> tuple[Markup | str, str]:
    """Return the figure of evolution and its caption."""
    if not data.generations:
        return "", ""
    last = next((row["validation"] for row in reversed(data.generations) if row.get("validation")), None)
    caption = "The population's returns are those of selection; each best is a lucky maximum, not a score."
    if data.dreamt:
        caption += " They are returns of dreams, penalties included, so validation has an axis of its own."
    if data.breaks:
        caption += " Lines: where a round begins. Each round has another memory, and so other dreams."
    if last:
        caption += f" Last validation of the distribution's mean: {number(last['mean'])}"
        caption += f" (95 % {number(last['ci_low'])} to {number(last['ci_high'])})."
    return _drawn(data, "Learning", "learning", "Return over generations"), caption


def timings(generations: Sequence[FactsView]) -> tuple[list[tuple[object, ...]], str]:
    """Return where a generation's time went, as rows: parts by size, what no part claims last; and the time in all."""
    parts: dict[str, float] = {}
    for row in generations:
        for part, seconds in (row.get("timings") or {}).items():
            parts[part] = parts.get(part, 0.0) + seconds
    if not parts:
        return [], ""
    total = sum(row.get("seconds") or 0.0 for row in generations)
    ordered = sorted(parts.items(), key=lambda item: -item[1])
    unclaimed = total - sum(parts.values())
    total = max(total, sum(parts.values()))
    if unclaimed > 0.005 * total:
        ordered.append(("other", unclaimed))
    rows: list[tuple[object, ...]] = []
    for part, seconds in ordered:
        share = seconds / total if total else 0.0
        rows.append((part, f"{seconds / len(generations):.2f} s", f"{100 * share:.0f} %", Share(share)))
    frames = sum(row.get("frames") or 0 for row in generations)
    speed = f", {frames:,} frames at {frames / total:,.0f} per second" if frames and total else ""
    return rows, f"{len(generations):,} generations in {duration(total)}{speed}."


def _trained(data: ReportData, part: TrainedPart, name: str) -> Facts:
    """Return the figure of a part's losses, its caption, and its measures as rows."""
    return {
        "figure": _drawn(data, name.capitalize(), f"{name}-loss", f"{part.loss} over optimiser steps"),
        "caption": "Lines: where a round's training begins; each holds out other episodes." if part.breaks else "",
        "rows": [(label, "n/a" if value is None else number(value, 4)) for label, value in part.measures.items()],
    }
