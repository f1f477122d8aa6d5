"""The folder of the user where results that can be made again at any time are kept: images once drawn, and the like."""

import os
from pathlib import Path

VARIABLE = "GENERATIVE_CACHE"
"""The environment variable that names another folder."""


def cache_folder() -> Path:
    """Return the folder, which need not exist: `$GENERATIVE_CACHE`, or `generative` where programs keep such things."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "generative"
