"""A folder that one process works in at a time: its lock, its figures, and the time that was spent on it."""

import importlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from generative.core.facts import Facts, FactsView
from generative.core.files import append_line, locked, read_lines, sweep
from generative.core.options import ComponentError
from generative.runs.trackers import Curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    Figure = Any  # what draws is imported by whoever asks for it


class WorkFolder:
    """What run folders of every kind have in common."""

    error: ClassVar[type[Exception]] = ComponentError
    """What is raised of a folder that cannot be used."""
    shown_by: ClassVar[str]
    """The module that shows such folders, with `plot(run)` and `glance(run)`; by its name, as it imports this one."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Take a folder, which need not be there yet."""
        self.path = Path(path)
        self.curves: Curves | None = None
        """Where figures go besides metrics.jsonl, once there are any."""

    def plot(self) -> Figure:
        """Return a Matplotlib figure of what the run has by now; a notebook shows it.

        Raises:
            Exception: `error`, where there is nothing to draw yet.
        """
        figure: Figure = self._shower().plot(self)
        return figure

    def _repr_html_(self) -> str:
        """Return what a notebook shows of the run."""
        return str(self._shower().glance(self)._repr_html_())

    def _shower(self) -> ModuleType:
        return importlib.import_module(self.shown_by)

    @contextmanager
    def at_work(self, **facts: object) -> Iterator[None]:
        """Hold the folder's lock and note in spent.jsonl the seconds that the work took, however it ends.

        Args:
            **facts: noted beside the seconds.

        Raises:
            Exception: `error`, where another process is at work in the folder.
        """
        begun = time.perf_counter()
        with self.held():
            sweep(self.path)
            try:
                yield
            finally:
                seconds = round(time.perf_counter() - begun, 3)
                append_line(self.path / "spent.jsonl", {"seconds": seconds, **facts})
                if self.curves is not None:
                    self.curves.close()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder's lock; errors as of `at_work`."""
        with locked(self.path, self.error(f"another process is working in {self.path}; wait for it or stop it")):
            yield

    def spent(self) -> list[Facts]:
        """Return the rows of spent.jsonl, those of interrupted work included."""
        return self._lines("spent.jsonl")

    def add_row(self, row: FactsView) -> None:
        """Append a row to metrics.jsonl."""
        append_line(self.path / "metrics.jsonl", row)

    def rows(self, **having: object) -> list[Facts]:
        """Return the rows of metrics.jsonl by step; what resumed work wrote twice counts once.

        Args:
            **having: what the rows say of themselves, such as a stage.
        """
        found = [row for row in self._lines("metrics.jsonl") if having.items() <= row.items()]
        by_step = {row["step"]: row for row in found}
        return [by_step[step] for step in sorted(by_step)]

    def _lines(self, name: str) -> list[Facts]:
        try:
            return read_lines(self.path / name)
        except ComponentError as error:
            raise self.error(str(error)) from error
