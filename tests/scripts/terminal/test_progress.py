"""The line that says how far a command is: alive in silence, plain where nobody watches, gone when it ends."""

import io
import os
import re
import threading
import time

import pytest

from scripts.terminal.progress import Display, show
from worldmodels.run.folder import Progress


class Countdown:
    """A forecast that knows less every time it is asked."""

    def __init__(self):
        self.left, self.seen = 600.0, []

    def observe(self, progress):
        self.seen.append(progress)

    def remaining(self):
        self.left -= 10.0
        return self.left

    def share(self):
        return 0.34


class Terminal:
    """A pseudo-terminal, and what was written to it."""

    def __init__(self):
        self.ours, theirs = os.openpty()
        self.stream = os.fdopen(theirs, "w", encoding="utf-8")
        os.set_blocking(self.ours, False)
        self._text = b""

    def text(self):
        try:
            while piece := os.read(self.ours, 65536):
                self._text += piece
        except OSError:
            pass
        return self._text.decode()

    def until(self, pattern, times):
        deadline = time.monotonic() + 30
        while len(set(re.findall(pattern, self.text()))) < times and time.monotonic() < deadline:
            time.sleep(0.01)


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr("scripts.terminal.progress.REPAINT", 0.02)
    monkeypatch.setattr("scripts.terminal.progress._columns", lambda stream: 120)
    made = Terminal()
    yield made
    made.stream.close()
    os.close(made.ours)


def nested(done=2, metrics=None):
    inner = Progress("evolve", 12, 20, "generations", metrics or {})
    return Progress("loop", done, 7, "rounds", {"best": 803.25}, inner)


def test_a_silent_stage_is_repainted(terminal):
    def silent():
        yield nested()
        terminal.until(r"min \d+ s left", 4)

    with Display("run", Countdown(), terminal.stream) as display:
        display.follow(silent())
    assert len(set(re.findall(r"\d+ min \d+ s left", terminal.text()))) >= 4


def test_the_line_tells_the_whole_the_round_and_the_stage(terminal):
    display = Display("run", Countdown(), terminal.stream)
    display.follow(iter([nested(metrics={"mean": 187.2})]))
    line = display.line(200)
    assert line.startswith("run  34 % ━━━╌╌╌╌╌╌╌ · 9 min ")
    assert line.endswith("left · round 02 of 00-06 · evolve ━━━━╌╌ 12/20 generations · mean 187.2 · best 803.2")
    assert "━" not in display.line(60)
    display.follow(iter([Progress("loop", 7, 7, "rounds", inner=Progress("loop", 1, 3, "top k"))]))
    assert "7 rounds · loop 1/3 top k" in display.line()
    display.follow(iter([Progress("evaluate", 0, 1, "workers")]))
    assert display.line().endswith("left · evaluate: starting workers")


def test_a_painted_line_fits_into_the_terminal(terminal, monkeypatch):
    monkeypatch.setattr("scripts.terminal.progress._columns", lambda stream: 40)
    with Display("run", Countdown(), terminal.stream) as display:
        display.follow(iter([nested(metrics={"a long name of a figure": 1.0})]))
    painted = [part for part in re.split(r"\r|\x1b\[K|\n", terminal.text()) if part]
    assert painted and max(map(len, painted)) <= 39


def test_what_is_said_stands_above_the_line(terminal, capsys):
    with Display("run", Countdown(), terminal.stream) as display:
        display.follow(iter([nested()]))
        before = terminal.text()
        display.say("  collect       250 episodes")
    assert capsys.readouterr().out == "  collect       250 episodes\n"
    assert terminal.text().removeprefix(before).startswith("\r\x1b[K")  # what stood there is cleared first


def test_an_interrupt_leaves_the_last_line_and_no_thread(terminal):
    def interrupted():
        yield nested()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Display("run", Countdown(), terminal.stream) as display:
        display.follow(interrupted())
    assert terminal.text().endswith("\n") and "generations" in terminal.text().splitlines()[-1]
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_where_nobody_watches_lines_are_printed(monkeypatch):
    monkeypatch.setattr("scripts.terminal.progress.REPAINT", 0.01)
    monkeypatch.setattr("scripts.terminal.progress.REPORT", 0.02)
    stream = io.StringIO()

    def silent():
        yield nested()
        deadline = time.monotonic() + 30
        while stream.getvalue().count("\n") < 3 and time.monotonic() < deadline:
            time.sleep(0.01)

    with Display("run", Countdown(), stream) as display:
        display.follow(silent())
    lines = stream.getvalue().splitlines()
    assert len(lines) >= 3 and not re.search("[\r\x1b━]", stream.getvalue())
    assert lines[0].startswith("run  34 % · 9 min")


def test_what_is_short_prints_nothing_where_nobody_watches(monkeypatch):
    monkeypatch.setattr("scripts.terminal.progress.REPAINT", 0.01)
    stream = io.StringIO()
    with Display("run", Countdown(), stream) as display:
        display.follow(Progress("evolve", done, 50, "generations") for done in range(50))
    assert stream.getvalue() == ""


def test_a_terminal_without_these_signs_gets_others():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    stream.isatty = lambda: True
    with Display("run", Countdown(), stream) as display:
        display.follow(iter([nested()]))
        assert display.line(200).startswith("run  34 % ###------- | ")


def test_one_stage_alone_goes_by_its_pace(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("scripts.terminal.progress.REPORT", -1.0)  # a line whenever it is painted
    show(Progress("train", done, 4, "steps", {"loss": 1.5}) for done in range(5))
    assert stream.getvalue().startswith("train 0/4 steps · loss 1.5\n")
