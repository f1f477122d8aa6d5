"""The table of a study: a row for every cell and seed, read from the cells' run folders, and what rows of a cell say.

Returns of two cells are compared on the same tracks and seeds. Intervals are percentile bootstraps in which seeds and
tracks are both drawn again, independently (Owen 2007, "The pigeonhole bootstrap"), since both are a sample of what
could have been; with few seeds they are still too narrow.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from generative.core.facts import FactsView
from worldmodels.accuracy.data import SETS
from worldmodels.files import read_json, read_lines
from worldmodels.run.folder import Run
from worldmodels.seeds import TEST
from worldmodels.statistics import Estimate, estimate, spearman, summarise
from worldmodels.study.study import TRACKS, Cell, Study

RESAMPLES = 4_000
BY_SET = {
    "nll_gain": "NLL gain over persistence, nats",
    "action_sensitivity": "action sensitivity, nats",
    "open_loop_10": "dream error after 10 steps, spreads",
    "open_loop_50": "dream error after 50 steps, spreads",
    "open_loop_10_share": "dream error after 10 steps, share of persistence",
    "open_loop_50_share": "dream error after 50 steps, share of persistence",
    "reward_r2": "R² of dreamt returns",
}
"""Figures of the accuracy card that are taken for every set of held-out episodes."""
OF_CONTROLLERS = {
    "agreement": "rank correlation of dream and real return",
    "regret_share": "regret, share of the range",
}
"""Figures of the accuracy card on controllers of many qualities."""


@dataclass(frozen=True)
class Row:
    """What a cell with one seed came to."""

    cell: Cell
    state: str
    """finished, unfinished, failed or impossible."""
    reason: str = ""
    """Why it is none of the first two."""
    returns: Mapping[int, float] = field(default_factory=dict)
    """Of the chosen controller, by track."""
    frames: int | None = None
    """Real frames before the measurement."""
    core_hours: float | None = None
    """Spent before the measurement; what is shared counts in full, as if the cell stood alone."""
    figures: Mapping[str, float | None] = field(default_factory=dict)
    """Of the accuracy card: `SET.FIGURE`, and those of `OF_CONTROLLERS`."""

    def figure(self, name: str, on: str) -> float | None:
        """Return a figure of `BY_SET` or `OF_CONTROLLERS` on a set of episodes."""
        return self.figures.get(name if name in OF_CONTROLLERS else f"{on}.{name}")


def measured_tracks(study: Study) -> range:
    """Return the tracks that a study measures on."""
    return (TRACKS if study.evaluate == "validation" else TEST)[: study.tracks]


def read_row(run: Run, cell: Cell, study: Study) -> Row:
    """Return the row of a cell whose controller is measured, from its run folder."""
    config = run.learnt
    folder = run.path / "validation" if study.evaluate == "validation" else run.folder("evaluate")
    env = config.env.id if study.evaluate == "validation" else config.evaluate.world(config.env.id)
    played = {line["track"]: line["return"] for line in read_lines(folder / "episodes.jsonl") if line["env"] == env}
    evolved, collected = run.done("evolve") or {}, run.done("collect") or {}
    spent = [line for line in read_lines(run.path / "spent.jsonl") if line["stage"] in LEARNING]
    hours = sum(line["seconds"] * line["cores"] for line in spent) / 3600
    return Row(
        cell,
        "finished",
        returns={track: played[track] for track in measured_tracks(study)},
        frames=sum(facts.get(name, 0) for facts in (collected, evolved) for name in ("env_frames", "start_frames")),
        core_hours=hours + evolved.get("start_core_hours", 0.0),
        figures=card_figures(read_json(run.folder("accuracy") / "card.json", AGAIN)) if study.accuracy else {},
    )


AGAIN = "remove the folder it lies in and measured.json beside that, and run the study again"
LEARNING = ("loop", "collect", "train-vision", "train-memory", "evolve")
"""Stages whose core-hours are counted."""


def card_figures(card: FactsView) -> dict[str, float | None]:
    """Return the figures of a card that the table shows; None for what the card leaves out."""
    found: dict[str, float | None] = {}
    for name in SETS:
        part = card["sets"].get(name, {})
        found[f"{name}.nll_gain"] = _value(part, "one_step", "gain", "persistence", "value")
        found[f"{name}.action_sensitivity"] = _value(part, "one_step", "action_sensitivity", "value")
        for horizon in (10, 50):
            ours, theirs = (_at(part.get("open_loop") or {}, horizon, who) for who in ("memory", "persistence"))
            found[f"{name}.open_loop_{horizon}"] = ours
            found[f"{name}.open_loop_{horizon}_share"] = ours / theirs if ours is not None and theirs else None
        found[f"{name}.reward_r2"] = _value(part, "reward", "open_loop", "r2", "value")
    found["agreement"] = _value(card["agreement"], "spearman", "value")
    found["regret_share"] = _value(card["agreement"], "regret_share")
    return found


def _value(part: Any, *names: str) -> float | None:
    for name in names:
        part = part.get(name) if isinstance(part, Mapping) else None
    return None if part is None else float(part)


def _at(open_loop: FactsView, horizon: int, who: str) -> float | None:
    """Return an energy score at a horizon."""
    if horizon not in open_loop.get("horizons", ()):
        return None
    return _value(open_loop["energy"][who][open_loop["horizons"].index(horizon)], "value")


def fields_of(study: Study) -> list[str]:
    """Return the fields in which cells differ from the base."""
    return list(dict.fromkeys(name for fields in study.cells.values() for name in fields))


def table_csv(study: Study, rows: Sequence[Row]) -> str:
    """Return the table as CSV text, a line for every cell and seed; what is not known stays empty."""
    varied = fields_of(study)
    figures = [*(f"{on}.{name}" for on in SETS for name in BY_SET), *OF_CONTROLLERS]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["cell", "seed", "optimiser_seed", "folder", "state", "reason", *varied,
                     "return", "ci_low", "ci_high", "tracks", "frames", "core_hours", *figures])  # fmt: skip
    for row in rows:
        cell = row.cell
        summary = summarise(np.array(list(row.returns.values())), seed=0) if row.returns else None
        score = [summary.mean, summary.ci_low, summary.ci_high, summary.episodes] if summary else [None] * 4
        hours = None if row.core_hours is None else round(row.core_hours, 5)
        writer.writerow([
            cell.name, cell.seed, cell.optimiser_seed, f"cells/{cell.folder}", row.state, row.reason,
            *(_text(cell.overrides.get(name)) for name in varied),
            *score, row.frames, hours, *(row.figures.get(name) for name in figures),
        ])  # fmt: skip
    return text.getvalue()


def _text(value: object) -> object:
    return json.dumps(value) if isinstance(value, list | dict) else value


@dataclass(frozen=True)
class CellSummary:
    """What all seeds of a cell say together."""

    name: str
    rows: Sequence[Row]
    """The finished ones."""
    expected: int
    """How many there should be."""
    score: Estimate | None
    """Mean return over seeds and tracks."""
    difference: Estimate | None
    """Mean return minus the first cell's, on the seeds and tracks of both."""


def summaries(study: Study, rows: Sequence[Row]) -> list[CellSummary]:
    """Return the summary of every cell, in order."""
    by_cell = {name: [row for row in rows if row.cell.name == name] for name in study.cells}
    finished = {name: [row for row in mine if row.returns] for name, mine in by_cell.items()}
    first = next(iter(study.cells))
    return [
        CellSummary(
            name,
            finished[name],
            len(by_cell[name]),
            crossed(_matrix(finished[name])) if finished[name] else None,
            None if name == first else _difference(finished[name], finished[first]),
        )
        for name in study.cells
    ]


def _matrix(rows: Sequence[Row]) -> Float[np.ndarray, "S E"]:
    tracks = sorted(rows[0].returns)
    return np.array([[row.returns[track] for track in tracks] for row in rows], dtype=np.float64)


def _difference(rows: Sequence[Row], others: Sequence[Row]) -> Estimate | None:
    theirs = {(row.cell.seed, row.cell.optimiser_seed): row for row in others}
    pairs = [(row, theirs[key]) for row in rows if (key := (row.cell.seed, row.cell.optimiser_seed)) in theirs]
    if not pairs:
        return None
    return crossed(_matrix([row for row, _ in pairs]) - _matrix([other for _, other in pairs]))


def crossed(values: Float[np.ndarray, "S E"], seed: int = 0) -> Estimate:
    """Return the mean over S seeds and E tracks, with its interval over both; `seed` draws the resamples."""
    rng = np.random.default_rng(seed)
    weights = []
    for size in values.shape:
        drawn = rng.integers(size, size=(RESAMPLES, size))
        weights.append(np.stack([(drawn == index).mean(1) for index in range(size)], axis=1))  # (R size)
    means = (weights[0] @ values * weights[1]).sum(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(values.mean()), float(low), float(high), values.size)


def recipes(rows: Sequence[Row], name: str, on: str) -> Float[np.ndarray, "R 2"]:
    """Return a figure and the mean return of every cell and seed that has both, optimiser seeds averaged."""
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for row in rows:
        if row.returns and (value := row.figure(name, on)) is not None:
            score = float(np.mean(list(row.returns.values())))
            found.setdefault((row.cell.name, row.cell.seed), []).append((value, score))
    return np.array([np.mean(each, axis=0) for each in found.values()], dtype=np.float64).reshape(-1, 2)


def correlation(rows: Sequence[Row], name: str, on: str) -> Estimate | None:
    """Return Spearman's correlation of a figure with mean return over `recipes`; None for fewer than 3, or no spread.

    Optimiser seeds share a world model, so they say nothing more about what it is worth that it is accurate.
    """
    known = recipes(rows, name, on)
    if len(known) < 3:
        return None
    x, y = known.T

    def of(index: np.ndarray) -> float:
        return spearman(x[index], y[index]) if np.ptp(x[index]) > 0 and np.ptp(y[index]) > 0 else float("nan")

    return estimate(of, len(x), seed=0) if np.isfinite(of(np.arange(len(x)))) else None
