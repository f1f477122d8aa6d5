"""One line that says how far a command is: the whole, the round, the stage, and how much longer.

It is painted by a thread of its own, so that it stays alive while a stage is silent. Where nobody watches, because
standard error is no terminal, a line is printed now and then instead.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TextIO

from generative.core.facts import FactsView
from worldmodels.evolution.rounds import round_name
from worldmodels.run.folder import Progress
from worldmodels.run.plan import WORKERS, Forecast, Pace

REPAINT = 1.0
"""Seconds between two paintings on a terminal."""
REPORT = 15.0
"""Seconds before the first line and between two lines elsewhere."""
FIGURES = 3
"""Most figures of a stage that are shown."""
CLEAR = "\r\x1b[K"


def show(progress: Iterator[Progress]) -> None:
    """Drive a stage's generator to its end and show how far it is."""
    with Display("", Pace()) as display:
        display.follow(progress)


class Display:
    """Shows the progress of one stage after another; a context manager that leaves the terminal clean."""

    def __init__(self, name: str, forecast: Forecast, stream: TextIO | None = None) -> None:
        """Hold what is shown.

        Args:
            name: of the whole, put before its share; empty where a single stage is the whole.
            forecast: says how much is done and left.
            stream: standard error by default.
        """
        self._name, self._forecast = name, forecast
        self._stream = stream or sys.stderr
        self._watched = self._stream.isatty()
        self._progress: Progress | None = None
        self._printed = time.monotonic()
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_painting, name="progress", daemon=True)

    def __enter__(self) -> "Display":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._watched and self._progress is not None:
            self._write("\n" if kind else CLEAR)

    def follow(self, progress: Iterator[Progress]) -> None:
        """Drive a stage's generator to its end."""
        for state in progress:
            first = self._progress is None
            with self._lock:
                self._progress = state
                self._forecast.observe(state)
            if first:
                self._paint()

    def plan(self, name: str, forecast: Forecast) -> None:
        """Go on with another forecast, of a whole of this name."""
        with self._lock:
            self._name, self._forecast = name, forecast

    def say(self, text: str) -> None:
        """Print a line to standard output, above the progress."""
        with self._lock:
            if self._watched and self._progress is not None:
                self._write(CLEAR)
            print(text, flush=True)
            if self._watched and not self._ended.is_set():
                self._paint()

    def _keep_painting(self) -> None:
        while not self._ended.wait(REPAINT):
            self._paint()

    def _paint(self) -> None:
        with self._lock:
            if self._progress is None:
                return
            if self._watched:
                width = _columns(self._stream) - 1
                self._write(CLEAR + self.line(width)[:width])
            elif time.monotonic() - self._printed >= REPORT:
                self._printed = time.monotonic()
                self._write(self.line() + "\n")

    def line(self, width: int = 0) -> str:
        """Return what is shown, with as many bars as there are columns for; without any where `width` is 0."""
        if self._progress is None:
            return ""
        for bars in (2, 1, 0):
            line = self._drawable(" · ".join(part for part in self._words(self._progress, bars) if part))
            if len(line) <= width:
                break
        return line

    def _words(self, progress: Progress, bars: int) -> list[str]:
        """Return the whole, the time that is left, the round of a loop, the stage, and its figures."""
        seconds, share = self._forecast.remaining(), self._forecast.share()
        left = "" if seconds is None else f"{duration(seconds)} left"
        inner = progress.inner or progress
        stage = _stage(inner, bars > 1)
        if not self._name:
            return [stage, left, *_figures(inner.metrics)]
        whole = f"{self._name} {100 * share:3.0f} %{_bar(share, 10) if bars else ''}"
        if progress.inner is None:
            return [whole, left, stage, *_figures(inner.metrics)]
        place = f"round {round_name(progress.done)} of {round_name(0)}-{round_name(progress.total - 1)}"
        if inner.stage == progress.stage:
            place = f"{progress.done} rounds"
        best = {name: value for name, value in progress.metrics.items() if name == "best"}
        return [whole, left, place, stage, *_figures({**inner.metrics, **best})]

    def _drawable(self, text: str) -> str:
        """Return a text that the terminal's encoding has."""
        try:
            text.encode(self._stream.encoding or "utf-8")
        except UnicodeEncodeError:
            return text.translate({ord("━"): "#", ord("╌"): "-", ord("·"): "|"})
        return text

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _stage(progress: Progress, bar: bool) -> str:
    """Return a stage and how many of its units are done."""
    if progress.total == 1 and not progress.done:
        return f"{progress.stage}: {'starting ' if progress.unit == WORKERS else ''}{progress.unit}"
    share = progress.done / progress.total if progress.total else 1.0
    return f"{progress.stage}{_bar(share, 6) if bar else ''} {progress.done}/{progress.total} {progress.unit}"


def _bar(share: float, width: int) -> str:
    filled = round(width * min(1.0, share))
    return f" {'━' * filled}{'╌' * (width - filled)}"


def _figures(metrics: FactsView) -> list[str]:
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    shown = list(numbers.items())[:FIGURES]
    if "best" in numbers:
        shown = [*[pair for pair in shown if pair[0] != "best"][: FIGURES - 1], ("best", numbers["best"])]
    return [f"{name} {value:.4g}" for name, value in shown]


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def duration(seconds: float) -> str:
    """Return a time in words, as exact as it can be told."""
    if seconds < 3:
        return "a moment"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 600:
        minutes, rest = divmod(round(seconds / 10) * 10, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
