"""The judge of a run's data: which images it learns from, and the training where there is none yet.

A judge knows nothing of the model. Of data that are drawn by a seed it learns from another seed's images, so it shares
none with the model. Of other data it learns from every second training item, and figures are made of the rest.
"""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from generative.core.facts import Facts
from generative.data import Data
from generative.features.extractors import Extractor, judge_extractor
from generative.features.judging import KeptJudge, Learning, Lessons, kept_judge, learn
from generative.runs.run_folder import Choice
from scripts.generative.data.data_sets import DATA, load, path_options
from scripts.terminal.progress import show
from worldmodels.run.folder import Progress

OWN_SEED = 7919
"""Of drawn data that judges learn from; a model that learned from that very seed gets a judge of the next one."""
OWN_COUNT = 12_000
"""Drawn items that judges learn from and are tested on."""


def lessons(choice: Choice, data: Data) -> Lessons:
    """Return what the judge of a data set learns from."""
    if not is_drawn(choice):
        return Lessons.of(data, np.arange(0, len(data), 2))
    own = {"seed": OWN_SEED + (choice.options.get("seed", 0) == OWN_SEED)}
    if "count" in _options(choice):
        own["count"] = OWN_COUNT
    return Lessons.of(load(replace(choice, options={**choice.options, **own})))


def unseen(choice: Choice, data: Data) -> Int64[np.ndarray, " N"]:
    """Return the positions of the training items that its judge did not learn from."""
    return np.arange(len(data)) if is_drawn(choice) else np.arange(1, len(data), 2)


def is_drawn(choice: Choice) -> bool:
    """Return whether a data set is drawn by a seed, so that there are as many others of its kind as one likes."""
    return "seed" in _options(choice) and not path_options(choice.type)


def _options(choice: Choice) -> set[str]:
    return {each.name for each in fields(DATA.find(choice.type))}


def judge_of(choice: Choice, data: Data, device: str = "cpu", folder: Path | None = None) -> KeptJudge:
    """Return the judge of a data set; it is trained now where there is none yet, and the terminal shows how far.

    Args:
        choice: name and options of the data.
        data: the data.
        device: where it is trained.
        folder: where it is kept; the user's cache by default.
    """
    known, learning = lessons(choice, data), Learning()
    if kept_judge(known, learning) is None:
        show(_progress(learn(known, learning, device=device, folder=folder), learning.steps))
    found = kept_judge(known, learning)
    assert found is not None
    return found


def as_extractor(choice: Choice, judge: KeptJudge) -> Extractor:
    """Return what sees images as a judge does."""
    return judge_extractor(judge.judge, choice.type)


def _progress(rows: Iterator[Facts], steps: int) -> Iterator[Progress]:
    for row in rows:
        yield Progress("judge", int(row["step"]), steps, "steps", row)
