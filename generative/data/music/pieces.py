"""Pieces of music as data: windows of some bars, or runs of notes of one voice; whole pieces are held out.

A window has the fields `roll` (T V), `tokens` (T V in a row, step by step, the first voice first), `place` (its first
step and the number of steps of its piece), and `label` where pieces have styles. All numbers of a roll have names, see
`roll_names`, so tokens are those of a roll. Windows of training begin a bar apart, those held out do not overlap; see
`Data.first_seen`.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int, Int64

from generative.core.options import ComponentError
from generative.data.draws import held_out_by_digest
from generative.data.fields import Data, Field
from generative.data.music.rolls import BEATS_PER_MINUTE, HOLD, REST, coarser, pitches_of, roll_names, sounding
from generative.data.music.rolls import notes as notes_of
from generative.data.orders import Items
from generative.data.origin import Origin

BEATS = 4
"""Quarter notes of a bar: pieces are in 4/4."""
HIGHEST = 127
"""The highest pitch of MIDI."""
FINEST = 4
"""Steps of a quarter note in a piece as it is read: semiquavers."""


@dataclass(frozen=True)
class Piece:
    """A piece on a grid of semiquavers, or on a coarser one that its data say."""

    name: str
    roll: Int[np.ndarray, "T V"]
    """As of `generative.data.music.rolls`, the highest voice first."""
    upbeat: int = 0
    """Steps before the first full bar."""
    style: str = ""
    """What kind of piece it is, if that is known."""
    held_out: bool | None = None
    """Whether it is held out, where whoever made the data says so."""

    @property
    def digest(self) -> str:
        """SHA-256 of how the first voice with notes begins, in any key: pieces on one melody are in the same part."""
        first = int((self.roll >= 0).any(0).argmax())
        melody = [note.pitch for note in notes_of(self.roll[:, first : first + 1])][:12]
        return hashlib.sha256(np.diff(np.array(melody, np.int64)).tobytes()).hexdigest()


@dataclass(frozen=True)
class Windows:
    """How pieces are cut into items."""

    bars: int = 2
    """Bars of an item."""
    steps: int = 4
    """Steps of a quarter note: 4 for semiquavers, 2 for quavers, 1 for the quarter notes of published figures."""
    repeats: bool = True
    """Tell a note that is struck again from one that goes on."""
    transpose: int = 0
    """Training pieces come in other keys too, up to so many semitones higher and lower."""
    melody: int = 0
    """So many notes of the first voice, as pitches and durations, in place of bars of all voices."""

    def __post_init__(self) -> None:
        if self.bars < 1 or self.melody < 0:
            name = "bars" if self.bars < 1 else "melody"
            raise ValueError(f"{name}={getattr(self, name)}: must not be below {int(self.bars < 1)}")
        if self.steps not in (1, 2, 4):
            raise ValueError(f"steps={self.steps}: give 1, 2 or 4 of a quarter note")
        if not 0 <= self.transpose <= 11:
            raise ValueError(f"transpose={self.transpose}: give 0 to 11 semitones")


def pitch_range(heard: Int[np.ndarray, "..."], transpose: int) -> tuple[int, int]:
    """Return the lowest and the highest pitch that training pieces have in all their keys.

    Raises:
        ComponentError: nothing sounds, or a pitch would be none of MIDI's.
    """
    if not (heard >= 0).any():
        raise ComponentError("pieces: nothing sounds in them; give pieces with notes")
    low, high = int(heard[heard >= 0].min()), int(heard.max())
    if low < transpose or high + transpose > HIGHEST:
        raise ComponentError(
            f"transpose={transpose}: the pieces have pitches {low} to {high}, and MIDI has 0 to {HIGHEST}; "
            f"give {max(0, min(low, HIGHEST - high))} or less"
        )
    return low - transpose, high + transpose


def bar_steps(rate: float) -> int:
    """Return the steps of a bar of a roll that has so many per second, see `Field`."""
    return round(BEATS * rate * 60 / BEATS_PER_MINUTE)


def music_data(name: str, pieces: Sequence[Piece], windows: Windows, origin: Origin, finest: int = FINEST) -> Data:
    """Return pieces as data.

    Args:
        name: of the data set.
        pieces: all of them, with as many voices each.
        windows: how they are cut.
        origin: where they come from.
        finest: steps of a quarter note that the pieces have.

    Raises:
        ComponentError: there are too few pieces, or all of a part are too short.
    """
    if finest > windows.steps:
        pieces = [replace(each, roll=coarser(each.roll, finest // windows.steps),
                          upbeat=-(-each.upbeat * windows.steps // finest)) for each in pieces]  # fmt: skip
    known = [each.held_out for each in pieces]
    if None in known:
        try:
            chosen: set[int] = set(held_out_by_digest([each.digest for each in pieces]).tolist())
        except ValueError as error:
            raise ComponentError(f"{name}: {len(pieces)} pieces of one melody; give more of them") from error
        known = [number in chosen for number in range(len(pieces))]
    make = _melodies if windows.melody else _rolls
    return make(name, pieces, [bool(each) for each in known], windows, origin)


def _rolls(name: str, pieces: Sequence[Piece], held: Sequence[bool], windows: Windows, origin: Origin) -> Data:
    bar = BEATS * windows.steps
    length, voices = windows.bars * bar, pieces[0].roll.shape[1]
    parts: tuple[list[tuple[int, ...]], list[tuple[int, ...]]] = ([], [])
    begins = np.cumsum([0, *(len(each.roll) for each in pieces)])
    for number, piece in enumerate(pieces):
        shifts = [0] if held[number] else range(-windows.transpose, windows.transpose + 1)
        hop = length if held[number] else bar
        for first in range(piece.upbeat, len(piece.roll) - length + 1, hop):
            known = 0 if first == piece.upbeat else length - hop
            parts[held[number]].extend((int(begins[number]) + first, shift, known, first, number) for shift in shifts)
    _check(name, parts, f"bars={windows.bars}")
    rows = np.array([*parts[0], *parts[1]])
    whole = np.concatenate([each.roll for each in pieces])
    heard = np.concatenate([sounding(each.roll) for each in pieces])
    if not windows.repeats:
        whole = heard
    names = roll_names(*pitch_range(heard, windows.transpose), windows.repeats)
    number_of = _numbers(names)

    def roll(items: Items) -> Int64[np.ndarray, "N T V"]:
        steps = rows[items, 0][:, None] + np.arange(length)
        found = whole[steps]
        found[:, 0] = heard[steps[:, 0]]  # a note that goes on into the window begins with it
        return number_of[np.where(found >= 0, found + rows[items, 1][:, None, None], found)]

    styles = tuple(sorted({each.style for each in pieces}))
    of_piece = np.array([styles.index(each.style) for each in pieces])
    lengths = np.array([len(each.roll) for each in pieces])
    rate = BEATS_PER_MINUTE / 60 * windows.steps
    fields = {
        "roll": Field("roll", (length, voices), "int64", names, (len(names),), rate),
        "tokens": Field("tokens", (length * voices,), "int64", names, (len(names),), rate),
        "place": Field("place", (2,), "int64", ("first step", "steps of the piece")),
    }
    readers: dict[str, Callable[[Items], np.ndarray]] = {
        "roll": roll,
        "tokens": lambda items: roll(items).reshape(len(items), -1),
        "place": lambda items: np.stack([rows[items, 3], lengths[rows[items, 4]]], 1).astype(np.int64),
    }
    if len(styles) > 1:
        fields["label"] = Field("label", (), "int64", styles, (len(styles),))
        readers["label"] = lambda items: of_piece[rows[items, 4]].astype(np.int64)
    return _data(name, fields, readers, parts, pieces, origin)


def _melodies(name: str, pieces: Sequence[Piece], held: Sequence[bool], windows: Windows, origin: Origin) -> Data:
    """Return runs of notes, rests among them, each a pitch and a duration."""
    streams = [melody(each.roll[:, 0]) for each in pieces]
    length, begins = windows.melody, np.cumsum([0, *map(len, streams)])
    parts: tuple[list[tuple[int, ...]], list[tuple[int, ...]]] = ([], [])
    for number, stream in enumerate(streams):
        shifts = [0] if held[number] else range(-windows.transpose, windows.transpose + 1)
        hop = length if held[number] else max(1, length // 4)
        for first in range(0, len(stream) - length + 1, hop):
            known = length - hop if first else 0
            parts[held[number]].extend((int(begins[number]) + first, shift, known) for shift in shifts)
    _check(name, parts, f"melody={length}")
    rows, whole = np.array([*parts[0], *parts[1]]), np.concatenate(streams)
    pitches = roll_names(*pitch_range(whole[:, 0], windows.transpose), holds=False)
    durations = np.unique(whole[:, 1])
    number_of = _numbers(pitches)

    def notes(items: Items) -> Int64[np.ndarray, "N L 2"]:
        found = whole[rows[items, 0][:, None] + np.arange(length)]
        moved = np.where(found[..., 0] >= 0, found[..., 0] + rows[items, 1][:, None], found[..., 0])
        return np.stack([number_of[moved], np.searchsorted(durations, found[..., 1])], 2)

    names = (*pitches, *(f"{each / windows.steps:g}" for each in durations))
    sizes = (len(pitches), len(durations))
    fields = {"notes": Field("notes", (length, 2), "int64", names, sizes, BEATS_PER_MINUTE / 60)}
    return _data(name, fields, {"notes": notes}, parts, pieces, origin)


def melody(voice: Int[np.ndarray, " T"]) -> Int64[np.ndarray, "L 2"]:
    """Return pitches, `REST` among them, and durations in steps."""
    joined = np.where((voice == REST) & (np.roll(voice, 1) == REST) & (np.arange(len(voice)) > 0), HOLD, voice)
    borders = np.flatnonzero(joined != HOLD)
    return np.stack([joined[borders], np.diff(borders, append=len(joined))], 1).astype(np.int64)


def _numbers(names: Iterable[str]) -> Int64[np.ndarray, " P"]:
    """Return the number of each pitch, of a rest and of a hold, which are found from the end of the array."""
    found = np.zeros(130, np.int64)
    for number, pitch in enumerate(pitches_of(tuple(names)).tolist()):
        found[pitch] = number
    return found


def _check(name: str, parts: Sequence[list[tuple[int, ...]]], asked: str) -> None:
    for part, what in zip(parts, ("train on", "hold out"), strict=True):
        if not part:
            raise ComponentError(f"{name}: no piece to {what} is as long as {asked}; lower it, or give more pieces")


def _data(
    name: str,
    fields: dict[str, Field],
    readers: dict[str, Callable[[Items], np.ndarray]],
    parts: tuple[list[tuple[int, ...]], list[tuple[int, ...]]],
    pieces: Sequence[Piece],
    origin: Origin,
) -> Data:
    training, total = len(parts[0]), len(parts[0]) + len(parts[1])
    known = np.array([each[2] for part in parts for each in part])  # steps that the window before it has too
    steps = np.arange(next(iter(fields.values())).shape[0])
    digest = hashlib.sha256(b"".join(each.roll.astype("<i2").tobytes() for each in pieces)).hexdigest()
    files = origin.files or ({"pieces": digest} if origin.root else {})
    return Data(
        name,
        fields,
        readers,
        np.arange(training),
        np.arange(training, total),
        replace(origin, files=files),
        first_seen=lambda items: steps >= known[items, None],
    )
