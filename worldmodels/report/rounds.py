"""The report's section on a loop: what its rounds reached, for how many real frames, and why one was chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from generative.core.facts import Facts, FactsView
from generative.report.pages import Remark, duration, number
from worldmodels.evolution.rounds import best_round, round_name

COLUMNS = ("round", "real frames", "validation", "re-evaluated", "dream step", "started from",
           "vision error", "memory NLL", "time")  # fmt: skip


@dataclass(frozen=True)
class Rounds:
    """What is known of a loop's rounds."""

    asked: int
    """How many rounds the configuration asks for."""
    curve: Sequence[FactsView]
    """Rows of `rounds/curve.jsonl`."""
    finals: Sequence[FactsView] = ()
    """Rows of `rounds/top_k.jsonl`: the rounds that were evaluated again, with `final`."""
    chosen: int | None = None
    """The chosen round; None while the loop is under way."""


def rounds_values(rounds: Rounds, figure: Markup | str) -> Facts:
    """Return what the section shows: the choice in words, the figure with its caption, a table."""
    said = " ".join([*choice(rounds), *course(rounds)])
    if not rounds.curve:
        return {"said": said, "figure": "", "caption": "", "columns": COLUMNS, "rows": []}
    caption = "Above: mean return on validation tracks. Numbers are rounds."
    if any(row["dream_reward"] is not None for row in rounds.curve):
        caption += (
            " Below: mean return per step of the last generation's dreams, in the memory's own unit. Each round has "
            "another memory."
        )
    return {"said": said, "figure": figure, "caption": caption, "columns": COLUMNS, "rows": _rows(rounds)}


def choice(rounds: Rounds) -> list[str]:
    """Say in sentences which round was chosen and why."""
    curve, count = rounds.curve, rounds.asked
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
    best, final = best_round([dict(row) for row in curve]), measured[rounds.chosen]["final"]
    said.append(
        f"The {len(measured)} best validated rounds were evaluated again on {final['episodes']} further validation "
        f"tracks. There it had the highest return: {_mean(final)}."
    )
    if best["round"] != rounds.chosen:
        again = measured[best["round"]]["final"] if best["round"] in measured else None
        said.append(
            f"Round {round_name(best['round'])} had the highest validation ({number(best['validation']['mean'])})"
            + (f", and reached {number(again['mean'])} there." if again else ".")
        )
    return said


def course(rounds: Rounds) -> list[str]:
    """Say in sentences which rounds did not go on from the one before."""
    said = []
    for before, row in zip(rounds.curve, rounds.curve[1:], strict=False):
        name, start, last = round_name(row["round"]), row["started_at"], round_name(before["round"])
        if start and start != last:
            said.append(
                f"Round {name} went back to the controller of round {start}: the dream of round {last} promised more "
                "while the real return fell."
            )
        elif not start:
            said.append(f"Round {name} evolved from scratch.")
    return said


def _mean(summary: FactsView) -> str:
    return f"{number(summary['mean'])} (95 % {_interval(summary)})"


def _interval(summary: FactsView) -> str:
    return f"{number(summary['ci_low'])} to {number(summary['ci_high'])}"


def _rows(rounds: Rounds) -> list[list[object]]:
    finals = {row["round"]: row["final"] for row in rounds.finals}
    return [
        [
            f"{round_name(row['round'])}, chosen" if row["round"] == rounds.chosen else round_name(row["round"]),
            f"{row['frames']:,}",
            _cell(row["validation"]),
            _cell(finals[row["round"]]) if row["round"] in finals else None,
            _figure(row["dream_reward"]),
            row["started_at"] or "scratch",
            _figure(row["squared_error"]),
            _figure(row["nll"]),
            duration(row["seconds"]),
        ]
        for row in rounds.curve
    ]


def _cell(summary: FactsView) -> Remark:
    return Remark(number(summary["mean"]), _interval(summary))


def _figure(value: float | None) -> str:
    return "n/a" if value is None else number(value, 3)
