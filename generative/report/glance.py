"""What a notebook shows of something below the cell that made it: a few lines, a table, pictures, sound or a text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from generative.report.images import png_bytes
from generative.report.pages import render


@dataclass(frozen=True)
class Glance:
    """Plain values, all of them escaped; what is empty is left out."""

    title: str = ""
    """What is shown."""
    kind: str = ""
    """What kind of thing that is, in a few words."""
    warnings: Sequence[str] = ()
    """What a reader must know before believing the figures."""
    said: str = ""
    """The result in a sentence or two."""
    columns: Sequence[str] = ()
    """Names of the table's columns."""
    rows: Sequence[Sequence[object]] = ()
    """Cells of the table."""
    media: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Pictures, films, sound and MIDI by name."""
    text: str = ""
    """A text that is shown as it is."""
    next: str = "Next:"
    """What stands before the command."""
    command: str = ""
    """The command that goes on from here."""

    def _repr_html_(self) -> str:
        return render(__package__, "glance.html", title=self.title, kind=self.kind, shown=self)


def shown_file(path: Path) -> Glance:
    """Return a picture, film or sound as a notebook shows it.

    Raises:
        OSError: it is not there.
    """
    return Glance(media={path.name: path.read_bytes()})


def shown_image(image: UInt8[np.ndarray, "H W 3"]) -> Glance:
    """Return an RGB image as a notebook shows it."""
    return Glance(media={"image": png_bytes(image)})
