"""The stages of a run, one file each. Every stage is a generator over an open run that yields its progress.

    from scripts.stages import collect, train_vision, train_memory, evolve, evaluate

The console command `worldmodels STAGE` drives the same functions; `worldmodels run` drives all in order.
"""

from collections.abc import Callable, Iterator

from scripts.accuracy import accuracy
from scripts.collect import collect
from scripts.dream import dream
from scripts.evaluate import evaluate
from scripts.evolve import evolve
from scripts.loop import loop
from scripts.report import report
from scripts.train_memory import train_memory
from scripts.train_vision import train_vision
from worldmodels.config import RunConfig
from worldmodels.evolution.rounds import LEARNT
from worldmodels.run.folder import Progress, Run

STAGE_FUNCTIONS: dict[str, Callable[[Run], Iterator[Progress]]] = {
    "loop": loop,
    "collect": collect,
    "train-vision": train_vision,
    "train-memory": train_memory,
    "evolve": evolve,
    "evaluate": evaluate,
    "dream": dream,
    "accuracy": accuracy,
    "report": report,
}

EXTRA = ("accuracy",)
"""Stages that `run` leaves out: nothing later needs them."""


def stages_of(command: str, config: RunConfig) -> list[str]:
    """Return the stages that a command runs, in order; a loop stands for the stages of its rounds."""
    if command != "run":
        return [command]
    replaced = LEARNT if config.loop.rounds else ("loop",)
    return [stage for stage in STAGE_FUNCTIONS if stage not in (*replaced, *EXTRA)]
