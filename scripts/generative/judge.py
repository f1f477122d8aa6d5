"""`generative judge`: train the network that judges all models of a data set, or show what it knows."""

from collections.abc import Sequence
from pathlib import Path

from generative.core.cache import cache_folder
from generative.features.judging import FOLDER
from generative.runs.run_folder import Choice
from scripts.generative.data.data_sets import load
from scripts.generative.runs.judges import judge_of
from scripts.generative.runs.request import JudgeOptions


def main(choice: Choice, options: JudgeOptions) -> Sequence[str]:
    """Train the judge where there is none yet, and return how often it is right about held-out images.

    Raises:
        ComponentError: the data are no images.
    """
    judge = judge_of(choice, load(choice), options.device, FOLDER if options.ship else None)
    lines = [f"{name:22} {share:6.1%} right" for name, share in judge.right.items()]
    return [*(lines or ["knows only intact images from spoiled ones"]), f"judge: {place(judge.key)}"]


def place(key: str) -> Path:
    """Return the folder of a judge."""
    return FOLDER / key if (FOLDER / key).is_dir() else cache_folder() / "judges" / key
