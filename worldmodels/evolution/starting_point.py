"""Where a run's evolution begins: at zeros, at biases of its own, or at the controller of another run."""

import hashlib
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save

from generative.core.facts import Facts
from worldmodels.agent.bundle import Bundle
from worldmodels.agent.trained import load_bundle
from worldmodels.errors import RunError
from worldmodels.evolution.warm_start import imitate, same_parts
from worldmodels.files import read_json, write_bytes, write_json
from worldmodels.rollouts.dataset import episode_files, recorded_files
from worldmodels.rollouts.minari_files import minari_name
from worldmodels.run.finished import digest
from worldmodels.run.folder import Run

FROM_START = "restore it, or remove it and run `worldmodels evolve` again"
IMITATED = 48
"""Most episodes, the last ones collected, along which the controller to start from is imitated."""


def starting_point(run: Run, bundle: Bundle) -> np.ndarray | None:
    """Return the parameters at which evolution begins, float64 (N), found once and kept; None for zeros."""
    config, folder = run.learnt.evolve, run.folder("evolve")
    if not config.start:
        bias = run.learnt.controller.bias
        return bundle.build_controller().resting(bias) if bias else None
    if not (folder / "start.json").exists():
        before = Run(config.start)
        old, parameters, _ = load_bundle(before)
        explained = 1.0
        if not same_parts(old, bundle):
            files = episode_files(run.folder("collect"))[-IMITATED:]
            parameters, explained = imitate(old, parameters, bundle, files)
        content = save({"parameters": parameters})
        write_bytes(folder / "start.safetensors", content)
        found = {"run": config.start, "explained": explained, **_spent(run, before)}
        write_json(folder / "start.json", {**found, "sha256": hashlib.sha256(content).hexdigest()})
    kept = read_json(folder / "start.json", FROM_START)
    path = folder / "start.safetensors"
    if not path.is_file() or digest(path) != kept["sha256"]:
        raise RunError(f"{path} is not what start.json belongs to: {FROM_START}")
    parameters = load_file(path)["parameters"].astype(np.float64)
    size = bundle.build_controller().parameters_size
    if parameters.shape != (size,):
        raise RunError(f"{path} holds {parameters.shape} parameters, the controller has {size}: {FROM_START}")
    return parameters


def _spent(run: Run, before: Run) -> Facts:
    """Return the frames and core-hours that went into an earlier run's controller, without frames that `run` has."""
    evolved, collected = before.done("evolve") or {}, before.done("collect") or {}
    frames = evolved.get("env_frames", 0) + evolved.get("start_frames", 0)
    if before.path.resolve() in _extended(run):
        frames -= sum(file.meta["env_frames"] for file in recorded_files(before.folder("evolve")))
    else:
        frames += collected.get("env_frames", 0)
    return {"frames": frames, "core_hours": before.core_hours() + evolved.get("start_core_hours", 0.0)}


def _extended(run: Run) -> set[Path]:
    """Return the runs whose episodes are among a run's."""
    found: set[Path] = set()
    while (path := run.config.collect.extends) and minari_name(path) is None and Path(path).resolve() not in found:
        found.add(Path(path).resolve())
        run = Run(path)
    return found


def start_facts(folder: Path) -> Facts:
    """Return what the controller at which evolution began had cost."""
    path = folder / "start.json"
    if not path.exists():
        return {}
    start = read_json(path, FROM_START)
    return {"start_frames": start["frames"], "start_core_hours": start["core_hours"]}
