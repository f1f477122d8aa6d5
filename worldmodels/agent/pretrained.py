"""The agent that the package ships, by the name `pretrained`: an exported one, see `worldmodels.agent.export`."""

import os
from importlib import resources
from pathlib import Path

from worldmodels.agent.hub import fetch_agent, is_remote
from worldmodels.errors import RunError
from worldmodels.files import files_in, new_folder, write_bytes

PRETRAINED = "pretrained"
"""The name of the agent that the package ships."""

SHIPPED = Path(str(resources.files("worldmodels"))) / PRETRAINED
"""Where the package holds it."""


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
    """Return the folder to read an agent from.

    It is the shipped one for `pretrained`, unless a folder has that name, and for `hf://USER/NAME` what is on the Hub.
    """
    if is_remote(name):
        return fetch_agent(str(name))
    path = Path(name)
    return shipped_agent() if os.fspath(name) == PRETRAINED and not path.exists() else path


def unpack_agent(name: str, folder: Path) -> Path:
    """Copy an agent, shipped or on the Hub, to `folder` in one step, and return it; one that is there stays."""
    if folder.exists():
        return folder
    shipped = agent_folder(name)
    try:
        with new_folder(folder) as new:
            for name, path in files_in(shipped).items():
                write_bytes(new / name, path.read_bytes())
    except RunError:
        if not (folder / "config.yaml").exists():  # else another process was first
            raise
    return folder
