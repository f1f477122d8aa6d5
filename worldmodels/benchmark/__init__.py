"""What the toolkit's speed and exactness are on this machine, each measured together with what it is compared with.

`FIGURES` has a function for every name; `measure` calls one and knows what to do where it cannot be measured.
"""

from collections.abc import Callable
from typing import NamedTuple

from worldmodels.benchmark.figure import BenchmarkFigure, Settings, Skip
from worldmodels.benchmark.machine import describe_machine, disturbed
from worldmodels.benchmark.measurements.device_dreams import DREAMS_ON_DEVICE, MANY_DREAMS, device_dreams, device_many
from worldmodels.benchmark.measurements.device_training import (
    MEMORY_ON_DEVICE,
    VISION_ON_DEVICE,
    device_memory,
    device_vision,
)
from worldmodels.benchmark.measurements.environments import ENVPOOL, FRAMES, envpool, frames
from worldmodels.benchmark.measurements.evaluation import EVALUATION, evaluation
from worldmodels.benchmark.measurements.exactness import EQUALITY, FIDELITY, equality, fidelity
from worldmodels.benchmark.measurements.generation import GENERATION, generation
from worldmodels.benchmark.measurements.memory_use import MEMORY, memory
from worldmodels.benchmark.measurements.networks import COMPONENT, DREAM, VISION, component, dream, vision
from worldmodels.benchmark.measurements.optimiser import OPTIMISER, optimiser
from worldmodels.benchmark.measurements.playing import PLAY, play
from worldmodels.benchmark.measurements.workers import WORKERS, workers
from worldmodels.benchmark.measurements.writing import READING, WRITING, reading, writing

__all__ = ["FIGURES", "BenchmarkFigure", "Settings", "Skip", "describe_machine", "disturbed", "measure"]


class Subject(NamedTuple):
    """A figure and how it is measured."""

    blank: BenchmarkFigure
    """Name, title, unit and target, without a value."""
    function: Callable[[Settings], BenchmarkFigure]


FIGURES: dict[str, Subject] = {
    blank.name: Subject(blank, function)
    for blank, function in (
        (FRAMES, frames),
        (ENVPOOL, envpool),
        (FIDELITY, fidelity),
        (EQUALITY, equality),
        (EVALUATION, evaluation),
        (DREAM, dream),
        (GENERATION, generation),
        (VISION, vision),
        (COMPONENT, component),
        (WRITING, writing),
        (READING, reading),
        (MEMORY, memory),
        (OPTIMISER, optimiser),
        (WORKERS, workers),
        (PLAY, play),
        (DREAMS_ON_DEVICE, device_dreams),
        (MANY_DREAMS, device_many),
        (VISION_ON_DEVICE, device_vision),
        (MEMORY_ON_DEVICE, device_memory),
    )
}
"""All figures by name, in the order in which they are measured."""


def measure(name: str, settings: Settings) -> BenchmarkFigure:
    """Measure the figure of this name; one that cannot be measured here comes back with the reason and no value."""
    blank, function = FIGURES[name]
    try:
        return function(settings)
    except Skip as reason:
        return blank.without(str(reason))
