"""Music for eye and ear: rolls as a picture, as the sound of a small additive synthesiser, and as a MIDI file.

Rolls are those of `generative.data.music.rolls`: a note lasts until another one, or a rest, begins in its voice.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32, Float64, Int, UInt8

from generative.data.music.rolls import BEATS_PER_MINUTE, notes
from generative.report.images import INK, PAPER, column

RATE = BEATS_PER_MINUTE / 60 * 4
"""Steps per second where data do not say it: semiquavers."""
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
"""Pixels of a step and of a semitone, and steps of a bar of semiquavers."""


def synthesised(roll: Int[np.ndarray, "T V"], rate: int, steps: float = RATE) -> Float32[np.ndarray, " N"]:
    """Return the sound of a roll in [-1, 1]: each note a sum of decaying partials.

    Args:
        roll: the notes.
        rate: numbers of the sound per second.
        steps: of the roll per second.
    """
    heard = np.zeros(round((len(roll) / steps + DECAY) * rate))
    for _, pitch, first, length in notes(roll):
        tone = _tone(440 * 2 ** ((pitch - A4) / 12), length / steps, rate)
        begin = round(first / steps * rate)
        heard[begin : begin + len(tone)] += tone
    return (heard / (roll.shape[1] * sum(PARTIALS))).astype(np.float32)


def _tone(hertz: float, seconds: float, rate: int) -> Float64[np.ndarray, " N"]:
    time = np.arange(round(seconds * rate)) / rate
    tone = np.zeros(len(time))
    for number, loudness in enumerate(PARTIALS, 1):
        if number * hertz < rate / 2:  # higher ones would come back as others
            tone += loudness * np.exp(-(number**0.5) * time / DECAY) * np.sin(2 * np.pi * number * hertz * time)
    return tone * np.minimum(1, np.minimum(time, time[::-1]) / RAMP)


TICKS = 480
"""Of a quarter note in a MIDI file."""
CHANNELS = (*range(9), *range(10, 16))
"""Of voices in a MIDI file; the one that is left out is for drums."""


def midi_bytes(roll: Int[np.ndarray, "T V"], steps: float = RATE) -> bytes:
    """Return a roll as a MIDI file in 4/4 with a track for each voice.

    Args:
        roll: the notes.
        steps: of the roll per second.
    """
    step = round(TICKS * BEATS_PER_MINUTE / 60 / steps)  # ticks
    tempo = (60_000_000 // BEATS_PER_MINUTE).to_bytes(3, "big")
    first = _track([(0, 0, b"\xff\x51\x03" + tempo), (0, 0, b"\xff\x58\x04\x04\x02\x18\x08")])
    tracks = [first, *(_track(_events(roll, voice, step)) for voice in range(roll.shape[1]))]
    head = ((6, 4), (1, 2), (len(tracks), 2), (TICKS, 2))  # its length, kind of file, tracks, ticks of a quarter note
    return b"".join([b"MThd", *(value.to_bytes(size, "big") for value, size in head), *tracks])


def _events(roll: Int[np.ndarray, "T V"], voice: int, step: int) -> list[tuple[int, int, bytes]]:
    """Return when the notes of a voice begin and end: a time, whether it begins, and the message."""
    channel = CHANNELS[voice % len(CHANNELS)]
    found = []
    for _, pitch, first, length in notes(roll[:, voice : voice + 1]):
        found.append((first * step, 1, bytes((0x90 | channel, pitch, 80))))
        found.append(((first + length) * step, 0, bytes((0x80 | channel, pitch, 0))))
    return sorted(found)


def _track(events: Sequence[tuple[int, int, bytes]]) -> bytes:
    """Return a track of a MIDI file: each message behind the time since the last one."""
    content, now = b"", 0
    for time, _, message in events:
        content += _variable(time - now) + message
        now = time
    content += b"\x00\xff\x2f\x00"
    return b"MTrk" + len(content).to_bytes(4, "big") + content


def _variable(number: int) -> bytes:
    """Return a number in pieces of seven bits, of which all but the last have the eighth bit."""
    found = [number & 0x7F]
    while number := number >> 7:
        found.append(number & 0x7F | 0x80)
    return bytes(reversed(found))


def roll_picture(rolls: Sequence[Int[np.ndarray, "T V"]], bar: int = BAR) -> UInt8[np.ndarray, "H W 3"]:
    """Return rolls below one another: time from left to right, high notes above, a colour for each voice.

    Args:
        rolls: the notes.
        bar: steps of a bar, which begins with a line.
    """
    sounding = [roll[roll >= 0] for roll in rolls]
    heard = np.concatenate(sounding)
    low, high = (int(heard.min()) - 2, int(heard.max()) + 2) if len(heard) else (A4 - 6, A4 + 6)
    return column([_drawn(roll, low, high, bar) for roll in rolls], 8)


def _drawn(roll: Int[np.ndarray, "T V"], low: int, high: int, bar: int) -> UInt8[np.ndarray, "H W 3"]:
    height = (high - low + 1) * PITCH_PIXELS
    found = np.full((height, len(roll) * STEP_PIXELS, 3), PAPER, np.uint8)
    for pitch in range(low, high + 1):
        if pitch % 12 in (1, 3, 6, 8, 10):  # the black keys
            found[(high - pitch) * PITCH_PIXELS : (high - pitch + 1) * PITCH_PIXELS] = (238, 238, 240)
    found[:, :: bar * STEP_PIXELS] = (200, 200, 206)
    for voice, pitch, first, steps in notes(roll):
        top, left = (high - pitch) * PITCH_PIXELS, first * STEP_PIXELS
        corner = left + steps * STEP_PIXELS - 2, top + PITCH_PIXELS - 1
        cv2.rectangle(found, (left, top), corner, VOICES[voice % len(VOICES)], -1)
    found[[0, -1]] = found[:, [0, -1]] = INK
    return found
