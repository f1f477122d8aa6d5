"""What a finished stage leaves beside its files: `done.json`, with its facts and the digest of every file.

Later stages read through `check` and `checked`, so what was changed, lost or put in since is refused, not computed
with. Latents are not listed: each says itself what it is of (`worldmodels.vision.latent_files`).
"""

import fnmatch
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from generative.core.facts import Facts, FactsView
from worldmodels.errors import RunError
from worldmodels.files import read_json, write_json

DONE = "done.json"
LISTED = ("*", "recorded/*")
"""The files of a stage's folder that are listed; checkpoints, latents and rounds are not."""
LARGE = "*.zip"
"""Episodes: checked by the stages that read them, and by no others."""

_known: dict[tuple[str, int, int, int], str] = {}
"""Digests by path, time of change, size and inode, so that a process reads a file once for them."""


def write_done(folder: Path, stage: str, facts: FactsView) -> None:
    """Mark a stage as finished, with the facts it leaves and the digests of the files that are there."""
    files = {path.relative_to(folder).as_posix(): [path.stat().st_size, digest(path)] for path in _listed(folder)}
    write_json(folder / DONE, {"stage": stage, **facts, "files": files})


def _listed(folder: Path) -> Iterator[Path]:
    for pattern in LISTED:
        for path in sorted(folder.glob(pattern)):
            if path.is_file() and path.name != DONE and not path.name.startswith("."):
                yield path


def read_done(folder: Path, stage: str) -> Facts | None:
    """Return the facts of a finished stage, or None.

    Raises:
        RunError: `done.json` is damaged, was edited, or is another stage's.
    """
    found = _read(folder)
    if found is None:
        return None
    if found.pop("stage", stage) != stage:
        raise RunError(f"{folder / DONE} is another stage's: {_remedy(folder, stage)}")
    found.pop("files", None)
    return found


def check(folder: Path) -> None:
    """Check the files of a finished stage, all but its episodes.

    Raises:
        RunError: one is missing or is not what the stage wrote; says what to do.
    """
    _check(folder, lambda name: not fnmatch.fnmatchcase(name, LARGE))


def checked(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a stage's folder that fit a pattern, by name; of a finished stage each is checked.

    Raises:
        RunError: one is missing, is not what the stage wrote, or was put in since; says what to do.
    """
    found = sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))
    listed = _check(folder, lambda name: fnmatch.fnmatchcase(name, pattern))
    if listed is not None and (strange := [path for path in found if path not in listed]):
        raise RunError(f"{strange[0]} was not there when its stage finished: take it out of {folder}")
    return found


def _check(folder: Path, wanted: Callable[[str], bool]) -> set[Path] | None:
    """Check the wanted files and return their paths; None where no digests are known."""
    found = _read(folder)
    if found is None or "files" not in found:
        return None
    stage, listed = str(found.get("stage")), {name: each for name, each in found["files"].items() if wanted(name)}
    for name, (size, sha256) in listed.items():
        path = folder / name
        if not path.is_file():
            raise RunError(f"{path} is missing, which `{stage}` had made: {_remedy(folder, stage)}")
        if path.stat().st_size != size or digest(path) != sha256:
            remedy = _remedy(folder, stage, "it and ")
            raise RunError(f"{path} is not what `{stage}` wrote (edited, or damaged): {remedy}")
    return {folder / name for name in listed}


def _read(folder: Path) -> Facts | None:
    if not os.path.lexists(folder / DONE):
        return None
    return read_json(folder / DONE, "restore the file, or remove it and run the stage again")


def _remedy(folder: Path, stage: str, too: str = "") -> str:
    return f"restore it, or remove {too}{folder / DONE} and run `worldmodels {stage} {folder.parent}` again"


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    stat = path.stat()
    key = (os.fspath(path), stat.st_mtime_ns, stat.st_size, stat.st_ino)
    if key not in _known:
        with open(path, "rb") as file:
            _known[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _known[key]
