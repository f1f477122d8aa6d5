"""Where the figures of a run can be watched while it goes on: TensorBoard, Trackio or Weights & Biases.

metrics.jsonl in the run folder holds every figure whatever the tracker is. A curve is named by stage and figure, as in
`train-vision/loss`. Nothing here talks to a network unless the user's own settings of Trackio or W&B say so.
"""

import importlib
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from generative.core.catalogue import Catalogue
from generative.core.facts import FactsView
from generative.core.files import read_json, write_json
from generative.core.options import ComponentError

KNOWN = "tracker.json"
"""The file by which a run is known to its tracker, so that a resumed one goes on in the same curves."""
FLUSHED = 2
"""Seconds after which TensorBoard writes what it was given. A command that is stopped while it hands a figure over may
wait as long: its writer's thread was not told of the figure."""


@dataclass(frozen=True)
class Tracked:
    """What a tracker is told of the run that it follows."""

    folder: Path
    project: str
    """Runs of one project are compared with one another."""
    config: FactsView
    """JSON types."""

    @property
    def name(self) -> str:
        """Name of the run, which no other has; drawn once and kept in its folder."""
        path = self.folder / KNOWN
        if not path.exists():
            write_json(path, {"name": f"{self.folder.absolute().name}-{uuid.uuid4().hex[:8]}"})
        return str(read_json(path, "remove it; curves then begin anew")["name"])


class Tracker:
    """Shows nothing: metrics.jsonl is enough. The others replace what it does.

    One is made when the first figure comes, and is closed after every stage.
    """

    package: ClassVar[str] = ""
    """What must be installed; empty for nothing."""

    def __init__(self, run: Tracked) -> None:
        """Go on where the run stopped, if it is known."""

    def log(self, stage: str, step: int, figures: Mapping[str, float]) -> None:
        """Take figures of a step; steps of a stage ascend but where it goes on or begins anew."""

    def close(self) -> None:
        """Write what is left."""


class TensorBoard(Tracker):
    """Event files in `RUN/tensorboard`."""

    package: ClassVar[str] = "tensorboard"

    def __init__(self, run: Tracked) -> None:
        """Open a new event file beside those that are there."""
        self.folder = run.folder / "tensorboard"
        self._last: dict[str, int] = {}
        self._open()

    def _open(self) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes a second

        self._writer = SummaryWriter(str(self.folder), flush_secs=FLUSHED)

    def log(self, stage: str, step: int, figures: Mapping[str, float]) -> None:
        """Write figures; what was written before of the stage from this step on is forgotten."""
        if step <= self._last.get(stage, step):
            self._forget(stage, step)
        self._last[stage] = step
        for name, value in figures.items():
            self._writer.add_scalar(f"{stage}/{name}", value, step)

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()

    def _forget(self, stage: str, step: int) -> None:
        """Write the event files anew without a stage's figures from a step on, where they have any.

        TensorBoard's own `purge_step` would take the figures of all stages.
        """
        from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader  # takes a second

        files = sorted(self.folder.glob("events.*"))
        if len(files) < 2 and not self._last:
            return
        self._writer.flush()
        events = [event for file in files for event in LegacyEventFileLoader(str(file)).Load()]
        written = [event for event in events if event.HasField("summary")]
        kept = [
            event
            for event in written
            if event.step < step or not any(value.tag.startswith(f"{stage}/") for value in event.summary.value)
        ]
        if len(kept) == len(written):
            return
        self._writer.close()
        self._open()
        for event in kept:
            self._writer._get_file_writer().add_event(event, event.step, event.wall_time)
        self._writer.flush()
        for file in files:
            file.unlink()


class Trackio(Tracker):
    """Trackio's local database; `trackio show` opens it."""

    package: ClassVar[str] = "trackio"

    def __init__(self, run: Tracked) -> None:
        """Begin the run, or go on with it."""
        self._run = _imported(self).init(
            project=run.project, name=run.name, config=dict(run.config), resume="allow", embed=False
        )

    def log(self, stage: str, step: int, figures: Mapping[str, float]) -> None:
        """Send figures."""
        self._run.log(_in_stage(stage, figures), step=step)

    def close(self) -> None:
        """Wait until all is written."""
        self._run.finish()


class WandB(Tracker):
    """Weights & Biases: files in `RUN/wandb`, which `wandb sync` uploads; WANDB_MODE=online sends figures at once."""

    package: ClassVar[str] = "wandb"

    def __init__(self, run: Tracked) -> None:
        """Begin the run, or go on with it."""
        wandb = _imported(self)
        if wandb.run is None or wandb.run.id != run.name:
            wandb.init(
                project=os.environ.get("WANDB_PROJECT", run.project),
                name=run.name,
                id=run.name,
                dir=str(run.folder),
                config=dict(run.config),
                resume="allow",
                mode=os.environ.get("WANDB_MODE", "offline"),
                reinit="finish_previous",
            )
        self._run = wandb.run
        self._begun: set[str] = set()

    def log(self, stage: str, step: int, figures: Mapping[str, float]) -> None:
        """Send figures; W&B's own step only counts calls, as every stage counts anew."""
        if stage not in self._begun:
            self._run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
            self._begun.add(stage)
        self._run.log({f"{stage}/step": step, **_in_stage(stage, figures)})

    def close(self) -> None:
        """Leave it open for the next stage: W&B makes a folder each time, and ends a run with the process."""


def _in_stage(stage: str, figures: Mapping[str, float]) -> dict[str, float]:
    return {f"{stage}/{name}": value for name, value in figures.items()}


def _imported(tracker: Tracker) -> Any:
    return importlib.import_module(tracker.package)


def _tracker(found: object, name: str, place: str) -> type[Tracker]:
    if not (isinstance(found, type) and issubclass(found, Tracker)):
        raise ComponentError(f"{place}: {found!r} is no tracker; it must build on generative.runs.trackers.Tracker")
    return found


TRACKERS: Catalogue[type[Tracker]] = Catalogue(
    "tracker",
    "tracker",
    {"tensorboard": TensorBoard, "trackio": Trackio, "wandb": WandB, "none": Tracker},
    _tracker,
)
"""The trackers by name."""


def check_tracker(name: str) -> None:
    """Refuse a tracker that cannot work here.

    Raises:
        ComponentError: there is none of this name, or its package is not installed.
    """
    try:
        package = TRACKERS.find(name).package
    except ComponentError as error:
        raise ComponentError(f"tracker={error}") from None
    try:
        if package:
            importlib.import_module(package)
    except ImportError as error:
        raise ComponentError(
            f"tracker={name}: the package {package} is missing or does not work ({error}); install it with "
            f"`pip install {package}`, or take another tracker"
        ) from error


@dataclass
class Curves:
    """Sends the figures of one run to its tracker, which is opened with the first of them."""

    tracker: str
    project: str
    folder: Path
    config: FactsView
    before: dict[str, int] = field(default_factory=dict)
    """What is added to the steps of a stage: in a round of a loop, those of the rounds before."""
    opened: list[Tracker] = field(default_factory=list)
    """The tracker, once there is one; rounds share it with their loop, which closes it."""
    round: bool = False
    """Whether these are a round's."""

    def log(self, stage: str, step: int, figures: FactsView) -> None:
        """Send the numbers among the figures of a step."""
        numbers = {name: value for name, value in figures.items() if isinstance(value, int | float)}
        if not self.opened:
            run = Tracked(self.folder, self.project, self.config)
            self.opened.append(TRACKERS.find(self.tracker)(run))
        self.opened[0].log(stage, self.before.get(stage, 0) + step, numbers)

    def after(self, before: dict[str, int]) -> "Curves":
        """Return the same curves for a round, whose steps go on after those of the rounds before."""
        return replace(self, before=before, round=True)

    def close(self) -> None:
        """Close the tracker; another figure opens it again."""
        while self.opened and not self.round:
            self.opened.pop().close()
