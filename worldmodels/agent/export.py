"""Exported agents: a run folder without what it was made from, small enough to ship, with a model card.

    README.md  config.yaml  versions.json  spent.jsonl
    rollouts/done.json  vision/  memory/  controller/
    rounds/done.json  rounds/NN/config.yaml     of a loop: which round was chosen, and how it was made

It holds what commands read of a finished run, and is one: it can be evaluated, filmed, reported on and loaded. Networks
are stored in half precision and become float32 when loaded; nothing else of the agent is rounded.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from generative import load_metadata, save_component
from worldmodels.agent.model_card import model_card
from worldmodels.agent.trained import load_bundle, load_memory, load_vision
from worldmodels.config import RunConfig
from worldmodels.config_files import write_config
from worldmodels.dream.of_run import load_starts
from worldmodels.dream.starts import Starts, save_starts
from worldmodels.errors import RunError
from worldmodels.files import append_line, files_in, new_folder, read_lines, write_bytes, write_json, write_text
from worldmodels.rollouts.minari_files import minari_name
from worldmodels.run.finished import write_done
from worldmodels.run.folder import STAGES, Run

STARTS = 100
"""Dream starts that an exported agent keeps."""

TRAINED_BY = ("collect", "train-vision", "train-memory", "evolve")
"""The stages that an agent comes from."""

HALF_LIMIT = float(torch.finfo(torch.float16).max)


def export_agent(run: Run, folder: Path, half: bool = True, name: str = "FOLDER") -> dict[str, int]:
    """Write a run's agent to a new folder, in one step, and return the files' sizes in bytes by name.

    Args:
        run: its stages up to `evolve` finished; it is only read.
        folder: must not exist, or be empty.
        half: whether the weights of vision and memory are stored in float16; float32 otherwise.
        name: by which its model card says the agent can be used.

    Raises:
        RunError: if the run is not finished or damaged, the folder is taken, or a weight does not fit float16.
        ComponentError: if vision or memory is damaged.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise RunError(f"{folder} exists and is not empty; export to a new folder, or remove this one first")
    run.require(*TRAINED_BY)
    _, parameters, _ = load_bundle(run)  # what is damaged or does not fit fails here
    parts = {"train-vision": load_vision(run), "train-memory": load_memory(run)}
    counts = {STAGES[stage]: sum(part.numel() for part in module.parameters()) for stage, module in parts.items()}
    counts[STAGES["evolve"]] = len(parameters)
    with new_folder(folder) as new:
        write_config(new / "config.yaml", _without_places(run.config))
        write_json(new / "versions.json", run.versions())
        _copy(run, new, *(f"{STAGES['evolve']}/agent.{kind}" for kind in ("json", "safetensors")))
        if (chosen := run.chosen_round()) is not None:
            write_done(new / STAGES["loop"], "loop", run.done("loop") or {})
            made = _without_places(Run(chosen).config)
            write_config(new / STAGES["loop"] / chosen.name / "config.yaml", made)
        for line in read_lines(run.path / "spent.jsonl"):
            if line["stage"] in (*TRAINED_BY, "loop"):  # not what was spent on measuring or filming it
                append_line(new / "spent.jsonl", line)
        changed = [_save_part(run, stage, module, new / STAGES[stage], half) for stage, module in parts.items()]
        starts = thin_starts(load_starts(run), half)
        save_starts(new / STAGES["evolve"] / "starts.safetensors", starts, run.learnt.dream)
        for stage in TRAINED_BY:
            write_done(new / STAGES[stage], stage, run.done(stage) or {})
        write_text(new / "README.md", model_card(run, counts, any(changed), half, new, name))
        return {name: path.stat().st_size for name, path in files_in(new).items()}


def _without_places(config: RunConfig) -> RunConfig:
    """Return a configuration without the machines of the run, and of other runs' folders only their names."""

    def name(folder: str) -> str:
        return Path(folder).name if minari_name(folder) is None else folder

    return replace(
        config,
        collect=replace(config.collect, agent=name(config.collect.agent), extends=name(config.collect.extends)),
        vision=replace(config.vision, start=name(config.vision.start)),
        memory=replace(config.memory, start=name(config.memory.start)),
        evolve=replace(config.evolve, start=name(config.evolve.start)),
        executor=replace(config.executor, workers=0, address=""),
    )


def _save_part(run: Run, stage: str, module: nn.Module, folder: Path, half: bool) -> bool:
    """Write vision or memory and return whether rounding changed a weight; `module` is rounded in place."""
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    if half:
        for name, tensor in before.items():
            if tensor.is_floating_point():
                _check_range(f"the weights `{name}` in {run.folder(stage)}", tensor.float().numpy())
        module.half()
    metadata = {**load_metadata(run.folder(stage)), "exported_as": "float16" if half else "float32"}
    save_component(module, folder, metadata)
    after = module.state_dict()
    return any(not torch.equal(tensor, after[name].to(tensor.dtype)) for name, tensor in before.items())


def thin_starts(starts: Starts, half: bool) -> Starts:
    """Return the first `STARTS` dream starts, which come from different episodes, in float16 where `half`."""
    few = "initial", "z", "action"
    arrays = {name: array[:STARTS] if name in few else array for name, array in starts.arrays().items()}
    if half:
        for name, array in arrays.items():
            _check_range(f"the dream starts' `{name}`", array)
    return Starts.of({name: array.astype(np.float16 if half else np.float32) for name, array in arrays.items()})


def _check_range(what: str, values: np.ndarray) -> None:
    if not (np.abs(values) <= HALF_LIMIT).all():  # NaN is beyond it too
        raise RunError(f"{what} go beyond the range of half precision ({HALF_LIMIT:.0f}): export with `--half False`")


def _copy(run: Run, new: Path, *names: str) -> None:
    for name in names:
        try:
            content = (run.path / name).read_bytes()
        except FileNotFoundError:
            raise RunError(f"{run.path / name} is missing: restore it, or train the agent anew") from None
        write_bytes(new / name, content)
