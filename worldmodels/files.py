"""Files as `generative.core.files` writes and checks them, new folders, and links between the folders of runs."""

import errno
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from generative import ComponentError
from generative.core import files
from generative.core.facts import Facts
from generative.core.files import (
    append_line,
    half_made,
    packing,
    sweep,
    sync_folder,
    write_bytes,
    write_json,
    write_lines,
    write_text,
)
from worldmodels.errors import RunError

__all__ = [
    "append_line",
    "files_in",
    "half_made",
    "link_file",
    "link_tree",
    "new_folder",
    "packing",
    "read_json",
    "read_lines",
    "sweep",
    "write_bytes",
    "write_json",
    "write_lines",
    "write_text",
]

STALE = 3600
"""Seconds after which a half-filled folder counts as one of a killed process."""


def read_json(path: Path, remedy: str) -> Facts:
    """Return what `write_json` wrote; a RunError, which ends in the remedy, where it is no more what was written."""
    try:
        return files.read_json(path, remedy)
    except ComponentError as error:
        raise RunError(str(error)) from error


def read_lines(path: Path) -> list[Facts]:
    """Return the whole lines of a log, none where it is not there; a RunError names one that was damaged."""
    try:
        return files.read_lines(path)
    except ComponentError as error:
        raise RunError(str(error)) from error


def link_tree(source: Path, target: Path, pattern: str = "*") -> None:
    """Put the files of a folder (those that fit the pattern, at any depth) into another one, without copying data.

    Files are hard links where the file system has them, so link only what is finished: a file that is replaced parts
    from its link, but a log that still grows would grow in both folders. `done.json` comes last.
    """
    for path in sorted(source.rglob(pattern), key=lambda path: (path.name == "done.json", path)):
        if not path.is_dir() and not path.name.startswith("."):
            link_file(path, target / path.relative_to(source))


def link_file(path: Path, beside: Path) -> None:
    """Put a finished file into a second place, as a hard link where the file system has them; one there is kept."""
    if beside.exists():
        return
    beside.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, beside)
    except OSError:
        write_bytes(beside, path.read_bytes())


def files_in(folder: Path) -> dict[str, Path]:
    """Return the files of a folder, at any depth, by their names in it."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to fill that becomes `folder` at the end, or vanishes when something raises."""
    taken = RunError(f"{folder} cannot be made: something of that name is in the way; name a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise taken from None
    for stale in folder.parent.glob(f".{glob.escape(folder.name)}.*.partial"):
        if time.time() - stale.stat().st_mtime > STALE:
            shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent) as temporary:
        new = Path(temporary) / folder.name
        new.mkdir()
        yield new
        try:
            os.rename(new, folder)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise taken from None
            raise
    sync_folder(folder.parent)
