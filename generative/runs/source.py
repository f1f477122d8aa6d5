"""Which commit of this project is at work, where it runs from a clone of its repository."""

import subprocess
from pathlib import Path

UNKNOWN = "unknown"
"""For an installed package: only its version says what it is."""


def commit(root: Path | None = None) -> str:
    """Return the commit of our own repository, with -dirty behind it where files differ; else `UNKNOWN`.

    An installation may lie inside a repository of somebody else's, in a virtual environment say; its commit says
    nothing of us. Ours has the packages at its top and keeps them itself.

    Args:
        root: the folder that holds the packages; that of this file by default.
    """
    root = (root or Path(__file__).parents[2]).resolve()
    try:
        if Path(_git(root, "rev-parse", "--show-toplevel")).resolve() != root:
            return UNKNOWN
        _git(root, "ls-files", "--error-unmatch", "worldmodels/version.py", "generative/runs/run_folder.py")
        return _git(root, "describe", "--always", "--dirty", "--abbrev=12")
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
