"""Which temperature dreams have: evolve a little at each of a few, and ask the real environment.

Ha and Schmidhuber 2018 (section 4) found by real scores which temperature a controller had better dream at: too low a
one is exploited, too high a one teaches nothing. The generations of the temperature that validates best are the first
ones of the evolution, so that only the others' are spent on the choice.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from worldmodels.dream.imagine import BLOCK
from worldmodels.evolution.evolve import EvolveConfig, Trials, restore
from worldmodels.evolution.evolve import evolve as generations
from worldmodels.evolution.tasks import TrialSetup, TrialWorker
from worldmodels.files import append_line, read_lines, write_json, write_lines
from worldmodels.parallel.open import open_executor
from worldmodels.run.folder import Progress, Run

LOG = "generations.jsonl"


def choose_temperature(run: Run, setup: TrialSetup, size: int, start: np.ndarray | None) -> Iterator[Progress]:
    """Settle the run's dreams on one of `evolve.temperatures`; nothing to do where that is done or none are given.

    Args:
        run: whose vision and memory are trained.
        setup: of the evolution's workers.
        size: length of a controller's parameters.
        start: parameters at which evolution begins; None for zeros.

    Yields:
        The progress in generations of all trials, with the validation after each temperature's last one.
    """
    config, folder = run.config.evolve, run.folder("evolve")
    if not config.temperatures or (folder / "temperature.json").exists():
        return
    each = config.trial_generations
    short = replace(config, generations=each, alarm="none")
    logs = []
    for number, temperature in enumerate(config.temperatures):
        path = folder / "temperatures" / f"{temperature:g}.jsonl"
        dreams = replace(setup, dream=replace(run.config.dream, temperature=temperature))
        for log in _evolve(run, short, dreams, size, start, path):
            facts = {"temperature": temperature}
            yield Progress("evolve", number * each + len(log), each * len(config.temperatures), "trials", facts)
        logs.append(read_lines(path))
    ends = [log[-1]["validation"] for log in logs]
    best = max(range(len(logs)), key=lambda index: ends[index]["mean"])
    write_lines(folder / LOG, logs[best])
    lost = [entry for index, log in enumerate(logs) if index != best for entry in log]
    run.settle_temperature(config.temperatures[best])
    choice = {
        "temperature": config.temperatures[best],
        "validation": dict(zip(map(str, config.temperatures), ends, strict=True)),
        "validation_frames": sum(entry["validation_frames"] for entry in lost),
        "env_frames": sum(entry["frames"] + entry["validation_frames"] for entry in lost),
    }
    write_json(folder / "temperature.json", choice)


def _evolve(
    run: Run, config: EvolveConfig, setup: TrialSetup, size: int, start: np.ndarray | None, path: Path
) -> Iterator[list[dict[str, Any]]]:
    """Evolve from where a trial's log ends, and yield the log before and after every generation."""
    log, seed = read_lines(path), config.seed_in(run.config.seed)
    yield log
    if len(log) == config.generations:
        return
    optimiser = restore(config, size, seed, log, start)
    with open_executor(run.config.executor, TrialWorker, setup) as executor:
        trials = Trials(executor, config.envs, BLOCK, config.action_cost)
        for entry, _, _ in generations(config, optimiser, trials, seed, log):
            append_line(path, entry)
            log.append(entry)
            yield log
