"""The chorales of J. S. Bach that ship with music21, as four-voice rolls.

music21 (M. Cuthbert and others, BSD) brings encodings of music that it may pass on, but others may not, so nothing of
them is kept in this package. What is read of them is kept in the user's cache: to parse them takes a minute.
"""

import hashlib
import importlib.util
import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from generative.core.cache import cache_folder
from generative.core.files import packing, write_bytes
from generative.core.options import ComponentError
from generative.data.fields import Data
from generative.data.music.pieces import BEATS, FINEST, Piece, Windows, music_data
from generative.data.music.rolls import RollNote, roll_of
from generative.data.origin import Origin

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
FORMAT = 1
"""Of what is kept; another one is read anew."""
MISSING = "music needs symusic and music21; pip install -e '.[music]'"


@dataclass(frozen=True)
class ChoralesConfig(Windows):
    """Bach's chorales in 4/4 for four voices, as they ship with music21; major or minor is the label."""

    def load(self) -> Data:
        """Return windows of the chorales; raise ComponentError without music21."""
        pieces, left_out = chorales()
        note = "pieces whose melodies begin alike, in any key, are in the same part"
        found = len(pieces) + sum(map(len, left_out.values()))
        origin = Origin("music21", "chorales", len(pieces), found, left_out, (note,))
        return music_data("chorales", pieces, self, origin)


@cache
def chorales() -> tuple[Sequence[Piece], dict[str, tuple[str, ...]]]:
    """Return all chorales, and the names of what is no chorale in 4/4 for four voices, by reason."""
    spec = importlib.util.find_spec("music21")
    if spec is None or not spec.submodule_search_locations:
        raise ComponentError(f"chorales: {MISSING}")
    path = cache_folder() / "music" / f"chorales-{FORMAT}-music21-{version('music21')}.npz"
    if not path.is_file():
        write_bytes(path, kept(*parsed(_files(Path(spec.submodule_search_locations[0])))))
    return unkept(path.read_bytes())


def parsed(paths: Iterable[Path]) -> tuple[list[Piece], dict[str, tuple[str, ...]]]:
    """Return the chorales in files of music21, and what is left out, by reason."""
    try:
        from music21 import converter
    except ImportError as error:
        raise ComponentError(f"chorales: {MISSING}") from error
    pieces, left_out, seen = [], dict[str, tuple[str, ...]](), set[str]()
    for path in paths:
        score = converter.parse(path, storePickle=False)
        found = _piece(path.name.removesuffix(path.suffix), score)
        if isinstance(found, Piece):
            digest = hashlib.sha256(found.roll.tobytes()).hexdigest()
            if digest not in seen:
                seen.add(digest)
                pieces.append(found)
                continue
            found = "the same as another one"
        left_out[found] = (*left_out.get(found, ()), path.name)
    return pieces, left_out


def _piece(name: str, score: Any) -> Piece | str:
    """Return a chorale, or why it is none."""
    named = {part.partName: part for part in score.parts}
    parts = [named[each] for each in VOICES] if set(VOICES) <= set(named) else list(score.parts)
    if len(parts) != len(VOICES):
        return "not for four voices"
    signatures = {each.ratioString for each in parts[0].recurse().getElementsByClass("TimeSignature")}
    if signatures != {f"{BEATS}/4"}:
        return "not in 4/4"
    notes: list[RollNote] = []
    for voice, part in enumerate(parts):
        for each in part.flatten().notes:
            first, end = (round(float(time) * FINEST) for time in (each.offset, each.offset + each.quarterLength))
            tied = each.tie is not None and each.tie.type != "start"
            if tied and notes and notes[-1].first + notes[-1].steps == first:
                notes[-1] = notes[-1]._replace(steps=end - notes[-1].first)
            elif end > first:
                notes.append(RollNote(voice, max(pitch.midi for pitch in each.pitches), first, end - first))
    steps = max(note.first + note.steps for note in notes)
    first_bar = parts[0].getElementsByClass("Measure").first()
    length = float(first_bar.duration.quarterLength)
    upbeat = round(length * FINEST) if length < BEATS else 0
    roll = roll_of(iter(notes), steps, len(parts)).astype(np.int16)
    return Piece(name, roll, upbeat, mode(Counter(_classes(roll))))


def _classes(roll: np.ndarray) -> list[int]:
    return (roll[roll >= 0] % 12).tolist()


MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""How well each step above the tonic fits into a key (Krumhansl & Kessler 1982)."""


def mode(counts: Counter[int]) -> str:
    """Return whether pitch classes go with a major or a minor key, whichever of the 24 they correlate with most."""
    seen = np.array([counts[each] for each in range(12)], float)
    fits = {
        (name, tonic): np.corrcoef(np.roll(profile, tonic), seen)[0, 1]
        for name, profile in (("major", MAJOR), ("minor", MINOR))
        for tonic in range(12)
    }
    return max(fits, key=lambda key: fits[key])[0]


def _files(package: Path) -> list[Path]:
    """Return the files in the folder of music21 that have a chorale's name."""
    folder = package / "corpus" / "bach"
    found = sorted(folder.glob("bwv*.mxl"))
    if not found:
        raise ComponentError(f"{folder}: no chorales; install music21 with its corpus: {MISSING}")
    return found


def kept(pieces: Sequence[Piece], left_out: dict[str, tuple[str, ...]]) -> bytes:
    """Return pieces as a file of arrays, as `numpy.load` reads it."""
    file = io.BytesIO()
    reasons = [(reason, name) for reason, names in left_out.items() for name in names]
    arrays = {
        "rolls": np.concatenate([each.roll for each in pieces]),
        "lengths": np.array([len(each.roll) for each in pieces]),
        "upbeats": np.array([each.upbeat for each in pieces]),
        "names": np.array([(each.name, each.style) for each in pieces]),
        "left_out": np.array(reasons, dtype=np.str_).reshape(-1, 2),
    }
    with packing(file, zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
    return file.getvalue()


def unkept(content: bytes) -> tuple[Sequence[Piece], dict[str, tuple[str, ...]]]:
    """Return what `kept` wrote."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        rolls = np.split(file["rolls"], np.cumsum(file["lengths"])[:-1])
        rows = zip(rolls, file["upbeats"].tolist(), file["names"].tolist(), strict=True)
        pieces = [Piece(name, roll, upbeat, style) for roll, upbeat, (name, style) in rows]
        left_out: dict[str, tuple[str, ...]] = {}
        for reason, name in file["left_out"].tolist():
            left_out[reason] = (*left_out.get(reason, ()), name)
    return pieces, left_out
