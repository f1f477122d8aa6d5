"""Every file of a run is changed in many ways, and every command that reads it either says so in one line or does what
it did before. A sample runs by default; WORLDMODELS_MUTATIONS=all tries every one."""

import os
import random
import re
import shutil
import signal
import time
from contextlib import contextmanager

import pytest

from scripts.cli import main
from scripts.stages import STAGE_FUNCTIONS
from tests.small import tiny_config
from worldmodels import Run
from worldmodels.config import config_from
from worldmodels.config_files import write_config

EVERY = os.environ.get("WORLDMODELS_MUTATIONS") == "all"
SAMPLE = 24
"""Mutations of each run that are tried by default."""

LOOP = {
    "rounds": 2,
    "vision_every": 2,
    "later": {
        "collect": {"episodes": 2, "max_frames": 12},
        "vision": {"fit": {"steps": 2}},
        "memory": {"fit": {"steps": 2}},
        "evolve": {"generations": 1},
    },
}
IGNORED = ("tensorboard/", ".lock", "README")
"""What no command reads."""


def tiny(path, **changes):
    """A run with every stage finished."""
    config = config_from(changes, tiny_config())
    run = Run.create(path, config)
    stages = ("loop",) if config.loop.rounds else ("collect", "train-vision", "train-memory", "evolve")
    for stage in (*stages, "evaluate", "dream", "accuracy", "report"):
        for _ in STAGE_FUNCTIONS[stage](run):
            pass
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory, hasty_vision):
    folder = tmp_path_factory.mktemp("runs")
    return {
        "plain": tiny(folder / "plain").path,
        "looped": tiny(folder / "looped", loop=LOOP, evolve={"world": "dream"}).path,
    }


def truncated(path, rng):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path, rng):
    path.write_bytes(b"")


def flipped(path, rng):
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def deleted(path, rng):
    path.unlink()


def folder_instead(path, rng):
    path.unlink()
    path.mkdir()


def swapped(path, rng):
    """Another file of the same kind in its place."""
    others = sorted(other for other in path.parents[1].rglob(f"*{path.suffix}") if other != path and other.is_file())
    path.write_bytes(rng.choice(others).read_bytes())


def garbled(path, rng):
    """Half of the lines, from the middle."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[len(lines) // 4 : 3 * len(lines) // 4]))


def other_value(path, rng):
    """Another value, sometimes of another type, in place of one of the values in a text."""
    text = path.read_text()
    places = list(re.finditer(r"(?<=[:,\[] )(-?\d[\d.e+-]*|true|false|null|\"[^\"]*\")", text))
    place = rng.choice(places)
    value = rng.choice(["1" + "0" * 30, "-1", "0.5", "NaN", "1e999", '"x"', "[]", "{}", "null", "true"])
    path.write_text(text[: place.start()] + value + text[place.end() :])


def torn(path, rng):
    """A last line that a killed process did not finish."""
    with open(path, "ab") as file:
        file.write(b'{"stage": "evo')


BINARY = ("truncated", "emptied", "flipped", "deleted", "folder_instead", "swapped")
TEXT = (*BINARY, "garbled", "other_value")
MUTATIONS = {
    mutation.__name__: mutation
    for mutation in (truncated, emptied, flipped, deleted, folder_instead, swapped, garbled, other_value, torn)
}


def mutations(run):
    """Every file of a run with everything that can happen to it; each distinct file once, not its links."""
    seen = set()
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        if not path.is_file() or name.startswith(IGNORED) or path.name in IGNORED:
            continue
        known = path.stat().st_ino in seen
        seen.add(path.stat().st_ino)
        if known:
            continue
        kinds = TEXT if path.suffix in (".json", ".yaml", ".jsonl", ".csv") else BINARY
        yield from ((name, kind) for kind in (*kinds, *(("torn",) if path.suffix == ".jsonl" else ())))


def done_without_time(run, stage):
    facts = Run(run).done(stage)
    facts.pop("finished")
    return facts


def page(run):
    return (run / "report" / "index.html").read_text()


def csv(run):
    return (run / "evaluation" / "episodes.csv").read_text()


def exported(run):
    return {
        path.name: path.read_bytes()
        for path in sorted((run.parent / "agent").rglob("*"))
        if path.suffix in (".yaml", ".safetensors")
    }


COMMANDS = {
    "info": (["info", "RUN"], None),
    "report": (["report", "RUN"], page),
    "evaluate": (["evaluate", "RUN", "--tracks", "3"], csv),
    "dream": (["dream", "RUN"], lambda run: done_without_time(run, "dream")),
    "accuracy": (
        ["accuracy", "RUN", "--accuracy.controller-tracks", "3"],
        lambda run: (run / "accuracy/card.json").read_text(),
    ),
    "export": (["export", "RUN", "AGENT"], exported),
    "run": (["run", "RUN"], csv),
    "agent": (["collect", "OTHER", "--config", "CONFIG"], lambda run: csv_of_rollouts(run.parent / "other")),
}
"""Commands that read a run, and what has to come of each."""


def csv_of_rollouts(run):
    return [path.read_bytes() for path in sorted((run / "rollouts").glob("*.zip"))]


class Hangs(Exception):
    pass


@contextmanager
def in_time(seconds):
    def late(number, frame):
        raise Hangs

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Bench:
    """One place where a run is copied to, changed, and read, so that paths in results agree."""

    def __init__(self, folder, source, capsys):
        self.folder, self.source, self.capsys = folder, source, capsys
        self.run = folder / "run"
        write_config(
            folder / "config.yaml",
            config_from(
                {"collect": {"policies": ["agent"], "episodes": 2, "agent": str(self.run)}},
                tiny_config(),
            ),
        )

    def lay(self):
        for name in ("run", "agent", "other"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        shutil.copytree(self.source, self.run)

    def carry_out(self, command):
        """Return the exit code, what it came to, and what it said."""
        words, result = COMMANDS[command]
        places = {"RUN": self.run, "AGENT": self.folder / "agent", "OTHER": self.folder / "other",
                  "CONFIG": self.folder / "config.yaml"}  # fmt: skip
        self.capsys.readouterr()
        with in_time(120):
            code = main([str(places.get(word, word)) for word in words])
        said = self.capsys.readouterr()
        told = re.sub(r", \d+ MiB on disk", "", said.out)  # another file in its place may be larger
        return code, (told if result is None else result(self.run)) if code == 0 else None, said.err


WITHOUT = {"deleted", "emptied", "truncated", "garbled", "swapped", "folder_instead"}


def may_differ(name, kind, command):
    """Whether a command rightly says something else: what is not finished, and rows that a log of figures has lost."""
    figures = name.endswith(("metrics.jsonl", "spent.jsonl"))
    unfinished = name.endswith("done.json") and kind == "deleted"
    return (figures and kind in WITHOUT) or (unfinished and command in ("info", "report", "run"))


def fault(bench, expected, name, kind, command, seed):
    """Return what is wrong with how a command takes a mutation, or None."""
    bench.lay()
    try:
        MUTATIONS[kind](bench.run / name, random.Random(seed))
    except (IndexError, ValueError):
        return None  # nothing of that kind to change in this file
    try:
        code, result, said = bench.carry_out(command)
    except Hangs:
        return "hangs"
    except SystemExit as error:
        return None if error.code == 2 else f"exits with {error.code}"
    except Exception as error:
        return f"raises {type(error).__name__}: {str(error)[:200]}"
    lines = [line for line in re.split(r"[\r\n]", said) if line.strip() and "%|" not in line and "it/s" not in line]
    if code == 0:
        same = result == expected[command] or may_differ(name, kind, command)
        return None if same else "gives another result"
    if kind == "torn" and name.endswith(("metrics.jsonl", "spent.jsonl")):  # others are listed once finished
        return f"refuses a torn line: {said[-300:]}"
    return None if len(lines) == 1 and "Traceback" not in said else f"says {lines}"


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("kind_of_run", ["plain", "looped"])
def test_a_changed_file_is_refused_or_changes_nothing(runs, kind_of_run, tmp_path, capsys):
    bench = Bench(tmp_path, runs[kind_of_run], capsys)
    expected = {}
    for command in COMMANDS:
        bench.lay()
        code, expected[command], said = bench.carry_out(command)
        assert code == 0, said
    cases = [(name, kind, command) for name, kind in mutations(bench.source) for command in COMMANDS]
    if not EVERY:
        cases = random.Random(0).sample(cases, SAMPLE)
    begun, faults = time.monotonic(), []
    for number, case in enumerate(cases):
        found = fault(bench, expected, *case, seed=number)
        if found:
            faults.append(f"{case}: {found}")
            with capsys.disabled():
                print(faults[-1], flush=True) if EVERY else None
    with capsys.disabled():
        print(
            f"{len(cases)} mutations of the {kind_of_run} run, {len(faults)} faults, {time.monotonic() - begun:.0f} s"
        )
    assert not faults, "\n".join(faults)
