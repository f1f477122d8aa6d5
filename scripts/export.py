"""Write a run's agent alone, small enough to ship, with a model card; or its rollouts as a Minari data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from scripts.terminal.commands import COMMANDS
from scripts.terminal.parsing import UsageError, parsed
from scripts.terminal.request import run_folder
from worldmodels.agent.build import env_shape
from worldmodels.agent.export import export_agent
from worldmodels.files import read_json
from worldmodels.rollouts.dataset import episode_files
from worldmodels.rollouts.minari_files import write_minari
from worldmodels.run.folder import Run

SHIPPABLE = 10_000_000
"""Bytes above which an agent is too big to ship with the project."""


@dataclass(frozen=True)
class ExportRequest:
    """What `worldmodels export` is asked for."""

    run: tyro.conf.Positional[str]
    """Folder of the run; its stages up to `evolve` must be finished."""
    folder: tyro.conf.Positional[Path | None] = None
    """Folder to write the agent to, which does not exist yet or is empty."""
    minari: str | None = None
    """Write the rollouts as a Minari data set of this name, as NAME-v0, or at this path."""
    half: tyro.conf.FlagConversionOff[bool] = True
    """Store the weights of vision and memory in half precision."""


def main(arguments: Sequence[str]) -> int:
    """Export what the arguments say, print what was written, and return the exit code.

    Raises:
        UsageError: neither an agent nor rollouts are asked for.
        RunError: if it cannot be exported.
    """
    asked = parsed(ExportRequest, arguments, "worldmodels export", COMMANDS["export"])
    if asked.folder is None and asked.minari is None:
        raise UsageError("name the folder to write the agent to, or --minari NAME-v0 for the rollouts")
    run = Run(run_folder(asked.run))
    if asked.minari is not None:
        print(_rollouts(run, asked.minari))
    if asked.folder is None:
        return 0
    sizes = export_agent(run, asked.folder, asked.half)
    print("\n".join(f"{size:>12,}  {name}" for name, size in sizes.items()))
    total = sum(sizes.values())
    print(f"export: {asked.folder}, {total / 1e6:.2f} MB in {len(sizes)} files")
    if total > SHIPPABLE:
        remedy = "train a smaller vision" if asked.half else "leave out `--half False`"
        print(f"warning: more than {SHIPPABLE / 1e6:.0f} MB, too big to ship with the project; {remedy}")
    return 0


def _rollouts(run: Run, name: str) -> str:
    """Write the rollouts of a run as a Minari data set and say where."""
    run.require("collect")
    files = episode_files(run.folder("collect"))
    facts = read_json(run.folder("collect") / "env.json", "restore it")
    folder, episodes = write_minari(name, files, env_shape(run.learnt.env), facts)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"export: {folder}, {episodes} episodes, {size / 1e6:.1f} MB"
