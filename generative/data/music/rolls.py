"""Pieces of music on a grid: what every voice does at every step.

A roll (T V) holds a MIDI pitch where a voice strikes a note, `HOLD` where its note goes on, and `REST` where it is
silent. So a note that is struck again differs from one that goes on. In data the same roll is numbers from 0 on, whose
names say what they stand for, see `roll_names`.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

REST, HOLD = -1, -2
SILENT, GOES_ON = "rest", "hold"
"""Names of the two numbers that are no pitch."""
BEATS_PER_MINUTE = 75
"""At which everything is played."""


class RollNote(NamedTuple):
    """A note of a roll."""

    voice: int
    pitch: int
    first: int
    """Step at which it is struck."""
    steps: int
    """How long it sounds."""


def sounding(roll: Int[np.ndarray, "T V"]) -> Int[np.ndarray, "T V"]:
    """Return the pitch that sounds in each voice at each step, or `REST`."""
    places = np.where(roll == HOLD, 0, np.arange(1, len(roll) + 1)[:, None])  # 0: nothing new
    last = np.maximum.accumulate(places)
    return np.where(last == 0, REST, np.take_along_axis(roll, np.maximum(last - 1, 0), 0))


def struck(heard: Int[np.ndarray, "T V"]) -> Int[np.ndarray, "T V"]:
    """Return the roll whose `sounding` this is, in which equal pitches one after the other are one long note."""
    same = np.zeros(heard.shape, bool)
    same[1:] = (heard[1:] == heard[:-1]) & (heard[1:] >= 0)
    return np.where(same, HOLD, heard)


def notes(roll: Int[np.ndarray, "T V"]) -> Iterator[RollNote]:
    """Yield the notes of a roll, voice by voice, rests left out."""
    for voice, column in enumerate(roll.T):
        borders = np.flatnonzero(column != HOLD)
        ends = np.append(borders[1:], len(column))
        for first, end in zip(borders.tolist(), ends.tolist(), strict=True):
            if column[first] >= 0:
                yield RollNote(voice, int(column[first]), first, end - first)


def roll_of(found: Iterator[RollNote], steps: int, voices: int) -> Int[np.ndarray, "T V"]:
    """Return notes as a roll; one that is struck ends the note before it in its voice.

    Args:
        found: the notes; of each voice in the order of time.
        steps: T.
        voices: V.
    """
    roll = np.full((steps, voices), REST, np.int64)
    for voice, pitch, first, length in found:
        roll[first:, voice] = REST  # what a longer note left there
        roll[first : first + length, voice] = HOLD
        roll[first, voice] = pitch
    return roll


def coarser(roll: Int[np.ndarray, "T V"], times: int) -> Int[np.ndarray, "S V"]:
    """Return a roll with every so-manieth step only; what begins and ends between two of them is not heard."""
    heard = sounding(roll)
    begins = np.maximum.accumulate(np.where(roll == HOLD, 0, np.arange(len(roll))[:, None]))[::times]
    before = np.arange(len(begins))[:, None] * times - times
    return np.where((begins <= before) & (heard[::times] >= 0), HOLD, heard[::times])


def roll_names(low: int, high: int, holds: bool = True) -> tuple[str, ...]:
    """Return what the numbers of a roll in data stand for: a rest, a hold where there are some, pitches."""
    return (SILENT, *([GOES_ON] if holds else []), *map(str, range(low, high + 1)))


def name_of(value: int) -> str:
    """Return the name of what stands in a roll."""
    return {REST: SILENT, HOLD: GOES_ON}.get(value, str(value))


def pitches_of(names: Sequence[str]) -> Int[np.ndarray, " K"]:
    """Return what each number of a roll in data is in a roll: a pitch, `HOLD` or `REST`; ValueError for other names."""
    known = {SILENT: REST, GOES_ON: HOLD}
    try:
        return np.array([known[name] if name in known else int(name) for name in names])
    except ValueError as error:
        raise ValueError(f"names={list(names[:3])}...: no roll; give {SILENT}, {GOES_ON} and MIDI pitches") from error


def unnumbered(numbers: Int[np.ndarray, "T V"], names: Sequence[str]) -> Int[np.ndarray, "T V"]:
    """Return the roll that numbers of a roll in data stand for; without holds equal pitches are one note."""
    roll = pitches_of(names)[numbers]
    return roll if GOES_ON in names else struck(roll)
