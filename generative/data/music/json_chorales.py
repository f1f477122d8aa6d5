"""Chorales from a JSON file of the form that published figures use: lists of chords of MIDI pitches.

The sets of Boulanger-Lewandowski et al. (2012, arXiv 1206.6392) are passed on in this form: `{"train": pieces, "valid":
pieces, "test": pieces}`, a piece is a list of chords, a chord a list of pitches. It says which pieces are for the test.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int

from generative.core.options import ComponentError
from generative.data.fields import Data
from generative.data.music.pieces import Piece, Windows, music_data
from generative.data.music.rolls import REST, struck
from generative.data.origin import Origin, file_digest

TEST = "test"


@dataclass(frozen=True)
class JsonChoralesConfig(Windows):
    """Chords in a JSON file, a list for every piece, such as the JSB chorales; its test set is what is held out."""

    path_options: ClassVar[tuple[str, ...]] = ("path",)
    path: str = ""
    """The file: `{"train": [[[74, 70, 65, 58], ...], ...], "test": ...}`, or the list of pieces alone."""
    steps: int = 1
    """Steps of a quarter note that the file has: 1, 2 or 4."""
    repeats: bool = False
    """Such files do not say whether a note is struck again: leave it false."""
    voices: int = 4
    """Voices; a chord's highest note is the first one's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.repeats:
            raise ValueError("repeats=True: lists of chords do not say which notes are struck again; leave it out")
        if self.voices < 1:
            raise ValueError(f"voices={self.voices}: give 1 or more")

    def load(self) -> Data:
        """Return windows of the pieces; raise ComponentError where the file is no such list."""
        path = Path(self.path)
        if not path.is_file():
            raise ComponentError(f"path={self.path!r}: no such file; give a JSON file of lists of chords")
        try:
            found: Any = json.loads(path.read_bytes())
            parts = found if isinstance(found, dict) else {"": found}
            pieces = [
                Piece(f"{part}/{number}", self._roll(chords), held_out=part == TEST if TEST in parts else None)
                for part, listed in parts.items()
                for number, chords in enumerate(listed)
            ]
        except (ValueError, TypeError) as error:
            raise ComponentError(f"{path}: no lists of chords of MIDI pitches ({error}); see `path`") from error
        if not pieces:
            raise ComponentError(f"{path}: no pieces in it; give lists of chords of MIDI pitches, see `path`")
        note = f"test set: {sum(each.held_out or False for each in pieces)} pieces" if TEST in parts else ""
        origin = Origin(
            self.path, "pieces", len(pieces), len(pieces), notes=(note,) if note else (),
            files={path.name: file_digest(path)},
        )  # fmt: skip
        return music_data(path.stem, pieces, self, origin, finest=self.steps)

    def _roll(self, chords: list[list[int]]) -> Int[np.ndarray, "T V"]:
        roll = np.full((len(chords), self.voices), REST, np.int64)
        for row, chord in zip(roll, chords, strict=True):
            pitches = sorted((int(each) for each in chord if each >= 0), reverse=True)
            if len(pitches) > self.voices or any(each > 127 for each in pitches):
                raise ValueError(f"a chord {chord} for voices={self.voices}")
            row[: len(pitches)] = pitches
        return struck(roll)
