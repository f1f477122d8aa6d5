"""Stage 4: evolve the controller in the real environment or in the dream, and keep the best validated mean."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from generative import resolve_device, to_float
from generative.core.facts import Facts
from worldmodels.agent.bundle import Bundle, read_agent, save_agent
from worldmodels.agent.precision import latent_change, resolve_dtype, state_change
from worldmodels.agent.trained import assemble, load_memory, load_vision
from worldmodels.dream.of_run import keep_starts, load_starts
from worldmodels.errors import RunError
from worldmodels.evolution.dreamer import gpu_dreamer
from worldmodels.evolution.drive import Cost
from worldmodels.evolution.generations import Trials, best_validated, measure_again, restore, top_k
from worldmodels.evolution.generations import evolve as generations
from worldmodels.evolution.starting_point import start_facts, starting_point
from worldmodels.evolution.tasks import TrialWorker
from worldmodels.evolution.trial_setup import TrialSetup
from worldmodels.files import append_line, read_lines
from worldmodels.machine import available_cores
from worldmodels.parallel.open import open_executor
from worldmodels.rollouts.dataset import episode_files, recorded_path, sample_frames, split
from worldmodels.rollouts.episode import write_episode
from worldmodels.run.folder import Progress, Run
from worldmodels.vision.encode import latent_file


def evolve(run: Run) -> Iterator[Progress]:
    """Evolve the run's controller and yield the progress in generations."""
    config = run.config.evolve
    folder = run.folder("evolve")
    if run.done("evolve"):
        yield Progress("evolve", config.generations, config.generations, "generations")
        return
    run.require("collect", "train-vision", "train-memory")
    with run.working("evolve", run.config.executor.workers or available_cores()):
        keep_starts(run)
        settle_dtype(run)
        _drop_torn_agent(folder)
        latents = [latent_file(run, file) for file in split(episode_files(run.folder("collect")))[0]]
        bundle = assemble(run, latents)
        size = bundle.build_controller().parameters_size
        seed = config.seed_in(run.config.seed)
        start = starting_point(run, bundle)
        log = _read_log(run)
        if (best := best_validated(log)) is not None and not (folder / "agent.safetensors").exists():
            mean = _mean_after(run, size, log[: best["generation"] + 1], start)
            save_agent(folder, bundle, mean, {"generation": best["generation"], **best["validation"]})
        optimiser = restore(config, size, seed, log, start)
        yield Progress("evolve", 0, 1, "workers")
        setup = worker_setup(run, bundle)
        dreamer = gpu_dreamer(setup, run.config.device)
        with open_executor(run.config.executor, TrialWorker, setup.awake() if dreamer else setup) as executor:
            yield Progress("evolve", 1, 1, "workers")
            yield Progress("evolve", len(log), config.generations, "generations", {"parameters": size})
            trials = Trials(executor, run.config.executor.envs, action_cost=config.action_cost, dreamer=dreamer)
            for entry, mean, recorded in generations(config, optimiser, trials, seed, log):
                for number, content in enumerate(recorded):
                    write_episode(recorded_path(folder, entry["generation"], number), content)
                if "validation" in entry and best_validated([*log, entry]) is entry:
                    save_agent(folder, bundle, mean, {"generation": entry["generation"], **entry["validation"]})
                append_line(folder / "generations.jsonl", entry)
                run.log("evolve", entry["generation"], _shown(entry))
                log.append(entry)
                yield Progress("evolve", len(log), config.generations, "generations", _shown(entry))
            facts = _facts(log, size)
            if config.validation.top_k > 1:
                for progress, again in _measure_again(run, bundle, trials, log, start):
                    facts |= again
                    yield progress
        run.finish("evolve", {**facts, **start_facts(folder)})


def _measure_again(
    run: Run, bundle: Bundle, trials: Trials, log: list[Facts], start: np.ndarray | None
) -> Iterator[tuple[Progress, Facts]]:
    """Measure the best generations again and keep the best one's mean; yield the progress and the facts so far."""
    config, size, cost = run.config.evolve.validation, bundle.build_controller().parameters_size, Cost()
    entries = top_k(config, [entry for entry in log if "validation" in entry])
    measured: dict[int, Facts] = {}
    spent = _facts(log, size)
    yield Progress("evolve", 0, len(entries), "top k"), {}
    for entry in entries:
        mean = _mean_after(run, size, log[: entry["generation"] + 1], start)
        found = measure_again(config, trials, mean, cost)
        if all(found["mean"] > other["mean"] for other in measured.values()):
            save_agent(run.folder("evolve"), bundle, mean, {"generation": entry["generation"], **found})
        measured[entry["generation"]] = found
        chosen = max(measured, key=lambda number: measured[number]["mean"])
        facts = {
            "chosen_generation": chosen,
            "validation": measured[chosen],
            "top_k": {str(number): each for number, each in measured.items()},
            **{name: spent[name] + cost.frames for name in ("env_frames", "validation_frames")},
        }
        yield Progress("evolve", len(measured), len(entries), "top k", {"mean": found["mean"]}), facts


def _drop_torn_agent(folder: Path) -> None:
    """Remove an agent that a process was killed while writing; it follows from the log."""
    try:
        read_agent(folder)
    except RunError:
        for name in ("agent.json", "agent.safetensors"):
            (folder / name).unlink(missing_ok=True)


def _mean_after(run: Run, size: int, log: list[Facts], start: np.ndarray | None) -> np.ndarray:
    """Return the distribution's mean, float32 (N), after the logged generations."""
    config = run.config.evolve
    return restore(config, size, config.seed_in(run.config.seed), log, start).mean.astype(np.float32)


def settle_dtype(run: Run) -> None:
    """Decide once what `dtype: auto` stands for, and log what the choice changes in latents and in memory states."""
    if run.config.dtype != "auto":
        return
    device = resolve_device(run.config.device)
    frames = to_float(sample_frames(split(episode_files(run.folder("collect")))[1], 256, run.config.seed)).to(device)
    vision, memory, starts = load_vision(run).to(device), load_memory(run).to(device), load_starts(run)
    z, action = (torch.from_numpy(part[:256]).to(device) for part in (starts.z[:, :-1], starts.action))
    changes: dict[str, float] = {}

    def measure() -> float:
        changes.update(latent_change=latent_change(vision, frames), state_change=state_change(memory, z, action))
        return max(changes.values())

    run.settle(resolve_dtype("auto", measure, device)[0])
    run.log("precision", 0, changes or {"latent_change": 0.0, "state_change": 0.0})


def worker_setup(run: Run, bundle: Bundle) -> TrialSetup:
    """Return what the evolution's workers are built from."""
    config = run.config
    if config.evolve.world == "real":
        return TrialSetup(bundle, config.executor.envs)
    return TrialSetup(bundle, config.executor.envs, config.dream, load_starts(run), config.evolve.action_cost)


def _read_log(run: Run) -> list[Facts]:
    path = run.folder("evolve") / "generations.jsonl"
    log = read_lines(path)
    if [entry["generation"] for entry in log] != list(range(len(log))):
        raise RunError(f"{path} has gaps: it was changed by hand; restore it or delete {path.parent} to evolve anew")
    return log


def _shown(entry: Facts) -> Facts:
    shown = {name: entry[name] for name in ("mean", "best", "episodes", "frames", "seconds")}
    if "validation" in entry:
        shown["validation"] = entry["validation"]["mean"]
    return shown


def _facts(log: list[Facts], size: int) -> Facts:
    best = best_validated(log)
    assert best is not None, "the last generation is always validated"
    return {
        "generations": len(log),
        "parameters": size,
        "chosen_generation": best["generation"],
        "validation": best["validation"],
        "env_frames": sum(entry["frames"] + entry["validation_frames"] for entry in log),
        "validation_frames": sum(entry["validation_frames"] for entry in log),
    }
