"""The run folder: what was asked for, what is finished, what it cost.

    config.yaml  versions.json  metrics.jsonl  spent.jsonl  tensorboard/
    rollouts/  vision/  memory/  controller/  evaluation/  dream/  report/

Stages meet only through these files. A stage is finished when its `done.json`, written last, is there. The
configuration belongs to the folder: what a started stage depends on cannot change any more.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from generative.core.facts import Facts, FactsView
from generative.core.options import ComponentError, differences
from generative.runs.trackers import Curves, check_tracker
from generative.runs.versions import versions
from generative.runs.work_folder import WorkFolder
from worldmodels.agent.precision import Dtype
from worldmodels.config import RunConfig, config_mapping
from worldmodels.config_files import read_sealed, sealed, write_config
from worldmodels.errors import RunError
from worldmodels.evolution.rounds import LEARNT, round_name
from worldmodels.files import half_made, read_json, write_json, write_text
from worldmodels.machine import available_cores
from worldmodels.run.finished import DONE, check, read_done, write_done

STAGES = {
    "loop": "rounds",
    "collect": "rollouts",
    "train-vision": "vision",
    "train-memory": "memory",
    "evolve": "controller",
    "evaluate": "evaluation",
    "dream": "dream",
    "accuracy": "accuracy",
    "report": "report",
}
"""Each stage and the folder it fills, in order."""
PACKAGES = ("torch", "numpy", "gymnasium", "box2d", "opencv-python-headless", "cma", "ray")
"""Whose versions stand in versions.json."""
ROWS = 10
"""Rows of metrics that a training logs at least."""

DEPENDS = {
    "seed": "collect",
    "env": "collect",
    "collect": "collect",
    "vision": "train-vision",
    "memory": "train-memory",
    "dtype": "evolve",
    "features": "evolve",
    "controller": "evolve",
    "evolve": "evolve",
    "dream": "evolve",
    "loop": "loop",
}
"""The first stage that uses a section of the configuration; sections not named here never change a result on disk."""


def first_user(name: str) -> str | None:
    """Return the first stage whose result depends on a dotted field, or None."""
    if name == "executor.envs":  # the width of batches decides the last bits
        return "collect"
    return DEPENDS.get(name.split(".")[0])


@dataclass(frozen=True)
class Progress:
    """How far a stage is; what its generator yields."""

    stage: str
    done: int
    total: int
    unit: str
    metrics: FactsView = field(default_factory=dict)
    """The newest figures, by name."""
    inner: "Progress | None" = None
    """How far the part under way is: of a loop, the stage of the round after those that are done."""


class Run(WorkFolder):
    """A run folder, open for reading or for the stages to fill."""

    error = RunError
    shown_by = "worldmodels.report.glance"

    def __init__(self, path: str | os.PathLike[str]):
        super().__init__(path)
        if not (self.path / "config.yaml").exists():
            raise RunError(
                f"{self.path} is no run folder (it has no config.yaml); start one with "
                f"`worldmodels run {self.path} --preset quick`, or name an existing folder"
            )
        self.config = read_sealed(self.path / "config.yaml")

    @property
    def learnt(self) -> RunConfig:
        """The configuration with which the rollouts, vision, memory and controller in this folder were made.

        It is `config`, but of a finished loop the chosen round's, whose results these are: a round has a seed, a start
        and other fields of its own. Sections that nothing learnt depends on, such as `accuracy`, are always the run's.

        Raises:
            RunError: the chosen round's configuration is missing.
        """
        chosen = self.chosen_round()
        if chosen is None:
            return self.config
        path = chosen / "config.yaml"
        if not path.exists():
            raise RunError(
                f"{path} is missing: it tells how the results of {self.path}, a loop that chose round {chosen.name}, "
                "were made; restore it"
            )
        made = read_sealed(path)
        return replace(self.config, **{name: getattr(made, name) for name in DEPENDS if name != "loop"})

    def chosen_round(self) -> Path | None:
        """Return the run folder of the round whose results this run has, or None without a finished loop.

        Of an exported run, or of one that took its loop from another, it holds no more than the configuration.
        """
        looped = self.done("loop")
        return None if looped is None else self.folder("loop") / round_name(looped["chosen_round"])

    @classmethod
    def create(cls, path: str | os.PathLike[str], config: RunConfig) -> "Run":
        """Make a run folder, or open the one that is there if its configuration is the same or may still change.

        Raises:
            RunError: if the folder belongs to something else, or a started stage depends on a changed field.
        """
        path = Path(path)
        if not (path / "config.yaml").exists():
            if os.path.lexists(path) and not half_made(path, "versions.json"):
                raise RunError(f"{path} exists and is no run folder; choose another name or empty it")
            text = sealed(config)
            write_json(path / "versions.json", {**versions(*PACKAGES), "cores": available_cores()})
            write_text(path / "config.yaml", text)
            return cls(path)
        run = cls(path)
        run.change(config)
        return run

    def change(self, config: RunConfig) -> None:
        """Take over a changed configuration where no started stage depends on what changed."""
        # What `settle` found stays.
        if config.dtype == "auto":
            config = replace(config, dtype=self.config.dtype)
        changed = differences(self.config, config)
        fixed = [
            f"  {name}: {old!r} -> {new!r}   (used by `{stage}`, which has begun)"
            for name, old, new in changed
            if (stage := first_user(name)) is not None and (self.begun(stage) or self.begun("loop"))
        ]
        if fixed:
            raise RunError(
                f"{self.path} was made with another configuration:\n"
                + "\n".join(fixed)
                + "\nRun it as it was made, or start a new run with the change: "
                f"`worldmodels run NEW --config {self.path / 'config.yaml'} --FIELD VALUE`"
            )
        if changed:
            with self.held():
                write_config(self.path / "config.yaml", config)
            self.config = config

    def settle(self, dtype: Dtype | Literal["auto"]) -> None:
        """Write into the configuration what `dtype` stands for on this machine."""
        self.config = replace(self.config, dtype=dtype)
        write_config(self.path / "config.yaml", self.config)

    def folder(self, stage: str) -> Path:
        """Return the folder that a stage fills."""
        return self.path / STAGES[stage]

    def begun(self, stage: str) -> bool:
        """Return whether a stage has left anything yet."""
        folder = self.folder(stage)
        return folder.is_dir() and any(folder.iterdir())

    def done(self, stage: str) -> Facts | None:
        """Return the facts a finished stage left, or None."""
        return read_done(self.folder(stage), stage)

    def require(self, *stages: str) -> None:
        """Raise unless these stages are finished, saying which command comes first, and their files unchanged."""
        for stage in stages:
            if self.done(stage) is None:
                raise RunError(
                    f"{self.path} has no finished `{stage}` yet: run `worldmodels {stage} {self.path}` first"
                )
            check(self.folder(stage))

    def finish(self, stage: str, facts: FactsView) -> None:
        """Mark a stage as finished; the last thing that a stage does."""
        write_done(self.folder(stage), stage, {"finished": time.strftime("%Y-%m-%dT%H:%M:%S"), **facts})

    def reopen(self, stage: str) -> None:
        """Mark a stage as not finished, before a file of it is written anew."""
        (self.folder(stage) / DONE).unlink(missing_ok=True)

    def versions(self) -> Facts:
        """Return what the run was made with: packages, interpreter, commit, machine."""
        return read_json(self.path / "versions.json", "restore it from a copy of the run")

    def log(self, stage: str, step: int, metrics: FactsView) -> None:
        """Append figures to metrics.jsonl, then give them to the tracker."""
        self.add_row({"stage": stage, "step": step, **metrics})
        self._tracked().log(stage, step, metrics)

    def _tracked(self) -> Curves:
        if self.curves is None:
            self.curves = Curves(self.config.tracker, "worldmodels", self.path, config_mapping(self.config))
        return self.curves

    def as_round(self, loop: "Run", before: dict[str, int]) -> None:
        """Have the figures of this run, a round, go into the curves of its loop.

        Args:
            loop: the run whose round this is.
            before: steps of each stage that the rounds before have logged.
        """
        self.curves = loop._tracked().after(before)

    def history(self, stage: str) -> list[Facts]:
        """Return the logged figures of a stage by step; what a resumed stage logged twice counts once."""
        return self.rows(stage=stage)

    @contextmanager
    def working(self, stage: str, cores: int = 1) -> Iterator[None]:
        """Hold the folder's lock while a stage works and note the time it took, however it ends.

        Raises:
            RunError: another process is at work in the folder, or the stage logs and there is no such tracker.
        """
        if stage in (*LEARNT, "loop"):
            check_tracked(self.config)
        with self.at_work(stage=stage, cores=cores):
            yield

    def evaluation(self) -> Any:
        """Return what the agent made on the test tracks, for a notebook: `worldmodels.report.glance.Evaluation`.

        Raises:
            RunError: `evaluate` has not finished, or a file of it is missing or changed.
        """
        self.require("evaluate")
        return self._shower().evaluation(self)

    def accuracy_card(self) -> Any:
        """Return how good the world model is by itself, for a notebook: `worldmodels.report.glance.AccuracyCard`.

        Raises:
            RunError: `accuracy` has not finished, or a file of it is missing or changed.
        """
        self.require("accuracy")
        return self._shower().accuracy_card(self)

    def core_hours(self) -> float:
        """Return the core-hours spent on the run, times of interrupted stages included."""
        return sum(line["seconds"] * line["cores"] for line in self.spent()) / 3600


def check_tracked(config: RunConfig) -> None:
    """Refuse a tracker that does not exist or is not installed.

    Raises:
        RunError: says what to install.
    """
    try:
        check_tracker(config.tracker)
    except ComponentError as error:
        raise RunError(str(error)) from error
