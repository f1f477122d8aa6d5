"""What people see and hear of samples: pictures, films, texts, scores and sound, by name.

A model says in `medium` what its samples are; else the field of the data that they are like says it. A medium turns
samples into files, one for each ending. A page shows whatever lies in a folder by the endings alone, so it knows
neither models nor data. Packages of third parties can add media; see `Catalogue`.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from generative.core.catalogue import Catalogue
from generative.core.options import ComponentError
from generative.data.fields import Field
from generative.data.music.rolls import HOLD, REST, pitches_of, struck, unnumbered
from generative.data.text.padded import until_end
from generative.report.images import png_bytes
from generative.report.score import BAR, midi_bytes, roll_picture, synthesised
from generative.report.score import RATE as STEPS
from generative.report.video import webm_bytes

RATE = 22_050
"""Numbers of a sound per second."""
FILM_RATE = 12
"""Frames of a film per second."""
ROLLS = 4
"""Pieces of music that are drawn and played, one after the other."""
Files = Mapping[str, bytes]
"""Contents by ending, such as ".png"."""


@dataclass(frozen=True)
class Medium:
    """A way to see or hear samples."""

    says: str
    """What it shows, in a few words."""
    files: Callable[[np.ndarray, Field], Files]
    """Turn samples (N ...), with the field that says what their numbers stand for, into files."""


def picture(samples: UInt8[np.ndarray, "H W 3"], field: Field | None = None) -> Files:
    """Return one picture, that is drawn already."""
    return {".png": png_bytes(samples)}


def film(samples: UInt8[np.ndarray, "T H W 3"], field: Field) -> Files:
    """Return frames as a film."""
    return {".webm": webm_bytes(samples, FILM_RATE)}


def text(samples: Int[np.ndarray, "N T"], field: Field) -> Files:
    """Return texts one below the other, tokens by their names; each up to its end, if it has one."""
    said = "\n\n".join("".join(until_end(field.names, row)) for row in samples.tolist())
    return {".txt": f"{said}\n".encode()}


def score(samples: Int[np.ndarray, "N ..."], field: Field) -> Files:
    """Return music as a picture with time from left to right, as sound and as MIDI, one piece after the other.

    Args:
        samples: rolls (N T V), rolls in a row (N T*V), or notes (N L 2).
        field: what their numbers stand for; a roll without names holds MIDI pitches, and -1 for a rest.
    """
    rolls = [as_roll(each, field) for each in samples[:ROLLS]]
    steps = field.rate if field.rate and field.kind != "notes" else STEPS
    pause = np.full((round(steps / STEPS * BAR), rolls[0].shape[1]), REST)
    whole = np.concatenate([part for roll in rolls for part in (roll, pause)][:-1])
    return {
        ".png": png_bytes(roll_picture(rolls, len(pause))),
        ".wav": wav_bytes(np.concatenate([synthesised(roll, RATE, steps) for roll in rolls])),
        ".mid": midi_bytes(whole, steps),
    }


def as_roll(sample: Int[np.ndarray, "..."], field: Field) -> Int[np.ndarray, "T V"]:
    """Return one piece as a roll of pitches, holds and rests; arguments as of `score`."""
    if field.kind == "notes":
        pitches = pitches_of(field.names[: field.sizes[0]])
        steps = [max(1, round(4 * float(beats))) for beats in field.names[field.sizes[0] :]]
        heard = [[pitches[pitch], *[HOLD] * (steps[length] - 1)] for pitch, length in sample.tolist()]
        return np.concatenate(heard)[:, None]
    voices = field.shape[1] if len(field.shape) == 2 else 4
    roll = sample[: sample.size // voices * voices].reshape(-1, voices) if sample.ndim == 1 else sample
    return unnumbered(roll, field.names) if field.names else struck(roll)


def sound(samples: Float[np.ndarray, "N T"], field: Field) -> Files:
    """Return waves in [-1, 1], one after the other with a pause of half a second."""
    pause = np.zeros((len(samples), RATE // 2), samples.dtype)
    return {".wav": wav_bytes(np.concatenate([samples, pause], 1).reshape(-1))}


def wav_bytes(heard: Float[np.ndarray, " T"]) -> bytes:
    """Return a wave in [-1, 1] (what lies outside is cut off) as a WAV file of 16 bits."""
    from scipy.io import wavfile  # Python's `wave` makes an error of its own of Ctrl-C

    file = io.BytesIO()
    wavfile.write(file, RATE, (np.clip(heard, -1, 1) * 32767).round().astype("<i2"))
    return file.getvalue()


def _medium(found: Any, name: str, place: str) -> Medium:
    if not isinstance(found, Medium):
        raise ComponentError(f"{place}: must be a Medium; see `generative.report.media`")
    return found


MEDIA = Catalogue[Medium](
    "media",
    "medium",
    {each: f"{__name__}:{each.upper()}" for each in ("picture", "film", "text", "score", "sound")},
    _medium,
)
"""The media by name."""
PICTURE = Medium("a picture", picture)
FILM = Medium("frames one after the other", film)
TEXT = Medium("a text", text)
SCORE = Medium("notes, drawn and played", score)
SOUND = Medium("a sound", sound)
KINDS = {"tokens": "text", "roll": "score", "notes": "score"}
"""The medium of samples that are like a field of such a kind; images and points are put into a picture first."""


def medium_of(model: object, field: Field) -> str:
    """Return the medium of a model's samples: what its class says, or what follows from the field they are like."""
    return str(getattr(model, "medium", KINDS.get(field.kind, "picture")))
