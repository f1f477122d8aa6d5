"""MIDI files of the user's as rolls, by symusic (Y. Liao, Z. Luo and others, MIT)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int64

from generative.core.options import ComponentError
from generative.data.fields import Data, Field
from generative.data.music.chorales import MISSING
from generative.data.music.pieces import BEATS, FINEST, Piece, Windows, melody, music_data
from generative.data.music.rolls import BEATS_PER_MINUTE, GOES_ON, RollNote, coarser, name_of, roll_of, sounding
from generative.data.origin import Origin, counted, file_digest

ENDINGS = (".mid", ".midi")


@dataclass(frozen=True)
class MidiConfig(Windows):
    """Your MIDI files in 4/4; files in folders of their own are of that folder's style, which is the label."""

    path_options: ClassVar[tuple[str, ...]] = ("path",)
    path: str = ""
    """A folder of .mid files, perhaps in folders named after styles."""
    voices: int = 4
    """Voices of a piece. A file of as many tracks has one in each; of others the notes are shared out among them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.voices <= 16:
            raise ValueError(f"voices={self.voices}: give 1 to 16")

    def load(self) -> Data:
        """Return windows of the pieces; raise ComponentError where there are no files, or symusic is missing."""
        root = Path(self.path)
        if not self.path or not root.is_dir():
            raise ComponentError(f"path={self.path!r}: no such folder; give a folder of MIDI files")
        _library()
        paths = sorted(each for each in root.rglob("*") if each.suffix.lower() in ENDINGS)
        pieces, left_out, files, lost = [], dict[str, list[str]](), {}, 0
        for path in paths:
            name = path.relative_to(root).as_posix()
            try:
                piece, dropped = read_midi(path, self.voices)
            except ValueError as error:
                left_out.setdefault(str(error), []).append(name)
                continue
            style = "" if path.parent == root else path.relative_to(root).parts[0]
            pieces.append(Piece(name, piece.roll, style=style))
            files[name], lost = file_digest(path), lost + dropped
        if not pieces:
            wrong = "; ".join(f"{reason}: {counted(names)}" for reason, names in left_out.items())
            said = f" ({wrong})" if wrong else ""
            raise ComponentError(f"{root}: no MIDI file in 4/4 with notes{said}; give a folder of such")
        notes = (f"{lost:,} notes are beyond {self.voices} voices and left out; raise voices",) if lost else ()
        skipped = {reason: tuple(names) for reason, names in left_out.items()}
        origin = Origin(self.path, "MIDI files", len(pieces), len(paths), skipped, notes, files)
        return music_data(root.name, pieces, self, origin)


def read_midi(path: Path, voices: int) -> tuple[Piece, int]:
    """Return the piece in a MIDI file on a grid of semiquavers, and how many notes found no voice.

    Raises:
        ComponentError: symusic is missing.
        ValueError: the file is no MIDI file in 4/4 with notes, or is not there.
    """
    library = _library()
    if not path.is_file():
        raise ValueError("no such file")
    try:
        score: Any = library.Score(str(path)).resample(FINEST, min_dur=1)
    except Exception as error:  # its errors have no class of their own
        raise ValueError("not a MIDI file") from error
    if any((each.numerator, each.denominator) != (BEATS, 4) for each in score.time_signatures):
        raise ValueError("not in 4/4")
    tracks = [track for track in score.tracks if not track.is_drum and len(track.notes)]
    if not tracks:
        raise ValueError("no notes")
    heard = [[RollNote(number, note.pitch, note.time, note.duration) for note in track.notes]
             for number, track in enumerate(tracks)]  # fmt: skip
    if len(heard) == voices:
        shared = [each for track in heard for each in _one_at_a_time(track)]
    else:
        shared = _shared(sorted((each for track in heard for each in track), key=_order), voices)
    steps = max(note.first + note.steps for note in shared)
    steps += -steps % (BEATS * FINEST)  # the last bar is full
    return Piece(path.name, roll_of(iter(shared), steps, voices)), sum(map(len, heard)) - len(shared)


def opening(path: Path, item: Field) -> Int64[np.ndarray, "..."]:
    """Return how a MIDI file begins as numbers of a field: tokens of a roll (T*V), or notes (L 2).

    Args:
        path: the file.
        item: the first field of the data, a roll or notes.

    Raises:
        ComponentError: symusic is missing.
        ValueError: the file cannot be read, or has what the data do not.
    """
    finest = round(item.rate * 60 / BEATS_PER_MINUTE) if item.kind == "roll" else FINEST
    try:
        piece, _ = read_midi(path, item.shape[1] if item.kind == "roll" else 1)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; give a MIDI file in 4/4") from error
    whole = piece.roll[: int(np.flatnonzero((sounding(piece.roll) >= 0).any(1))[-1]) + 1]  # without rests at its end
    if item.kind == "notes":
        pitches, durations = item.names[: item.sizes[0]], item.names[item.sizes[0] :]
        played = [(name_of(pitch), f"{steps / FINEST:g}") for pitch, steps in melody(whole[:, 0]).tolist()]
        _known(path, {each for each, _ in played}, pitches, "pitches")
        _known(path, {each for _, each in played}, durations, "durations in beats")
        return np.array([(pitches.index(pitch), durations.index(length)) for pitch, length in played])
    roll = coarser(whole, FINEST // finest)
    roll = roll if GOES_ON in item.names else sounding(roll)
    names = [name_of(each) for each in roll.ravel().tolist()]
    _known(path, set(names), item.names, "pitches")
    return np.array([item.names.index(each) for each in names])


def _known(path: Path, asked: set[str], names: Sequence[str], what: str) -> None:
    unknown = sorted(asked - set(names))
    if unknown:
        raise ValueError(f"{path}: {what} {', '.join(unknown)}, and the model knows {names[0]} to {names[-1]}")


def _library() -> Any:
    try:
        import symusic
    except ImportError as error:
        raise ComponentError(f"midi: {MISSING}") from error
    return symusic


def _order(note: RollNote) -> tuple[int, int]:
    return note.first, -note.pitch


def _one_at_a_time(track: Iterable[RollNote]) -> list[RollNote]:
    """Return of notes that begin together the highest."""
    found: dict[int, RollNote] = {}
    for note in sorted(track, key=_order):
        found.setdefault(note.first, note)
    return list(found.values())


def _shared(notes: Iterable[RollNote], voices: int) -> list[RollNote]:
    """Return notes in voices: each is the free one's whose last pitch is nearest; without a free one it is left out."""
    ends, last = [0] * voices, [84 - 12 * voice for voice in range(voices)]
    found = []
    for note in notes:
        free = [voice for voice in range(voices) if ends[voice] <= note.first]
        if free:
            voice = min(free, key=lambda each: abs(last[each] - note.pitch))
            ends[voice], last[voice] = note.first + note.steps, note.pitch
            found.append(note._replace(voice=voice))
    return found
