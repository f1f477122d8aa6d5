"""What it takes to ask an optimiser and to tell it: it must not become what a generation waits for."""

import math
import statistics
import time
from dataclasses import dataclass

import numpy as np
import torch

from agents import OptimiserConfig, make_optimiser
from worldmodels.benchmark.figure import BenchmarkFigure, Settings, rate
from worldmodels.benchmark.machine import use_cores
from worldmodels.benchmark.measurements.device_dreams import HORIZON, dream_generations

OPTIMISER = BenchmarkFigure(
    "optimiser",
    "to ask CMA-ES for 64 candidates of 99 parameters and to tell it, share of a generation of 32 dreams",
    "of it",
    "<= 0.1",
    "generations/s",
)
MOST = 0.1
POPULATIONS = 64, 256, 1024, 4096
SIZES = 99, 867
"""Parameters of a linear controller that reads the latent, and of one that reads the memory's state too."""
KINDS = "cma", "sep-cma"
DREAMS = 32


@dataclass(frozen=True)
class AskAndTell:
    """Seconds of a generation."""

    ask: float
    tell: float

    @property
    def both(self) -> float:
        """Their sum."""
        return self.ask + self.tell


def optimiser(settings: Settings) -> BenchmarkFigure:
    """Time ask and tell at all sizes, and a generation of 64 candidates in dreams: on the GPU where there is one."""
    device = torch.device("cuda") if torch.cuda.is_available() else None
    work = dream_generations(64, settings.scaled(DREAMS, 2), settings.scaled(HORIZON, 2))
    dreams = work.on(device)
    for _ in range(3 if device else 1):
        next(dreams)  # a GPU's first generations compile and record
    with use_cores(1):
        generation = 1 / rate(lambda: 1.0 if next(dreams) else 0.0, settings.seconds)
        taken = {
            (kind, size, population): ask_and_tell(kind, size, population, settings)
            for kind in KINDS
            for size in SIZES
            for population in POPULATIONS
        }
    first = taken[KINDS[0], SIZES[0], POPULATIONS[0]]
    share = first.both / generation
    return OPTIMISER.found(
        share,
        share <= MOST,
        ours=1 / first.both,
        theirs=1 / generation,
        detail={
            "dreams_on": "one core" if device is None else torch.cuda.get_device_name(),
            "milliseconds_of_generation": 1e3 * generation,
            "milliseconds": {
                f"{kind} {population} x {size}": 1e3 * seconds.both
                for (kind, size, population), seconds in taken.items()
            },
        },
    )


def ask_and_tell(kind: str, size: int, population: int, settings: Settings) -> AskAndTell:
    """Return the mean seconds of asking and telling, of at least 5 generations that fill a tenth of a window.

    The first one is not counted: much is made in it.
    """
    config = OptimiserConfig(type=kind, population=population)  # type: ignore[arg-type]  # one of `KINDS`
    searching = make_optimiser(config, size, seed=0)
    asked: list[float] = []
    told: list[float] = []
    least = settings.scaled(5, 2)
    while len(asked) <= least or math.fsum(asked) + math.fsum(told) < settings.seconds / 10:
        begun = time.perf_counter()
        parameters = searching.ask()
        now = time.perf_counter()
        searching.tell(parameters, -np.square(parameters - 1).sum(1))
        asked.append(now - begun)
        told.append(time.perf_counter() - now)
    return AskAndTell(statistics.fmean(asked[1:]), statistics.fmean(told[1:]))
