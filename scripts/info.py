"""What a run folder holds and how far it got."""

from collections.abc import Sequence
from dataclasses import dataclass

import tyro

from scripts.terminal.commands import COMMANDS
from scripts.terminal.parsing import parsed
from scripts.terminal.request import run_folder
from worldmodels.report.states import stages, state
from worldmodels.run.folder import Run


@dataclass(frozen=True)
class InfoRequest:
    """What `worldmodels info` is asked for."""

    run: tyro.conf.Positional[str]
    """Folder of the run; a bare name means runs/NAME."""


def main(arguments: Sequence[str]) -> int:
    """Print what the run that the arguments name holds, and return the exit code."""
    asked = parsed(InfoRequest, arguments, "worldmodels info", COMMANDS["info"])
    print(info(Run(run_folder(asked.run))))
    return 0


def info(run: Run) -> str:
    """Describe a run folder, a line a stage."""
    config = run.config
    lines = [
        f"{run.path}: preset {config.preset}, {config.env.id}, action repeat {config.env.action_repeat}, "
        f"seed {config.seed}"
    ]
    lines += [f"  {stage:13} {state(run, stage)}" for stage in stages(run)]
    lines.append(f"  {run.core_hours():.2f} core-hours so far, {_size(run) / 2**20:.0f} MiB on disk")
    return "\n".join(lines)


def _size(run: Run) -> int:
    """Return the bytes on disk; a file with several names, as rounds share theirs, counts once."""
    files = [path.stat() for path in run.path.rglob("*") if path.is_file()]
    return sum({(file.st_dev, file.st_ino): file.st_size for file in files}.values())
