"""The protocol of every published score: raw reward on held-out tracks, whole episodes, no training wrappers."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from generative.core.facts import Facts
from worldmodels.rollouts.play import Played
from worldmodels.statistics import Summary, paired_difference, summarise

COLUMNS = ("track", "return", "steps", "frames", "terminated", "tiles", "lap")


def episode_row(track: int, played: Played, state_names: Sequence[str]) -> Facts:
    """Return an episode as a row of `episodes.csv`; `tiles` is the share of tiles visited, empty where unknown."""
    tiles = ""
    if "tiles_visited" in state_names:
        tiles = f"{played.state[list(state_names).index('tiles_visited')]:.4f}"
    return {
        "track": track,
        "return": played.score,
        "steps": played.steps,
        "frames": played.frames,
        "terminated": int(played.terminated),
        "tiles": tiles,
        "lap": int(played.lap),
    }


def episodes_csv(rows: Sequence[Facts]) -> str:
    """Return rows as CSV text in the order of tracks."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["track"]))
    return text.getvalue()


def summarise_rows(rows: Sequence[Facts]) -> tuple[Summary, Facts]:
    """Return the summary of the rows' returns, and it as plain data with the frames they took."""
    ordered = sorted(rows, key=lambda row: row["track"])
    summary = summarise(np.array([row["return"] for row in ordered]), seed=0)
    return summary, {**asdict(summary), "env_frames": sum(row["frames"] for row in ordered)}


def paired_rows(rows: Sequence[Facts], others: Sequence[Facts]) -> Facts:
    """Return the difference `rows - others` in return on the tracks that both hold, as plain data.

    Raises:
        ValueError: if they share no track.
    """
    returns = {row["track"]: row["return"] for row in others}
    shared = sorted((row for row in rows if row["track"] in returns), key=lambda row: row["track"])
    ours = np.array([row["return"] for row in shared])
    return asdict(paired_difference(ours, np.array([returns[row["track"]] for row in shared]), seed=0))


def median_track(rows: Sequence[Facts]) -> int:
    """Return the track of an episode of median return (the lower one of two)."""
    ordered = sorted(rows, key=lambda row: (row["return"], row["track"]))
    return int(ordered[(len(ordered) - 1) // 2]["track"])
