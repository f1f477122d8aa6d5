"""Whole files and whole folders or none: written under a temporary name, flushed to disk, then renamed."""

import glob
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


def write_beside(path: Path, content: bytes) -> Path:
    """Writes `content` to a new temporary file beside `path`, flushed to disk, and returns where."""
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
    """Creates `folder` with `files` in one step; a killed process leaves no folder of this name."""
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
    """Holds a folder's lock, the file `.lock` in it, or raises `taken`; a process that is killed lets go of it."""
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise taken from None
    try:
        yield
    finally:
        lock.release()


def sync_folder(folder: Path) -> None:
    """Flushes a folder's entries to disk, so that renames survive a power failure."""
    if os.name == "nt":  # Windows cannot open folders; its renames are journaled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
