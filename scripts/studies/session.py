"""A study at work in its folder: its cells, the jobs that they need, and what is finished."""

from dataclasses import dataclass, field
from pathlib import Path

from scripts.studies.jobs import MEASURE, Job, measures
from worldmodels.errors import RunError
from worldmodels.files import read_json
from worldmodels.run.folder import STAGES, Run
from worldmodels.study.study import Cell, Step, Study, impossible, steps
from worldmodels.study.table import Row, read_row


@dataclass
class Session:
    """A study at work in its folder."""

    folder: Path
    study: Study
    cells: list[Cell] = field(default_factory=list)
    stopped: dict[str, tuple[str, str]] = field(default_factory=dict)
    """State and reason of cells that do not go on, by folder name."""

    def __post_init__(self) -> None:
        self.cells = self.study.expand()

    def live(self) -> list[Cell]:
        """Return the cells that go on."""
        return [cell for cell in self.cells if cell.folder not in self.stopped]

    def shared(self, step: Step) -> Path:
        """Return the run folder in which a step is done."""
        return self.folder / "shared" / step.folder

    def path(self, cell: Cell) -> Path:
        """Return a cell's run folder."""
        return self.folder / "cells" / cell.folder

    def learning(self) -> list[Cell]:
        """Return the cells that go on and have no controller yet."""
        return [cell for cell in self.live() if not _done(self.path(cell), steps(cell.config)[-1].stage)]

    def check(self) -> None:
        """Find the cells that cannot be run; parts do not depend on the seed.

        Raises:
            RunError: none can be run, with every reason.
        """
        reasons: dict[str, str | None] = {}
        for cell in self.cells:
            if cell.name not in reasons:
                reasons[cell.name] = impossible(cell)
            reason = reasons[cell.name]
            if reason is not None:
                self.stopped[cell.folder] = ("impossible", reason)
        if not self.live():
            raise RunError("\n".join(["no cell of the study can be run, nothing was made", *self.reasons()]))

    def reasons(self) -> list[str]:
        """Return a line for each reason why cells do not go on: their folders' names, the state, the reason."""
        found: dict[tuple[str, str], list[str]] = {}
        for name, why in self.stopped.items():
            found.setdefault(why, []).append(name)
        return [f"{', '.join(names)} {state}: {reason}" for (state, reason), names in found.items()]

    def jobs(self, stage: str) -> dict[Path, tuple[Job, list[Cell]]]:
        """Return the jobs of a phase by folder, finished ones included, each with the cells that need it.

        A cell that has its controller needs no stage, so `shared` can be deleted once all have theirs.
        """
        found: dict[Path, tuple[Job, list[Cell]]] = {}
        for cell in self.live() if stage == MEASURE else self.learning():
            plan = steps(cell.config)
            if stage == MEASURE:
                sources = tuple((step.stage, self.shared(step)) for step in plan)
                found[self.path(cell)] = (Job(stage, self.path(cell), cell.config, sources, self.study), [cell])
                continue
            for place, step in enumerate(plan):
                if step.stage == stage:
                    sources = tuple((before.stage, self.shared(before)) for before in plan[:place])
                    job = Job(stage, self.shared(step), cell.config, sources, self.study)
                    found.setdefault(job.folder, (job, []))[1].append(cell)
        return found

    def finished(self, job: Job) -> bool:
        """Return whether a job needs no more doing."""
        if job.stage == MEASURE:
            path = job.folder / "measured.json"
            return path.exists() and _measured(path) == measures(self.study, job.config)
        encoded = job.stage != "train-vision" or (job.folder / "encoded.json").exists()
        return _done(job.folder, job.stage) and encoded

    def rows(self) -> list[Row]:
        """Return the table as it stands."""
        measured = {folder for folder, (job, _) in self.jobs(MEASURE).items() if self.finished(job)}
        rows = []
        for cell in self.cells:
            if cell.folder in self.stopped:
                rows.append(Row(cell, *self.stopped[cell.folder]))
            elif self.path(cell) in measured:
                rows.append(read_row(Run(self.path(cell)), cell, self.study))
            else:
                rows.append(Row(cell, "unfinished"))
        return rows


def _measured(path: Path) -> object:
    return read_json(path, "remove it, and the study measures the cell again").get("measures")


def _done(folder: Path, stage: str) -> bool:
    return (folder / STAGES[stage] / "done.json").exists()
