"""Upload a run's agent to the Hugging Face Hub, with its model card."""

from collections.abc import Sequence
from dataclasses import dataclass

import tyro

from scripts.terminal.commands import COMMANDS
from scripts.terminal.parsing import parsed
from scripts.terminal.request import run_folder
from worldmodels.agent.hub import push_agent
from worldmodels.run.folder import Run


@dataclass(frozen=True)
class PushRequest:
    """What `worldmodels push` is asked for."""

    run: tyro.conf.Positional[str]
    """Folder of the run; its stages up to `evolve` must be finished."""
    repository: tyro.conf.Positional[str]
    """USER/NAME on the Hub; made where it is not there."""
    private: tyro.conf.FlagConversionOff[bool] = False
    """Let nobody else see a repository that is made."""
    half: tyro.conf.FlagConversionOff[bool] = True
    """Store the weights of vision and memory in half precision."""


def main(arguments: Sequence[str]) -> int:
    """Upload what the arguments say, print where it is, and return the exit code.

    Raises:
        RunError: if it cannot be exported or uploaded.
    """
    asked = parsed(PushRequest, arguments, "worldmodels push", COMMANDS["push"])
    where = push_agent(Run(run_folder(asked.run)), asked.repository, asked.private, asked.half)
    print(f"push: {where}\nuse: worldmodels evaluate hf://{asked.repository}")
    return 0
