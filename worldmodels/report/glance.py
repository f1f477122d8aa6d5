"""What a notebook shows of a run, of its evaluation and of its world model; `report` writes the whole page."""

from dataclasses import dataclass, field
from functools import partial

from generative.core.facts import Facts
from generative.core.options import did_you_mean
from generative.report.glance import Glance
from generative.report.images import png_bytes
from generative.report.plots import NotebookFigure, picture, stacked
from worldmodels.accuracy.fingerprint import fingerprint
from worldmodels.accuracy.page import left_out, main_figures
from worldmodels.accuracy.plots import FIGURES, drawable, drawn
from worldmodels.accuracy.verdict import Verdict, findings_of_card, verdict
from worldmodels.errors import RunError
from worldmodels.files import read_json
from worldmodels.report.gather import gather
from worldmodels.report.report import ReportData, drawings, headline
from worldmodels.report.states import stages, state
from worldmodels.run.folder import Run

NEWEST = ("Test tracks", "Rounds", "Learning", "Memory", "Vision")
"""Figures, those of the last stage first."""


def plot(run: Run) -> NotebookFigure:
    """Return all figures of the report for which the run has something by now, below each other.

    Raises:
        RunError: there is none yet.
    """
    found = drawings(gather(run, fingerprint(run)))
    if not found:
        raise RunError(f"{run.path}: nothing to draw yet; `worldmodels run {run.path}` goes on")
    return stacked(found)


def glance(run: Run) -> Glance:
    """Return what a notebook shows of a run: the score as soon as there is one, a line for each stage, a figure."""
    data = gather(run, fingerprint(run))
    found = drawings(data)
    newest = {title: found[title] for title in NEWEST if title in found}
    title = next(iter(newest), "")
    media = {title: png_bytes(picture(stacked({title: newest[title]})))} if newest else dict(data.images)
    open_stages = [stage for stage in stages(run) if run.done(stage) is None and stage != "accuracy"]
    return Glance(
        title=data.name,
        kind="worldmodels run",
        warnings=data.warnings,
        said=" ".join(_score(data)),
        rows=[*((name, data.facts[name]) for name in ("preset", "environment", "vision, memory", "evolved in")),
              *((stage, state(run, stage)) for stage in stages(run))],
        media=media,
        command=f"worldmodels run {run.path}" if open_stages else "",
    )  # fmt: skip


def _score(data: ReportData) -> list[str]:
    """Return the headline of the report in words; nothing without an evaluation."""
    score = headline(data.summary, data.baseline)
    if not score:
        return []
    than = f" Random policy: {score['baseline'][0]}." if score["baseline"] else ""
    return [f"Mean return {score['mean']} over {score['tracks']} ({score['interval']}).{than}"]


@dataclass(frozen=True)
class Evaluation:
    """What an agent made on the test tracks."""

    data: ReportData = field(repr=False)

    def plot(self) -> NotebookFigure:
        """Return the figure of the returns, a dot for each track."""
        return stacked({"Test tracks": drawings(self.data)["Test tracks"]})

    def _repr_html_(self) -> str:
        score = headline(self.data.summary, self.data.baseline)
        return Glance(
            title=self.data.name,
            kind="on test tracks",
            said=" ".join(_score(self.data)),
            rows=list(score["tiles"].items()),
            media={"returns": png_bytes(picture(self.plot()))},
        )._repr_html_()


@dataclass(frozen=True)
class AccuracyCard:
    """How good a world model is by itself, on held-out tracks."""

    content: Facts = field(repr=False)
    """Every figure, as in `accuracy/card.json`."""

    @property
    def verdict(self) -> Verdict:
        """The figures in words."""
        return verdict(findings_of_card(self.content))

    def plot(self, *names: str) -> NotebookFigure:
        """Return figures of the card below each other, all of them by default.

        Raises:
            RunError: the card has no figure of such a name.
        """
        known = drawable(self.content)
        if strange := [name for name in names if name not in known]:
            raise RunError(f"plot: the card has no figure {strange[0]!r};{did_you_mean(strange[0], known)}")
        return stacked({FIGURES[name][0]: partial(drawn, name, self.content) for name in names or known})

    def _repr_html_(self) -> str:
        said, (columns, rows) = self.verdict, main_figures(self.content)
        return Glance(
            title=str(self.content["facts"].get("run", "")),
            kind="accuracy of a world model",
            warnings=[f"Not measured: {line}" for line in left_out(self.content)],
            said=" ".join([said.headline, *said.reasons, said.measured]),
            columns=columns,
            rows=rows,
        )._repr_html_()


def evaluation(run: Run) -> Evaluation:
    """Return the finished evaluation of a run."""
    return Evaluation(gather(run, fingerprint(run)))


def accuracy_card(run: Run) -> AccuracyCard:
    """Return the finished accuracy card of a run."""
    return AccuracyCard(read_json(run.folder("accuracy") / "card.json", "run `worldmodels accuracy` anew"))
