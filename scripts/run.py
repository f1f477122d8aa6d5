"""All stages in order, each from where it stands."""

from collections.abc import Callable, Iterator

from scripts.collect import collect
from scripts.dream import dream
from scripts.evaluate import evaluate
from scripts.evolve import evolve
from scripts.report import report
from scripts.train_memory import train_memory
from scripts.train_vision import train_vision
from worldmodels.run import Progress, Run

STAGE_FUNCTIONS: dict[str, Callable[[Run], Iterator[Progress]]] = {
    "collect": collect,
    "train-vision": train_vision,
    "train-memory": train_memory,
    "evolve": evolve,
    "evaluate": evaluate,
    "dream": dream,
    "report": report,
}


def stages_of(command: str) -> list[str]:
    """Return the stages that a command runs, in order."""
    return list(STAGE_FUNCTIONS) if command == "run" else [command]
