"""Music for eye and ear: a roll of pitches as a picture, and as the sound of a small additive synthesiser.

A roll holds the MIDI pitch that every voice has at every step, -1 for a rest. A pitch that stays is one long note.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from jaxtyping import Float32, Float64, Int, UInt8

from generative.report.images import INK, PAPER, column

STEP_SECONDS = 0.2
"""Of a step: a semiquaver at 75 beats a minute."""
PARTIALS = (1.0, 0.5, 0.25, 0.12, 0.06)
"""Loudness of a tone's partials, from the fundamental on."""
DECAY = 1.2
"""Seconds in which a tone falls to a third, the higher partials faster."""
RAMP = 0.01
"""Seconds in which a tone begins and ends, so that nothing clicks."""
A4 = 69
"""MIDI number of the note of 440 Hz."""
VOICES = ((196, 52, 48), (44, 108, 176), (38, 140, 84), (196, 134, 22), (120, 72, 160))
"""Colours of the voices in a picture, RGB."""
STEP_PIXELS, PITCH_PIXELS, BAR = 6, 5, 16
"""Pixels of a step and of a semitone, and steps between two lines."""


def notes(roll: Int[np.ndarray, "T V"]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the notes of a roll as (voice, pitch, first step, steps); equal pitches one after the other are one."""
    for voice, pitches in enumerate(roll.T):
        borders = np.flatnonzero(np.diff(pitches, prepend=pitches[:1] - 1))
        ends = np.append(borders[1:], len(pitches))
        for first, end in zip(borders.tolist(), ends.tolist(), strict=True):
            if pitches[first] >= 0:
                yield voice, int(pitches[first]), first, end - first


def synthesised(roll: Int[np.ndarray, "T V"], rate: int) -> Float32[np.ndarray, " N"]:
    """Return the sound of a roll in [-1, 1], `rate` numbers per second: each note a sum of decaying partials."""
    heard = np.zeros(round((len(roll) * STEP_SECONDS + DECAY) * rate))
    for _, pitch, first, steps in notes(roll):
        tone = _tone(440 * 2 ** ((pitch - A4) / 12), steps * STEP_SECONDS, rate)
        begin = round(first * STEP_SECONDS * rate)
        heard[begin : begin + len(tone)] += tone
    return (heard / (roll.shape[1] * sum(PARTIALS))).astype(np.float32)


def _tone(hertz: float, seconds: float, rate: int) -> Float64[np.ndarray, " N"]:
    time = np.arange(round(seconds * rate)) / rate
    tone = np.zeros(len(time))
    for number, loudness in enumerate(PARTIALS, 1):
        if number * hertz < rate / 2:  # higher ones would come back as others
            tone += loudness * np.exp(-(number**0.5) * time / DECAY) * np.sin(2 * np.pi * number * hertz * time)
    return tone * np.minimum(1, np.minimum(time, time[::-1]) / RAMP)


def roll_picture(rolls: Sequence[Int[np.ndarray, "T V"]]) -> UInt8[np.ndarray, "H W 3"]:
    """Return rolls below one another: time from left to right, high notes above, a colour for each voice."""
    sounding = [roll[roll >= 0] for roll in rolls]
    heard = np.concatenate(sounding)
    low, high = (int(heard.min()) - 2, int(heard.max()) + 2) if len(heard) else (A4 - 6, A4 + 6)
    return column([_drawn(roll, low, high) for roll in rolls], 8)


def _drawn(roll: Int[np.ndarray, "T V"], low: int, high: int) -> UInt8[np.ndarray, "H W 3"]:
    height = (high - low + 1) * PITCH_PIXELS
    found = np.full((height, len(roll) * STEP_PIXELS, 3), PAPER, np.uint8)
    for pitch in range(low, high + 1):
        if pitch % 12 in (1, 3, 6, 8, 10):  # the black keys
            found[(high - pitch) * PITCH_PIXELS : (high - pitch + 1) * PITCH_PIXELS] = (238, 238, 240)
    found[:, :: BAR * STEP_PIXELS] = (200, 200, 206)
    for voice, pitch, first, steps in notes(roll):
        top, left = (high - pitch) * PITCH_PIXELS, first * STEP_PIXELS
        corner = left + steps * STEP_PIXELS - 2, top + PITCH_PIXELS - 1
        cv2.rectangle(found, (left, top), corner, VOICES[voice % len(VOICES)], -1)
    found[[0, -1]] = found[:, [0, -1]] = INK
    return found
