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
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from generative.core.files import locked
from generative.report.images import write_png
from generative.report.plots import picture
from scripts.studies.jobs import MEASURE, Job, StudySetup, StudyWorker, take
from scripts.studies.session import Session
from scripts.terminal.commands import COMMANDS
from scripts.terminal.parsing import UsageError, parsed
from scripts.terminal.progress import show
from scripts.terminal.request import run_path
from worldmodels.errors import RunError
from worldmodels.files import half_made, read_lines, sweep, write_text
from worldmodels.parallel.executor import Executor
from worldmodels.parallel.open import open_executor
from worldmodels.run.folder import Progress, Run
from worldmodels.study.file import read_study, write_study
from worldmodels.study.page import render_study
from worldmodels.study.plots import accuracy_panels, drawn
from worldmodels.study.study import Cell, Step, refuse_changes, steps
from worldmodels.study.table import LEARNING, summaries, table_csv

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
