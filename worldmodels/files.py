"""Whole files or none: every write goes to a temporary name first and is renamed when it is safe on disk."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generative.files import write_beside


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file at `path` by `content` in one step; a killed process or a full disk leaves the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(write_beside(path, content), path)


def write_text(path: Path, content: str) -> None:
    """Replace the text file at `path` in one step."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Mapping[str, Any] | list[Any]) -> None:
    """Replace the JSON file at `path` in one step; NaN is refused."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def link_tree(source: Path, target: Path, pattern: str = "*") -> None:
    """Put the files of a folder (those that fit the pattern, at any depth) into another one, without copying data.

    Files are hard links where the file system has them, so link only what is finished: a file that is replaced parts
    from its link, but a log that still grows would grow in both folders.
    """
    for path in sorted(source.rglob(pattern)):
        if not path.is_dir():
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


def append_line(path: Path, entry: Mapping[str, Any]) -> None:
    """Append one JSON object as a line and wait until it is on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        file.write(json.dumps(entry) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the whole lines of a JSON-lines file; a last line cut short by a kill is dropped, on disk too."""
    if not path.exists():
        return []
    content = path.read_text()
    whole = content[: content.rfind("\n") + 1]
    if whole != content:
        write_text(path, whole)
    return [json.loads(line) for line in whole.splitlines()]
