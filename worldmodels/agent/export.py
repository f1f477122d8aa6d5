"""Exported agents: a run folder without what it was made from, small enough to ship, with a model card.

    README.md  config.yaml  versions.json  spent.jsonl
    rollouts/done.json  vision/  memory/  controller/
    rounds/done.json  rounds/NN/config.yaml     of a loop: which round was chosen, and how it was made

It holds what commands read of a finished run, and is one: it can be evaluated, filmed, reported on and loaded. The
project ships one of its own inside the package, by the name `pretrained`. Networks are stored in half precision and
become float32 when loaded; nothing else of the agent is rounded.
"""

import errno
import glob
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from generative import load_metadata, save_component
from generative.facts import Facts
from generative.files import sync_folder
from generative.strict_yaml import write_yaml
from worldmodels.agent.build import load_bundle, load_memory, load_starts, load_vision
from worldmodels.config import RunConfig
from worldmodels.config_files import write_config
from worldmodels.dream.starts import Starts, save_starts
from worldmodels.errors import RunError
from worldmodels.evolution.rounds import round_name
from worldmodels.files import append_line, read_lines, write_bytes, write_json, write_text
from worldmodels.run.finished import write_done
from worldmodels.run.folder import STAGES, Run
from worldmodels.seeds import TEST, TRAINING, VALIDATION

PRETRAINED = "pretrained"
"""The name of the agent that the package ships."""

SHIPPED = Path(str(resources.files("worldmodels"))) / PRETRAINED
"""Where the package holds it."""

STARTS = 100
"""Dream starts that an exported agent keeps."""

TRAINED_BY = ("collect", "train-vision", "train-memory", "evolve")
"""The stages that an agent comes from."""

STALE = 3600
"""Seconds after which a half-written export counts as one of a killed process."""

HALF_LIMIT = float(torch.finfo(torch.float16).max)


def export_agent(run: Run, folder: Path, half: bool = True) -> dict[str, int]:
    """Write a run's agent to a new folder, in one step, and return the files' sizes in bytes by name.

    Args:
        run: its stages up to `evolve` finished; it is only read.
        folder: must not exist, or be empty.
        half: whether the weights of vision and memory are stored in float16; float32 otherwise.

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
    with _new_folder(folder) as new:
        write_config(new / "config.yaml", _without_places(run.config))
        write_json(new / "versions.json", run.versions())
        _copy(run, new, *(f"{STAGES['evolve']}/agent.{kind}" for kind in ("json", "safetensors")))
        if (chosen := run.chosen_round()) is not None:
            write_done(new / STAGES["loop"], "loop", run.done("loop") or {})
            made = _without_places(Run(chosen).config)
            write_config(new / STAGES["loop"] / chosen.name / "config.yaml", made)
        for line in _spent(run):
            append_line(new / "spent.jsonl", line)
        changed = [_save_part(run, stage, module, new / STAGES[stage], half) for stage, module in parts.items()]
        starts = thin_starts(load_starts(run), half)
        save_starts(new / STAGES["evolve"] / "starts.safetensors", starts, run.learnt.dream)
        for stage in TRAINED_BY:
            write_done(new / STAGES[stage], stage, run.done(stage) or {})
        write_text(new / "README.md", model_card(run, counts, any(changed), half, new))
        return {name: path.stat().st_size for name, path in _files(new).items()}


def _without_places(config: RunConfig) -> RunConfig:
    """Return a configuration without the machines of the run, and of other runs' folders only their names."""

    def name(folder: str) -> str:
        return Path(folder).name

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


def _spent(run: Run) -> list[Facts]:
    """Return what training the agent took, without what was spent on measuring or filming it."""
    return [line for line in read_lines(run.path / "spent.jsonl") if line["stage"] in (*TRAINED_BY, "loop")]


def _files(folder: Path) -> dict[str, Path]:
    """Return the files of an exported agent by name."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to fill that becomes `folder` at the end, or vanishes when something raises."""
    taken = RunError(f"{folder} cannot be made: something of that name is in the way; name a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise taken from None
    for stale in folder.parent.glob(f".{glob.escape(folder.name)}.*.partial"):
        if time.time() - stale.stat().st_mtime > STALE:
            shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent) as temporary:
        new = Path(temporary) / folder.name
        new.mkdir()
        yield new
        try:
            os.rename(new, folder)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise taken from None
            raise
    sync_folder(folder.parent)


def ships_agent() -> bool:
    """Return whether this installation holds an agent."""
    return (SHIPPED / "config.yaml").exists()


def shipped_agent() -> Path:
    """Return the folder of the agent that the package ships, for reading only.

    Raises:
        RunError: if this installation holds none.
    """
    if not ships_agent():
        raise RunError(
            f"this installation holds no agent named `{PRETRAINED}`: train one with `worldmodels run --preset quick`, "
            "or install a version of the project that ships it"
        )
    return SHIPPED


def agent_folder(name: str | os.PathLike[str]) -> Path:
    """Return the folder to read an agent from: the shipped one for `pretrained`, unless a folder has that name."""
    path = Path(name)
    return shipped_agent() if os.fspath(name) == PRETRAINED and not path.exists() else path


def unpack_pretrained(folder: Path) -> Path:
    """Copy the shipped agent to `folder`, in one step, and return it; a folder that is there stays as it is."""
    if folder.exists():
        return folder
    shipped = shipped_agent()
    try:
        with _new_folder(folder) as new:
            for name, path in _files(shipped).items():
                write_bytes(new / name, path.read_bytes())
    except RunError:
        if not (folder / "config.yaml").exists():  # else another process was first
            raise
    return folder


CARD = """---
{head}---

# An agent for {only}

A controller of {parameters:,} parameters that drives `{env.id}` on what a vision sees and a memory remembers (it reads
{reads}), after Ha and Schmidhuber, *World Models* (2018, arXiv:1803.10122). It was trained and exported with
`worldmodels`; this folder is a run folder without the rollouts, the curves and the optimiser's log.

## How it was trained

{training}

## Parts

{parts}

Weights stored in float16 become float32 when they are loaded.

## Result

{result}

## Use

```
worldmodels evaluate FOLDER
worldmodels dream FOLDER
```

```python
from worldmodels import load_agent, make_env

agent = load_agent("FOLDER")
env = make_env(agent.env_config)
obs, _ = env.reset(seed=0)
action = agent.act(obs)
```

FOLDER is where this card lies. The agent inside the package goes by `pretrained` instead; commands unpack it into
`runs/pretrained`.

## Limits

- It drives {only} only, trained in `{env.id}` at action repeat {env.action_repeat}.
- It sees frames of {env.size} x {env.size} pixels, {rows}; `agent.act`
  scales larger ones.
- It is the agent of one run with one seed.
- Test tracks (seeds {test.start:,} to {last_test:,}) serve the final figure only. The controller was chosen on
  validation tracks (from seed {validation.start:,} on), after training on others (from {training_tracks.start:,} on).
- It cannot be trained further from these files.

## Files

{files}
"""


def model_card(run: Run, counts: Mapping[str, int], changed: bool, half: bool, folder: Path) -> str:
    """Return the model card of an agent, Markdown with YAML front matter.

    Args:
        run: where the agent comes from.
        counts: parameters of vision, memory and controller.
        changed: whether a weight differs from the run's.
        half: whether networks are stored in float16.
        folder: the exported files, all but the card.
    """
    config = run.learnt
    only = "CarRacing-v3" if config.env.id.endswith("CarRacing-v3") else config.env.id
    vision: Any = load_vision(run)  # what a loop's round had, which need not be what the loop was given
    memory: Any = load_memory(run)
    types = {"vision": vision.type_name, "memory": memory.type_name, "controller": config.controller.type}
    tags = ["reinforcement-learning", "world-model", "gymnasium", only, types["vision"], types["memory"]]
    parts = [
        (part, kind, f"{counts[part]:,}", "float16" if half and part != "controller" else "float32")
        for part, kind in types.items()
    ]
    files = [
        (f"`{name}`", f"{path.stat().st_size:,}", f"`{hashlib.sha256(path.read_bytes()).hexdigest()}`")
        for name, path in _files(folder).items()
    ]
    control = config.features.uses_memory and config.features.memory != "trained"
    return CARD.format(
        head=write_yaml({"license": "mit", "library_name": "worldmodels", "tags": tags}),
        only=only,
        env=config.env,
        rows="the drawn rows {} to {}".format(*config.env.crop) if config.env.crop[1] else "all that is drawn",
        parameters=counts["controller"],
        reads=f"{config.features.reads}, memory {config.features.memory}" if control else config.features.reads,
        training=_table(("", ""), _training(run)),
        parts=_table(("part", "type", "parameters", "stored as"), parts),
        result=_result(run, changed),
        test=TEST,
        last_test=TEST[-1],
        validation=VALIDATION,
        training_tracks=TRAINING,
        files=_table(("file", "bytes", "sha256"), files),
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def _training(run: Run) -> list[tuple[str, ...]]:
    """Return what the run says about how its agent came about."""
    config, versions = run.learnt, run.versions()
    collected, evolved = run.done("collect") or {}, run.done("evolve") or {}
    hours = sum(line["seconds"] * line["cores"] for line in _spent(run)) / 3600
    validation, looped = evolved["validation"], run.done("loop")
    generations = f"{evolved['generations']:,} generations in the {config.evolve.world} world"
    chosen = f"generation {evolved['chosen_generation']}"
    validated = run.config.evolve.validation
    again = validated.top_k > 1 or looped
    measured_on = f"{validated.top_k_tracks if again else validated.tracks} validation tracks"
    if validated.record and not again:
        measured_on = f"{validated.tracks} training tracks"
    if looped:
        generations = f"{looped['rounds']} rounds; in the chosen one {generations}"
        chosen = f"round {round_name(looped['chosen_round'])}, {chosen}"
    before = {name: evolved.get(f"start_{name}", 0) for name in ("frames", "core_hours")}
    if run.config.evolve.start:  # a round's own is the round before it
        generations += f", from what the agent of `{Path(run.config.evolve.start).name}` knew"
    names = ("worldmodels", "python", "torch", "numpy", "gymnasium", "box2d", "cma", "ray")
    return [
        ("preset", f"{config.preset}, seed {run.config.seed}"),
        ("commit", str(versions["commit"])),
        ("versions", ", ".join(f"{name} {versions[name]}" for name in names)),
        ("collection", f"{collected['episodes']:,} episodes, {collected['env_frames']:,} frames"),
        (
            "evolution",
            f"{generations}; {evolved['env_frames']:,} real frames"
            + ("" if looped else f", {evolved['validation_frames']:,} of them for validation"),
        ),
        ("real frames in all", f"{collected['env_frames'] + evolved['env_frames'] + before['frames']:,}"),
        ("core-hours", f"{hours + before['core_hours']:.2f}" if hours else "not recorded"),
        (
            "chosen",
            f"{chosen}, mean return {validation['mean']:.1f} on {measured_on}",
        ),
    ]


def _result(run: Run, changed: bool) -> str:
    """Say what the run's evaluation measured, and whether it was measured on these weights."""
    found = run.done("evaluate")
    if found is None:
        return "Not evaluated yet: `worldmodels evaluate FOLDER` measures it on test tracks."
    summary, baseline = found["summary"], found["baseline"]
    said = (
        f"Mean return **{summary['mean']:.1f} ± {summary['std']:.1f}** over {found['tracks']} test tracks, 95 % "
        f"interval of the mean {summary['ci_low']:.1f} to {summary['ci_high']:.1f}"
        + (f"; the random policy makes {baseline['mean']:.1f}" if baseline else "")
        + f". Raw reward of whole episodes of `{found['env']}`, action repeat {found['action_repeat']}.\n\n"
    )
    if changed:
        return said + (
            "This was measured before the weights were rounded to half precision. What the rounded ones make is not "
            "known until they are evaluated again: `worldmodels evaluate FOLDER`."
        )
    return said + "This was measured with exactly these weights."
