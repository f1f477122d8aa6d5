"""Where runs of generative models lie."""

from pathlib import Path

from scripts.terminal.parsing import folder_of

RUNS = Path("runs") / "generative"
"""Where a run goes that is given a bare name."""


def run_path(name: str) -> Path:
    """Return the folder that a RUN means; a UsageError where it is empty."""
    return folder_of(name, RUNS)
