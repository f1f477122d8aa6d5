"""Whole files and whole folders or none: written under a temporary name, flushed to disk, then renamed.

What is read again says whether it is still what was written: a JSON file has a `seal`, a line of a log a `crc`. What
has none, as a file of another program, is taken as it is.
"""

import glob
import hashlib
import io
import json
import os
import shutil
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from generative.core.facts import Facts, FactsView
from generative.core.options import ComponentError


def write_beside(path: Path, content: bytes) -> Path:
    """Write `content` to a new temporary file beside `path`, flushed to disk, and return where."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Create `folder` with `files` in one step; a killed process leaves no folder of this name."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for stale in folder.parent.glob(f".{glob.escape(folder.name)}.*.partial"):  # of a process killed while writing
        shutil.rmtree(stale)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.partial")
    temporary.mkdir()
    try:
        for name, content in files.items():
            os.replace(write_beside(temporary / name, content), temporary / name)
        sync_folder(temporary)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_folder(folder.parent)


@contextmanager
def locked(folder: Path, taken: Exception) -> Iterator[None]:
    """Hold a folder's lock, the file `.lock` in it, or raises `taken`; a process that is killed lets go of it."""
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise taken from None
    try:
        yield
    finally:
        lock.release()


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file at `path` by `content` in one step; a killed process or a full disk leaves the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(write_beside(path, content), path)


@contextmanager
def packing(file: io.BytesIO, compression: int = zipfile.ZIP_STORED) -> Iterator[zipfile.ZipFile]:
    """Give a zip archive to fill, which is written to `file`; a stop within an entry is a stop.

    To close an archive within an entry is an error of its own, which would stand in place of Ctrl-C.
    """
    archive = zipfile.ZipFile(file, "w", compression)
    try:
        yield archive
    except BaseException:
        archive.fp = None  # then nothing is left to close
        raise
    archive.close()


def write_text(path: Path, content: str) -> None:
    """Replace the text file at `path` in one step."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: FactsView) -> None:
    """Replace the JSON file at `path` in one step, with a seal; NaN is refused with a ValueError."""
    write_text(path, json.dumps(sealed(content, path.name), indent=2) + "\n")


def read_json(path: Path, remedy: str) -> Facts:
    """Return what `write_json` wrote, without its seal.

    Raises:
        ComponentError: the file is missing, damaged or was edited; ends in the remedy.
    """
    return unsealed(parsed_object(read_whole(path, remedy), str(path), remedy), path, remedy)


def read_whole(path: Path, remedy: str) -> bytes:
    """Return the content of a file; raise ComponentError, which ends in the remedy, where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ComponentError(f"{path} is missing: {remedy}") from None
    except OSError as error:
        raise ComponentError(f"{path} cannot be read ({error.strerror}): {remedy}") from error


def parsed_object(content: str | bytes, place: str, remedy: str) -> Facts:
    """Return a JSON object; raise ComponentError, which ends in the remedy, where `content` is none."""
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ComponentError(f"{place} is damaged JSON ({error}): {remedy}") from error
    if not isinstance(parsed, dict):
        raise ComponentError(f"{place} holds no JSON object: {remedy}")
    return parsed


def sealed(content: FactsView, name: str) -> Facts:
    """Return JSON types with a digest of themselves, by which `unsealed` sees that nothing was changed.

    Args:
        content: JSON types.
        name: of the file that they are for; in one of another name they count as changed.
    """
    plain = json.loads(json.dumps(content, allow_nan=False))  # as it will be read
    return {**plain, "seal": _digest(plain, name)}


def unsealed(content: FactsView, path: Path, remedy: str) -> Facts:
    """Return what `sealed` was given for the file at `path`.

    Raises:
        ComponentError: it was changed; ends in the remedy.
    """
    rest = {name: value for name, value in content.items() if name != "seal"}
    if "seal" in content and content["seal"] != _digest(rest, path.name):
        raise ComponentError(f"{path} is not what was written (edited, or damaged): {remedy}")
    return rest


def _digest(content: FactsView, name: str) -> str:
    return hashlib.sha256(f"{name} {json.dumps(content, sort_keys=True)}".encode()).hexdigest()


def under_seal(text: str, program: str) -> str:
    """Return text under a line by which `seal_fits` sees that it is still what a program wrote."""
    return f"{_seal(program)}{hashlib.sha256(text.encode()).hexdigest()}\n{text}"


def seal_fits(content: bytes, program: str) -> bool:
    """Return whether text is what a program put `under_seal`.

    What has no seal of that program, as a file of a user's own, is taken as it is.
    """
    first, _, rest = content.partition(b"\n")
    seal = _seal(program).encode()
    return not first.startswith(seal) or first == seal + hashlib.sha256(rest).hexdigest().encode()


def _seal(program: str) -> str:
    return f"# written by {program}; sha256 of the lines below: "


def append_line(path: Path, row: FactsView) -> None:
    """Append one JSON object as a line and wait until it is on disk; what a killed writer left of a line goes.

    A log has one writer at a time: whoever holds the lock of its folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    cut_torn_line(path)
    with open(path, "a") as file:
        file.write(_line(path, row))
        file.flush()
        os.fsync(file.fileno())


def write_lines(path: Path, rows: list[Facts]) -> None:
    """Replace a log by these rows in one step."""
    write_text(path, "".join(_line(path, row) for row in rows))


def read_lines(path: Path) -> list[Facts]:
    """Return the whole lines of a log, none where it is not there; the file stays as it is.

    A last line without its end is one that a process was killed in or is writing just now, and does not count.

    Raises:
        ComponentError: a whole line is damaged or was edited; says which.
    """
    if not path.exists():
        return []
    content = read_whole(path, "restore the file")
    rows = []
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), 1):
        remedy = "restore the file, or take this line out of it"
        row = parsed_object(line, f"line {number} of {path}", remedy)
        crc = row.pop("crc", None)
        if crc is not None and crc != _crc(path, row):
            raise ComponentError(f"line {number} of {path} is not what was written (edited, or damaged): {remedy}")
        rows.append(row)
    return rows


def cut_torn_line(path: Path) -> None:
    """Take a last line without its end out of a log; for its writer alone."""
    if not path.is_file():
        return
    with open(path, "rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return
    content = path.read_bytes()
    write_bytes(path, content[: content.rfind(b"\n") + 1])


def _line(path: Path, row: FactsView) -> str:
    plain = json.loads(json.dumps(row))  # as it will be read
    return json.dumps({**plain, "crc": _crc(path, plain)}) + "\n"


def _crc(path: Path, row: FactsView) -> int:
    """Return a checksum of a row of a log of this name: a row of another log is none of this one's."""
    return zlib.crc32(f"{path.name} {json.dumps(row, sort_keys=True)}".encode())


def sweep(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder and below; for whoever holds the folder's lock.

    Folders inside that have a lock of their own are left to whoever holds it.
    """
    for place, folders, names in os.walk(folder):
        stale = [name for name in (*folders, *names) if name.startswith(".") and name.endswith(".partial")]
        folders[:] = [name for name in folders if name not in stale and not (Path(place) / name / ".lock").exists()]
        for path in (Path(place) / name for name in stale):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def half_made(folder: Path, *first: str) -> bool:
    """Return whether a folder holds no more than a process leaves that is killed while it begins in it.

    Args:
        folder: to look into.
        first: names of the files that are written before the one that makes the folder count.
    """
    ours = (".lock", *first)
    return folder.is_dir() and all(
        entry.name in ours or (entry.name.startswith(".") and entry.name.endswith(".partial"))
        for entry in folder.iterdir()
    )


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that renames survive a power failure."""
    if os.name == "nt":  # Windows cannot open folders; its renames are journaled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
