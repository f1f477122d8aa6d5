"""Where a data set comes from: how much of it is used, what was left out and why, and its files by digest."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_NAMED = 3  # names given of a kind, the rest counted


@dataclass(frozen=True)
class Origin:
    """What was found where the data lie; empty for data that are drawn."""

    root: str = ""
    """The folder or file that was read."""
    what: str = "images"
    """What `used` and `found` count."""
    used: int = 0
    """How many of them the data set has, held-out ones included."""
    found: int = 0
    """How many there were."""
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of what is not used, by reason."""
    notes: tuple[str, ...] = ()
    """What was read otherwise than it lies there, such as images that were turned."""
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    """SHA-256 of every file that was read, by its name below `root`."""

    def lines(self) -> list[str]:
        """Return in words what is used, what is left out and what was read otherwise; nothing for drawn data."""
        if not self.root:
            return []
        parts = [f"{reason}: {counted(names)}" for reason, names in self.left_out.items()]
        left = f"; left out: {'; '.join(parts)}" if parts else ""
        return [f"{self.used:,} of {self.found:,} {self.what} used{left}", *self.notes]


def counted(names: Iterable[str]) -> str:
    """Return how many names there are, and the first of them."""
    known = list(names)
    more = ", ..." if len(known) > _NAMED else ""
    return f"{len(known):,} ({', '.join(known[:_NAMED])}{more})"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Return in words which files were added, removed and changed; an empty string where none was."""
    changes = {
        "added": sorted(set(new) - set(old)),
        "removed": sorted(set(old) - set(new)),
        "changed": sorted(name for name in set(old) & set(new) if old[name] != new[name]),
    }
    return ", ".join(f"{counted(names)} {what}" for what, names in changes.items() if names)
