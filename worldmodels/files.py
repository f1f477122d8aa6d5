"""Files as `generative.files` writes and checks them, and links between the folders of runs."""

import os
from pathlib import Path

from generative import ComponentError, files
from generative.facts import Facts
from generative.files import append_line, half_made, sweep, write_bytes, write_json, write_lines, write_text
from worldmodels.errors import RunError

__all__ = [
    "append_line",
    "half_made",
    "link_file",
    "link_tree",
    "read_json",
    "read_lines",
    "sweep",
    "write_bytes",
    "write_json",
    "write_lines",
    "write_text",
]


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
