"""Which IDX files belong together in a folder as it is published, unpacked or not, or as torchvision keeps it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from generative.core.options import ComponentError, did_you_mean

_NAME = re.compile(r"(?:(?P<set>.+)-)?(?P<part>train|t10k|test)-(?P<what>images|labels)[-.]idx[13]-ubyte(?:\.gz)?")
_PLAIN = "mnist"
"""Name of the set whose files have none, such as train-images-idx3-ubyte."""


@dataclass(frozen=True)
class IdxFiles:
    """The files of a set."""

    folder: Path
    """Where names begin."""
    images: Sequence[Path]
    """Training images, then test images; or one file of both."""
    labels: Sequence[Path]
    """In the same order; none where there are none."""
    mapping: Path | None
    """EMNIST's table of class numbers and characters."""

    def name(self, path: Path) -> str:
        """Return a file's name below the folder; its bare name where it lies elsewhere."""
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else path.name


def find_files(folder: Path, subset: str) -> IdxFiles:
    """Return a set's files, looked for in a folder, or in the one folder below that has any.

    Args:
        folder: MNIST's files, EMNIST's many sets, or the root that torchvision was given, with MNIST/raw in it.
        subset: name of the set, such as emnist-letters; may be empty where there is only one.

    Raises:
        ComponentError: files are missing, or there are several sets to choose from.
    """
    found = _sets(folder)
    below = {each.parent for each in folder.glob("**/*") if each.is_file() and _NAME.fullmatch(each.name)}
    if not found:
        if len(below) > 1:
            raise ComponentError(
                f"{folder}: IDX files lie in {', '.join(str(each) for each in sorted(below))}; set path to one of them"
            )
        found = _sets(folder := below.pop()) if below else {}
    if subset and subset not in found:
        raise ComponentError(f"{folder}: no set {subset!r};{did_you_mean(subset, list(found))}")
    if len(found) > 1 and not subset:
        raise ComponentError(f"{folder}: the sets {', '.join(sorted(found))}; set subset to one of them")
    chosen = subset or next(iter(found), _PLAIN)
    files = found.get(chosen, {})
    wanted = [(part, what) for what in ("images", "labels") for part in ("train", "test")]
    for part, what in wanted:
        if (part, what) not in files:
            plain = "t10k" if part == "test" else part
            kind = f"{plain if chosen == _PLAIN else f'{chosen}-{part}'}-{what}-idx{3 if what == 'images' else 1}-ubyte"
            raise ComponentError(f"{folder}: no {kind} or {kind}.gz; give a folder with a set's four files")
    mapping = folder / f"{chosen}-mapping.txt"
    first, second, third, fourth = (files[each] for each in wanted)
    return IdxFiles(folder, (first, second), (third, fourth), mapping if mapping.is_file() else None)


def _sets(folder: Path) -> dict[str, dict[tuple[str, str], Path]]:
    """Return the sets in a folder by name, and each one's files by part and content; unpacked ones before packed."""
    found: dict[str, dict[tuple[str, str], Path]] = {}
    for path in sorted(folder.iterdir(), key=lambda path: (path.suffix == ".gz", path.name)):
        match = _NAME.fullmatch(path.name)
        if match and path.is_file():
            part = "train" if match["part"] == "train" else "test"
            found.setdefault(match["set"] or _PLAIN, {}).setdefault((part, match["what"]), path)
    return found


def class_names(mapping: Path | None) -> tuple[str, ...]:
    """Return the characters in the order of EMNIST's table (class number, codes); none without a table."""
    if mapping is None:
        return ()
    rows = [line.split() for line in mapping.read_text().splitlines() if line.strip()]
    try:
        ordered = sorted((int(row[0]), chr(int(row[1]))) for row in rows)
    except (ValueError, IndexError) as error:
        raise ComponentError(
            f"{mapping}: no table of class numbers and codes ({error}); restore or remove it"
        ) from error
    return tuple(name for _, name in ordered)
