"""Write a run's agent alone, small enough to ship, with a model card."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from scripts.terminal.commands import COMMANDS
from scripts.terminal.parsing import parsed
from scripts.terminal.request import run_folder
from worldmodels.agent.export import export_agent
from worldmodels.run.folder import Run

SHIPPABLE = 10_000_000
"""Bytes above which an agent is too big to ship with the project."""


@dataclass(frozen=True)
class ExportRequest:
    """What `worldmodels export` is asked for."""

    run: tyro.conf.Positional[str]
    """Folder of the run; its stages up to `evolve` must be finished."""
    folder: tyro.conf.Positional[Path]
    """Folder to write, which does not exist yet or is empty."""
    half: tyro.conf.FlagConversionOff[bool] = True
    """Store the weights of vision and memory in half precision."""


def main(arguments: Sequence[str]) -> int:
    """Export what the arguments say, print what was written, and return the exit code.

    Raises:
        RunError: if it cannot be exported.
    """
    asked = parsed(ExportRequest, arguments, "worldmodels export", COMMANDS["export"])
    sizes = export_agent(Run(run_folder(asked.run)), asked.folder, asked.half)
    print("\n".join(f"{size:>12,}  {name}" for name, size in sizes.items()))
    total = sum(sizes.values())
    print(f"export: {asked.folder}, {total / 1e6:.2f} MB in {len(sizes)} files")
    if total > SHIPPABLE:
        remedy = "train a smaller vision" if asked.half else "leave out `--half False`"
        print(f"warning: more than {SHIPPABLE / 1e6:.0f} MB, too big to ship with the project; {remedy}")
    return 0
