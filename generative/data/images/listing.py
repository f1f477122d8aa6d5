"""Which files of a folder are pictures: looked at inside, links followed, nothing twice, what is not used is named."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from generative.data.images.pictures import is_picture

SYSTEM = frozenset(
    (
        *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "$recycle.bin", "lost+found"),
        *("system volume information", "__pycache__"),
    )
)
"""What operating systems and programs leave in folders, in small letters; so is all that begins with a dot."""
PICTURE_SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".avif", ".heic"),
        *(".heif", ".jp2", ".jxl", ".ppm", ".pgm", ".pbm", ".pnm", ".psd", ".svg", ".tga", ".exr", ".hdr", ".ico"),
    )
)
"""Names that promise a picture; such a file with something else inside is a mistake that nobody should overlook."""


@dataclass
class Listing:
    """What lies in a folder."""

    folder: Path
    """Where names begin."""
    pictures: list[Path] = field(default_factory=list)
    """Files of a format that is read, in the order of their names."""
    foreign: list[Path] = field(default_factory=list)
    """Files whose name promises a picture and whose content is none that can be read."""
    left_out: dict[str, list[str]] = field(default_factory=dict)
    """Names of all else, by reason."""
    seen: set[tuple[int, int]] = field(default_factory=set, repr=False)

    def name(self, path: Path) -> str:
        """Return a file's name below the folder."""
        return path.relative_to(self.folder).as_posix()

    def leave_out(self, reason: str, path: Path) -> None:
        """Note what is not used."""
        self.left_out.setdefault(reason, []).append(self.name(path))


def listing(folder: Path) -> Listing:
    """Return the pictures in a folder and below, links followed; a file or folder with two names counts once."""
    found = Listing(folder)
    _walk(folder, found)
    return found


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name was not put there by the user."""
    return name.startswith(".") or name.casefold() in SYSTEM


def _walk(folder: Path, found: Listing) -> None:
    if _again(folder, found):
        found.leave_out("links to folders that are read already", folder)
        return
    for path in sorted(folder.iterdir()):
        if is_hidden(path.name):
            for file in _files(path):
                found.leave_out("hidden", file)
        elif path.is_dir():
            _walk(path, found)
        elif not path.is_file():
            found.leave_out("broken links and the like", path)
        elif _again(path, found):
            found.leave_out("second names of files that are read already", path)
        else:
            _file(path, found)


def _file(path: Path, found: Listing) -> None:
    with path.open("rb") as file:
        head = file.read(32)
    if is_picture(head):
        found.pictures.append(path)
    elif path.suffix.lower() in PICTURE_SUFFIXES:
        found.foreign.append(path)
    else:
        found.leave_out("no pictures", path)


def _files(path: Path) -> Iterator[Path]:
    """Yield a file, or the files below a folder that is not a link."""
    if path.is_symlink() or not path.is_dir():
        yield path
        return
    for folder, _, names in os.walk(path):
        yield from (Path(folder) / name for name in sorted(names))


def _again(path: Path, found: Listing) -> bool:
    """Return whether a file or folder was met before, under whatever name."""
    facts = path.stat()
    here = (facts.st_dev, facts.st_ino)
    if here in found.seen:
        return True
    found.seen.add(here)
    return False
