"""What a process of a study does: one job at a time, a stage in a run folder or the measurement of a cell."""

import hashlib
import os
import platform
import traceback
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from scripts.stages import STAGE_FUNCTIONS
from worldmodels.agent.build import env_shape
from worldmodels.agent.trained import load_bundle, load_vision
from worldmodels.config import RunConfig
from worldmodels.errors import RunError
from worldmodels.evolution.drive import drive
from worldmodels.evolution.evaluate import episode_row
from worldmodels.evolution.tasks import TrialWorker
from worldmodels.evolution.trial_setup import TrialSetup
from worldmodels.files import append_line, link_tree, read_lines, write_bytes, write_json, write_lines, write_text
from worldmodels.parallel.config import ExecutorConfig
from worldmodels.parallel.executor import WorkerError
from worldmodels.parallel.open import open_executor
from worldmodels.rollouts.dataset import episode_files, split
from worldmodels.run.folder import Run
from worldmodels.study.study import Study
from worldmodels.study.table import LEARNING, measured_tracks
from worldmodels.vision.encode import encode_rollouts

ALONE = ExecutorConfig(type="serial", workers=1)
"""How a job does its own work: in its process."""
MEASURE = "measure"
"""The job after the stages."""


class Job(NamedTuple):
    """One thing to do in a process of its own: a stage in a run folder, or the measurement of a cell."""

    stage: str
    folder: Path
    config: RunConfig
    sources: tuple[tuple[str, Path], ...]
    """Finished stages to link first, each with the run folder that has it."""
    study: Study


class StudySetup(NamedTuple):
    """What a process of a study must find where it is."""

    start: str
    """The folder that relative paths in configurations start from: where the command was given."""
    mark: Path
    """A file in the study's folder, made for this session."""
    content: str


class StudyWorker:
    """Carries out jobs, and returns the reason of a failure or an empty text.

    Raises:
        RunError: this machine does not share the study's folder, or lacks the one that relative paths start from.
    """

    def __init__(self, setup: StudySetup) -> None:
        shared = setup.mark.exists() and setup.mark.read_text() == setup.content
        for folder, there in ((setup.mark.parent, shared), (setup.start, os.path.isdir(setup.start))):
            if not there:
                raise RunError(
                    f"{platform.node()} does not see {folder} as it is where the study was started; on a cluster a"
                    " study needs a disk that all machines share, at the same path"
                )
        os.chdir(setup.start)

    def __call__(self, job: Job) -> str:
        """Do a job from where it stands."""
        try:
            carry_out(job)
        except Exception as error:
            write_text(_failure(job.folder), traceback.format_exc())
            lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            reason = lines[-1] if isinstance(error, WorkerError) else " ".join(line.strip() for line in lines)
            return reason if isinstance(error, RunError | ValueError) else f"{type(error).__name__}: {reason}"
        _failure(job.folder).unlink(missing_ok=True)
        return ""


def _failure(folder: Path) -> Path:
    """Return where the whole story of a failure is kept: beside the run folder."""
    return folder.parent / f"{folder.name}.failure.txt"


def carry_out(job: Job) -> None:
    """Do a job from where it stands: everything in this process."""
    known = (job.folder / "config.yaml").exists()
    run = Run(job.folder) if known and job.stage != MEASURE and Run(job.folder).done(job.stage) else None
    if run is None:
        run = Run.create(job.folder, job.config)
        for stage, source in job.sources:
            if not run.done(stage):
                take(Run(source), run, stage)
    run.config = replace(run.config, executor=replace(ALONE, envs=run.config.executor.envs))
    if job.stage == MEASURE:
        measure(run, job.study)
        return
    for _ in STAGE_FUNCTIONS[job.stage](run):
        pass
    if job.stage == "train-vision":
        encode_all(run)


def encode_all(run: Run) -> None:
    """Encode the rollouts once, for every memory that will train on them."""
    training, held_out = split(episode_files(run.folder("collect")))
    with run.working("train-vision"):
        for _ in encode_rollouts(run, [*training, *held_out], load_vision(run)):
            pass
        write_json(run.path / "encoded.json", {"episodes": len(training) + len(held_out)})


def take(source: Run, target: Run, stage: str) -> None:
    """Link a finished stage into another run folder, with the figures it logged and the time it took.

    Only `done.json` makes it count, and comes last.
    """
    if target.done(stage):
        return
    source.require(stage)
    if stage == "loop":  # the rounds stay where they are
        for name in ("curve.jsonl", "top_k.jsonl"):
            link_tree(source.folder(stage), target.folder(stage), name)
        if (chosen := source.chosen_round()) is not None:
            link_tree(chosen, target.folder(stage) / chosen.name, "config.yaml")
        for inner in LEARNING[1:]:
            take(source, target, inner)
    else:
        link_tree(source.folder(stage), target.folder(stage), "[!d]*")
    for name in ("metrics.jsonl", "spent.jsonl"):
        taken = (stage, "precision") if stage in ("evolve", "loop") else (stage,)
        lines = [line for line in read_lines(target.path / name) if line["stage"] not in taken]
        lines += [line for line in read_lines(source.path / name) if line["stage"] in taken]
        write_lines(target.path / name, lines)
    if stage in ("evolve", "loop"):
        target.settle(source.config.dtype)
    write_bytes(target.folder(stage) / "done.json", (source.folder(stage) / "done.json").read_bytes())


def measure(run: Run, study: Study) -> None:
    """Measure a cell's controller and world model; what is measured already is kept."""
    if study.evaluate == "validation":
        validate(run, study)
    else:
        for _ in STAGE_FUNCTIONS["evaluate"](run):
            pass
    if study.accuracy:
        for _ in STAGE_FUNCTIONS["accuracy"](run):
            pass
    write_json(run.path / "measured.json", {"measures": measures(study, run.config)})


def measures(study: Study, config: RunConfig) -> str:
    """Return a hash of how a cell is measured."""
    how = (study.evaluate, study.tracks, study.accuracy, config.evaluate, config.accuracy if study.accuracy else None)
    return hashlib.sha256(repr(how).encode()).hexdigest()[:12]


def validate(run: Run, study: Study) -> None:
    """Let the cell's controller drive the study's validation tracks; a finished episode is kept."""
    path = run.path / "validation" / "episodes.jsonl"
    kept = {line["track"] for line in read_lines(path)}
    missing = [track for track in measured_tracks(study) if track not in kept]
    if not missing:
        return
    width = run.config.executor.envs
    with run.working(MEASURE):
        bundle, parameters, _ = load_bundle(run)
        names = env_shape(run.learnt.env).state_names
        with open_executor(ALONE, TrialWorker, TrialSetup(bundle, width)) as executor:
            for driven in drive(executor, parameters[None], missing, most=width):
                append_line(path, episode_row(driven.track, driven.played, names) | {"env": run.learnt.env.id})
