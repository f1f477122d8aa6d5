"""Kills commands at every distinct operation on files and carries them out again.

    python -m tests.scripts.kill_points FOLDER SHARE

It runs in a process of its own, which has imported everything, also what the code imports as it goes, and forks for
every attempt. A point is an operation (a rename, a flush to disk, a file opened for writing, ...) with the lines of
this project that led to it. Before the operation the process ends as if it were killed; where it would flush a log,
part of the last line is taken away first. It prints a line for each point at which the command, given again, did not
end in the same numbers.
"""

import builtins
import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path

import cma  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import torch
import torch._dynamo  # what it takes to lay out a network without memory
import torch.utils.tensorboard
import tyro  # noqa: F401

import scripts.generative.data.data_sets
import scripts.generative.report
import scripts.generative.runs.assembly
import scripts.generative.train  # noqa: F401
from scripts.cli import main
from scripts.generative.cli import main as generative
from tests.scripts.test_mutations import LOOP
from tests.small import accept_every_vision, hurry, tiny_config
from worldmodels.config import config_from
from worldmodels.config_files import write_config
from worldmodels.files import read_lines

ROOT = Path(__file__).parents[2]
OPERATIONS = ((os, "replace"), (os, "rename"), (os, "link"), (os, "fsync"), (os, "mkdir"), (os, "unlink"),
              (shutil, "rmtree"))  # fmt: skip
KILLED = 9
STAGES = ("collect", "train-vision", "train-memory", "evolve", "evaluate", "dream", "report")
GENERATIVE = ["train", "vae", "--data", "shapes", "--data.size", "16", "--data.count", "40", "--model.latent", "2",
              "--model.width", "4", "--fit.steps", "3", "--batch", "4"]  # fmt: skip


def callers():
    """The lines of this project that led here, the nearest first."""
    ours = [
        f"{Path(frame.filename).relative_to(ROOT)}:{frame.lineno}"
        for frame in traceback.extract_stack()[:-3]
        if frame.filename.startswith(str(ROOT)) and frame.filename != __file__ and ".venv" not in frame.filename
    ]
    return tuple(reversed(ours))[:4]


class Watch:
    """Counts operations on files in this process, and ends it before one of them."""

    def __init__(self, last=None):
        self.points, self.last = [], last
        for module, name in OPERATIONS:
            self._wrap(module, name)
        opened = io.open

        def watched(file, mode="r", *args, **options):
            if (
                not isinstance(file, int)
                and any(letter in mode for letter in "wax+")
                and not str(file).startswith("/dev")
            ):
                self.meet(f"open {mode}", None)
            return opened(file, mode, *args, **options)

        builtins.open = io.open = watched

    def _wrap(self, module, name):
        original = getattr(module, name)

        def watched(*args, **options):
            self.meet(name, args[0])
            return original(*args, **options)

        setattr(module, name, watched)

    def meet(self, name, target):
        place = callers()
        if not place:
            return
        if len(self.points) == self.last:
            if name == "fsync" and "append_line" in "".join(traceback.format_stack()):
                os.ftruncate(target, max(0, os.fstat(target).st_size - 7))
            os._exit(KILLED)
        self.points.append((name, place))


def attempt(command, folder, kill_at=None, record=None):
    """Carry out a command in a fork and return its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        with open(folder.parent / "said.txt", "w") as said, contextlib.redirect_stdout(said), \
                contextlib.redirect_stderr(said):  # fmt: skip
            signal.alarm(300)
            watch = Watch(kill_at) if kill_at is not None or record else None
            code = generative([*command, "--out", str(folder)]) if command is GENERATIVE else main(
                [command, str(folder), "--config", str(folder.parent / f"{folder.name}.yaml")])  # fmt: skip
            if record:
                record.write_text(json.dumps(watch.points))
    except BaseException:
        (folder.parent / "raised.txt").write_text(traceback.format_exc())
    os._exit(code)


def numbers(folder):
    """What a command computed: no times, and rows once where a resumed session logged them again."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if "checkpoints" in path.parts:  # what a training goes on from says nothing of where it ends
            continue
        if path.suffix in (".zip", ".safetensors", ".csv", ".png"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.name in ("generations.jsonl", "episodes.jsonl"):
            found[name] = [{key: row[key] for key in sorted(row) if key not in ("seconds", "timings")}
                           for row in read_lines(path)]  # fmt: skip
        elif path.suffix == ".partial":
            found[name] = "left behind"
    return found


def distinct(points):
    """The first number of every point."""
    first = {}
    for number, (name, place) in enumerate(points):
        first.setdefault((name, tuple(place)), number)
    return first


def copied(source, target):
    shutil.rmtree(target, ignore_errors=True)
    if source.exists():
        shutil.copytree(source, target)


def try_command(command, folder, share, label):
    """Try a command from where `folder` stands, and leave it finished there."""
    before, whole, at = (folder.parent / f"{name}-{folder.name}" for name in ("before", "points", "killed"))
    copied(folder, before)
    code = attempt(command, folder, record=whole)
    if code:
        print(f"{label} ends with {code} uninterrupted: {(folder.parent / 'said.txt').read_text()[-500:]}")
        return 0
    expected, first = numbers(folder), distinct(json.loads(whole.read_text()))
    copied(folder, at)
    every = round(1 / share)
    chosen = list(first.items())[min(every, len(first)) // 2 :: every]  # from the middle of each stretch
    for (name, place), number in chosen:
        copied(before, folder)
        codes = attempt(command, folder, kill_at=number), attempt(command, folder)
        if codes != (KILLED, 0):
            print(f"{label}, {name} at {place}: {codes} {(folder.parent / 'said.txt').read_text()[-300:]}")
        elif (found := numbers(folder)) != expected:
            wrong = [key for key in {*found, *expected} if found.get(key) != expected.get(key)]
            print(f"{label}, {name} at {place}: other numbers in {wrong}")
    copied(at, folder)
    return len(chosen)


def carry_out(folder, share):
    count = 0
    for name, changes in (("plain", {}), ("looped", {"loop": LOOP, "evolve": {"world": "dream"}})):
        write_config(folder / f"{name}.yaml", config_from(changes, tiny_config()))
    for stage in STAGES:
        count += try_command(stage, folder / "plain", share, stage)
    count += try_command("loop", folder / "looped", share / 4, "loop")
    count += try_command(GENERATIVE, folder / "generative", share, "generative train")
    print(f"{count} points")


if __name__ == "__main__":
    torch.set_num_threads(1)
    accept_every_vision()
    hurry()
    carry_out(Path(sys.argv[1]), float(sys.argv[2]))
