"""The report's section on a loop: what its rounds reached, for how many real frames, and why one was chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from worldmodels.evolution.loop import LoopConfig, best_round, round_name
from worldmodels.report.page import duration, number, plot, table
from worldmodels.report.round_plots import rounds_curve
from worldmodels.statistics import Summary


@dataclass(frozen=True)
class Rounds:
    """What is known of a loop's rounds."""

    config: LoopConfig
    curve: Sequence[Mapping[str, Any]]
    """Rows of `rounds/curve.jsonl`."""
    finals: Sequence[Mapping[str, Any]] = ()
    """Rows of `rounds/top_k.jsonl`: the rounds that were measured again."""
    chosen: int | None = None
    """The chosen round; None while the loop is under way."""


def rounds_section(rounds: Rounds, baseline: Summary | None) -> str:
    """Return the section's HTML: the choice in words, the figure, a table."""
    said = " ".join([*choice(rounds), *course(rounds)])
    if not rounds.curve:
        return f"<p>{escape(said)}</p>"
    caption = (
        "Above: mean return on validation tracks, or on recorded training tracks. Below: what a step of the dream paid "
        "the last generation on average, in the memory's own unit: each round has another memory. Numbers are rounds."
    )
    if all(row["dream_reward"] is None for row in rounds.curve):
        caption = "Mean return on validation tracks. Numbers are rounds."
    figure = rounds_curve(rounds.curve, rounds.finals, rounds.chosen, baseline)
    return f"<p>{escape(said)}</p>" + plot(figure, caption) + _table(rounds)


def choice(rounds: Rounds) -> list[str]:
    """Say in sentences which round was chosen and why."""
    curve, count = rounds.curve, rounds.config.rounds
    if rounds.chosen is None or not rounds.finals:
        said = [f"{len(curve)} of {count} rounds are finished; none is chosen yet."]
        if curve:
            best = best_round([dict(row) for row in curve])
            said.append(f"The best so far is round {round_name(best['round'])} with {_mean(best['validation'])}.")
        return said
    name = round_name(rounds.chosen)
    last = round_name(curve[-1]["round"])
    said = [f"Of {len(curve)} rounds, 00 to {last}, round {name} was chosen."]
    measured = {row["round"]: row for row in rounds.finals}
    if len(measured) == 1:
        return [*said, f"Its validation was the best: {_mean(measured[rounds.chosen]['validation'])}."]
    best = best_round([dict(row) for row in curve])
    said.append(
        f"The {len(measured)} with the best validation drove further validation tracks, "
        f"and it made the most of them there: {_mean(measured[rounds.chosen]['final'])}."
    )
    if best["round"] != rounds.chosen:
        again = measured[best["round"]]["final"] if best["round"] in measured else None
        said.append(
            f"Round {round_name(best['round'])} had validated highest ({number(best['validation']['mean'])})"
            + (f", and made {number(again['mean'])} there." if again else ".")
        )
    return said


def course(rounds: Rounds) -> list[str]:
    """Say in sentences which rounds did not go on from the one before."""
    said = []
    for before, row in zip(rounds.curve, rounds.curve[1:], strict=False):
        name, start = round_name(row["round"]), row["started_at"]
        if start and start != round_name(before["round"]):
            said.append(
                f"Round {name} went back to the controller of round {start}: the dream of round "
                f"{round_name(before['round'])} promised more while the real world paid less."
            )
        elif not start:
            said.append(f"Round {name} evolved from scratch.")
    return said


def _mean(summary: Mapping[str, Any]) -> str:
    return f"{number(summary['mean'])} (95 % {number(summary['ci_low'])} to {number(summary['ci_high'])})"


def _table(rounds: Rounds) -> str:
    finals = {row["round"]: row["final"] for row in rounds.finals}
    rows = []
    for row in rounds.curve:
        name = round_name(row["round"])
        rows.append(
            [
                f"<b>{name}, chosen</b>" if row["round"] == rounds.chosen else name,
                f"{row['frames']:,}",
                _cell(row["validation"]),
                _cell(finals[row["round"]]) if row["round"] in finals else "",
                _figure(row["dream_reward"]),
                escape(row["started_at"] or "zeros"),
                _figure(row["squared_error"]),
                _figure(row["nll"]),
                duration(row["seconds"]),
            ]
        )
    columns = ["round", "real frames", "validation", "measured again", "dream, a step", "began at",
               "vision error", "memory NLL", "time"]  # fmt: skip
    return table(columns, rows)


def _cell(summary: Mapping[str, Any]) -> str:
    interval = f"{number(summary['ci_low'])} to {number(summary['ci_high'])}"
    return f'<span>{number(summary["mean"])} <small class="muted">{interval}</small></span>'


def _figure(value: float | None) -> str:
    return "n/a" if value is None else number(value, 3)
