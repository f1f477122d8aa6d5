"""`worldmodels study`: many configurations times seeds side by side, sharing what they have in common.

FOLDER/resolved.yaml     the study, in full
FOLDER/shared/           a run folder for every result that cells have in common, named by stage and hash
FOLDER/cells/NAME-sSEED/ a run folder for every cell and seed; what is shared is linked into it
FOLDER/table.csv  index.html  accuracy.png
"""

import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tyro

from generative.files import locked
from generative.report.images import write_png
from generative.report.plots import picture
from scripts.study_jobs import MEASURE, Job, StudySetup, StudyWorker, measures, take
from scripts.terminal.commands import COMMANDS
from scripts.terminal.parsing import UsageError, parsed
from scripts.terminal.progress import show
from scripts.terminal.request import run_path
from worldmodels.errors import RunError
from worldmodels.files import half_made, read_json, read_lines, sweep, write_text
from worldmodels.parallel.executor import Executor
from worldmodels.parallel.open import open_executor
from worldmodels.run.folder import STAGES, Progress, Run
from worldmodels.study.file import read_study, write_study
from worldmodels.study.page import render_study
from worldmodels.study.plots import accuracy_panels, drawn
from worldmodels.study.study import Cell, Step, Study, impossible, refuse_changes, steps
from worldmodels.study.table import LEARNING, Row, read_row, summaries, table_csv

MONTH = 30 * 86_400.0
"""Seconds after which a job counts as hung, where the configuration does not say: trainings take hours."""
FILE = """The file names a `preset` or `config`, fields to `set` for all, and `cells` or a `grid`:

  preset: quick-real       # or run: RUN, its configuration and what it has finished
  set: {evolve.world: dream}
  cells: {mdn-rnn: {}, lstm: {memory.type: lstm}}  # names with their fields
  seeds: [0, 1, 2]         # the whole recipe anew
  optimiser_seeds: []      # or evolution alone, for each of the seeds
  evaluate: validation     # or test
  tracks: 32
  accuracy: true

On a cluster FOLDER must be on a disk that all machines share, at the same path.
This is checked before the first job."""


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


def _measured(path: Path) -> Any:
    return read_json(path, "remove it, and the study measures the cell again").get("measures")


def _done(folder: Path, stage: str) -> bool:
    return (folder / STAGES[stage] / "done.json").exists()


def study(session: Session) -> Iterator[Progress]:
    """Carry out a study from where it stands, and yield the progress of each phase in jobs.

    A job that fails stops its cells only; a study taken up again tries it once more. The results are written however
    this ends.

    Raises:
        RunError: no cell can be run, another process works on the study, it was begun with other cells, or its run has
            nothing for them.
    """
    session.check()
    common = in_common(session)
    begin(session)
    taken = RunError(f"another process is working on {session.folder}; wait for it or stop it")
    with locked(session.folder, taken), ExitStack() as stack:
        sweep(session.folder)
        stack.callback(write_results, session)
        for step, cell in common.items():
            source, target = Run(session.study.run), Run.create(session.shared(step), cell.config)
            plan = steps(cell.config)
            for before in plan[: plan.index(step) + 1]:
                take(source, target, before.stage)
        config = session.study.base.executor
        config = replace(config, item_timeout=config.item_timeout or MONTH)
        executor: Executor | None = None
        for stage in (*LEARNING, MEASURE):
            jobs = session.jobs(stage)
            todo = [pair for pair in jobs.values() if not session.finished(pair[0])]
            if not jobs:
                continue
            yield Progress("study", len(jobs) - len(todo), len(jobs), f"{stage} jobs")
            if todo and executor is None:
                setup = stack.enter_context(_marked(session.folder))
                executor = stack.enter_context(open_executor(config, StudyWorker, setup))
            for done, (number, reason) in enumerate(_outcomes(executor, todo), 1):
                if reason:
                    session.stopped |= {cell.folder: ("failed", f"{stage}: {reason}") for cell in todo[number][1]}
                yield Progress("study", len(jobs) - len(todo) + done, len(jobs), f"{stage} jobs")


def in_common(session: Session) -> dict[Step, Cell]:
    """Return what the study's run has finished that cells still need, each step with one of them.

    Raises:
        RunError: there is no such run, or no cell would do any of it the same way.
    """
    cells = session.learning()
    if not session.study.run or not cells:
        return {}
    source = Run(session.study.run)
    finished = [step for step in steps(source.config) if source.done(step.stage)]
    found = {step: cell for cell in cells for step in steps(cell.config) if step in finished}
    if not found:
        raise RunError(
            f"run={session.study.run}: no cell would do any of its finished stages the same way; leave its seed "
            f"({source.config.seed}) and what it collects as they are; of a loop name a round, RUN/rounds/00"
        )
    return found


def _outcomes(executor: Executor | None, todo: Sequence[tuple[Job, list[Cell]]]) -> Iterator[tuple[int, str]]:
    if executor is not None and todo:
        yield from executor.run([job for job, _ in todo])


def begin(session: Session) -> None:
    """Write the study into its folder, or compare it with the one that is there.

    Raises:
        RunError: the folder belongs to something else, or the study was begun otherwise.
    """
    path = session.folder / "resolved.yaml"
    if path.exists():
        refuse_changes(read_study(path), session.study)
    elif os.path.lexists(session.folder) and not half_made(session.folder, "study.yaml"):
        raise RunError(f"{session.folder} exists and is no study; choose another name or empty it")
    write_study(path, session.study)


@contextmanager
def _marked(folder: Path) -> Iterator[StudySetup]:
    """Put a file into the study's folder by which workers see whether it is the same folder where they are."""
    mark, content = folder / ".shared", secrets.token_hex(16)
    write_text(mark, content)
    try:
        yield StudySetup(os.getcwd(), mark, content)
    finally:
        mark.unlink(missing_ok=True)


def write_results(session: Session) -> None:
    """Write table, page and plot from what is finished."""
    rows = session.rows()
    cells = summaries(session.study, rows)
    write_text(session.folder / "table.csv", table_csv(session.study, rows))
    if drawn(session.study, cells):
        write_png(session.folder / "accuracy.png", picture(accuracy_panels(session.study, cells), 120))
    facts = {"made once for all": made_of(session.live()), "core-hours in all": f"{core_hours(session):.2f}"}
    if session.study.run:
        facts["begun from"] = session.study.run
    write_text(session.folder / "index.html", render_study(session.folder.name, session.study, rows, facts))


def core_hours(session: Session) -> float:
    """Return what the study has cost so far, what is shared counted once."""
    total = 0.0
    for folder in (session.folder / "shared", session.folder / "cells"):
        for path in folder.glob("*/spent.jsonl"):
            own = (
                {path.parent.name.rpartition("-")[0]} if folder.name == "shared" else {MEASURE, "evaluate", "accuracy"}
            )
            total += sum(line["seconds"] * line["cores"] for line in read_lines(path) if line["stage"] in own)
    return total / 3600


def made_of(cells: Sequence[Cell]) -> str:
    """Say how many results of each stage a study needs."""
    every = {step for cell in cells for step in steps(cell.config)}
    names = {"loop": "loops", "collect": "sets of rollouts", "train-vision": "visions", "train-memory": "memories",
             "evolve": "controllers"}  # fmt: skip
    counts = {stage: sum(step.stage == stage for step in every) for stage in LEARNING}
    return ", ".join(f"{count} {names[stage]}" for stage, count in counts.items() if count)


@dataclass(frozen=True)
class StudyRequest:
    """What `worldmodels study` is asked for."""

    folder: tyro.conf.Positional[str]
    """Folder of the study; a bare name means runs/NAME."""
    file: str | None = None
    """Its YAML file; by default FOLDER/study.yaml, or the study begun in FOLDER."""
    workers: int = 0
    """Jobs at the same time; 0: as the study's executor.workers says, one a core by default."""
    dry_run: bool = False
    """Only say what would be made, and which cells cannot be."""


def main(arguments: Sequence[str]) -> int:
    """Carry out the command line that follows `worldmodels study`, and return the exit code: 1 if a cell failed.

    Cells of a grid that cannot be run are left out of it, and said; that alone is no failure.

    Raises:
        RunError: if the study cannot go on, or no cell of it can be run.
    """
    asked = parsed(StudyRequest, arguments, "worldmodels study", f"{COMMANDS['study']}\n\n{FILE}")
    folder = run_path(asked.folder)
    files = [Path(asked.file)] if asked.file else [folder / "study.yaml", folder / "resolved.yaml"]
    file = next((path for path in files if asked.file or path.exists()), None)
    if file is None:
        raise UsageError(f"{folder} has no study.yaml: worldmodels study {asked.folder} --file STUDY.yaml")
    chosen = read_study(file)
    if asked.workers:
        executor = replace(chosen.base.executor, workers=asked.workers)
        chosen = replace(chosen, base=replace(chosen.base, executor=executor))
    session = Session(Path(os.path.abspath(folder)), chosen)
    print(f"study: {folder}, {len(session.cells)} runs of {len(chosen.cells)} cells from {made_of(session.cells)}")
    if asked.dry_run:
        session.check()
        in_common(session)
    else:
        show(study(session))
        print(f"table: {folder / 'table.csv'}\npage: {folder / 'index.html'}")
    for line in session.reasons():
        print(line, file=sys.stderr)
    return 1 if any(state == "failed" for state, _ in session.stopped.values()) else 0
