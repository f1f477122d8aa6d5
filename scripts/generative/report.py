"""`generative report`: a run at a glance, as one self-contained HTML page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from generative.core.files import sweep, write_text
from generative.report.trained import render_run
from generative.runs.run_folder import TrainingRun


@dataclass(frozen=True)
class ReportOptions:
    """Nothing to choose."""


def main(run: TrainingRun, options: ReportOptions) -> Sequence[str]:
    """Write the page from whatever the run folder holds."""
    return [f"report: {write_report(run)}"]


def write_report(run: TrainingRun) -> Path:
    """Write `report/index.html` and return where it is."""
    path = run.path / "report" / "index.html"
    sweep(path.parent)
    write_text(path, render_run(run))
    return path
