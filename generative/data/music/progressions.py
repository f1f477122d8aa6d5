"""Drawn pieces for four voices whose every note follows from known factors: key, chords, and a rhythm for each voice.

A chord lasts half a bar; which one follows which is a Markov chain. Bass, tenor and alto have its root, third and fifth
as the key says, the soprano any of the three. A style has rhythms of its own, and every voice keeps to one of them. So
the probability of any roll is known, see `ProgressionsConfig.log_prob`.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64, Int, Int64

from generative.data.draws import held_out_by_digest
from generative.data.fields import Data, Field
from generative.data.music.pieces import BEATS, FINEST, Piece, Windows, music_data
from generative.data.music.rolls import HOLD, REST, unnumbered
from generative.data.orders import Items
from generative.data.origin import Origin
from generative.data.text.languages import Language

HALF = BEATS * FINEST // 2
"""Steps of half a bar."""
MODES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
"""Semitones of the scales above the tonic."""
DEGREES = (0, 1, 3, 4, 5)
"""Steps of the scale on which chords stand: I, II, IV, V, VI."""
FIRST = np.array([1.0, 0, 0, 0, 0])
NEXT = np.array([
    [0, 0.2, 0.3, 0.3, 0.2],
    [0, 0, 0.2, 0.8, 0],
    [0.3, 0.2, 0, 0.5, 0],
    [0.7, 0, 0, 0, 0.3],
    [0, 0.5, 0.5, 0, 0],
])  # fmt: skip
"""Probability of each chord after each other one."""
BASE = (72, 60, 53, 41)
"""About where the voices lie."""
GROOVES = {
    "hymn": ((0,), (0, 4), (0, 4, 6)),
    "dance": ((0, 3, 6), (0, 2, 4, 6), (0, 2, 3, 6)),
}
"""Rhythms of the styles: steps of half a bar at which a note is struck."""
FACTORS = ("tonic", "minor", "dance", *(f"groove of voice {voice}" for voice in range(1, len(BASE) + 1)))


@dataclass(frozen=True)
class ProgressionsConfig(Language):
    """Drawn chord progressions for four voices, in two styles of rhythm; all probabilities are known."""

    bars: int = 2
    """Bars of a piece."""
    melody: int = 0
    """So many notes of the first voice, as pitches and durations, in place of bars of all voices."""
    detached: bool = False
    """Every note ends a step before the next one, so that rhythm is there for models that write no strikes, too. Of two
    strikes in a row the second is left out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.bars <= 64:
            raise ValueError(f"bars={self.bars}: give 1 to 64")
        if self.melody < 0:
            raise ValueError(f"melody={self.melody}: must not be negative; 0 gives all voices")

    def load(self) -> Data:
        """Return the pieces, with their factors; the style is the label."""
        rolls, factors_of = zip(*self.drawn(), strict=True)
        held = held_out_by_digest([hashlib.sha256(roll.tobytes()).hexdigest() for roll in rolls])
        styles, chosen = list(GROOVES), set(held.tolist())
        pieces = [
            Piece(str(number), roll, style=styles[factors[2]], held_out=number in chosen)
            for number, (roll, factors) in enumerate(zip(rolls, factors_of, strict=True))
        ]
        data = music_data("progressions", pieces, Windows(self.bars, melody=self.melody), Origin())
        if self.melody:
            return data
        table = np.array(factors_of, np.float32)[[*np.setdiff1d(np.arange(self.count), held), *held]]

        def factors(items: Items) -> Float32[np.ndarray, "N F"]:
            return table[items]

        known = Field("factors", (len(FACTORS),), "float32", FACTORS)
        names = data.item.names
        return replace(
            data,
            fields={**data.fields, "factors": known},
            readers={**data.readers, "factors": factors},
            log_prob=lambda rolls: self.log_prob(rolls.reshape(len(rolls), -1, len(BASE)), names),
        )

    def drawn(self) -> Iterator[tuple[Int[np.ndarray, "T V"], tuple[int, ...]]]:
        """Yield pieces and their factors, numbers as of `FACTORS`."""
        for generator in self.rows():
            tonic, mode, style = (int(generator.integers(each)) for each in (12, len(MODES), len(GROOVES)))
            rhythms = list(GROOVES.values())[style]
            grooves = generator.integers(len(rhythms), size=len(BASE)).tolist()
            chords: list[int] = []
            tops: list[int] = []
            for _ in range(2 * self.bars):
                shares = NEXT[chords[-1]] if chords else FIRST
                chords.append(int(generator.choice(len(DEGREES), p=shares)))
                tops.append(int(generator.integers(3)))
            heard = _voiced(tonic, list(MODES.values())[mode])[chords, tops]  # (2B V)
            roll = np.full((self.bars * 2, HALF, len(BASE)), HOLD, np.int64)
            for voice, groove in enumerate(grooves):
                does = self._does(rhythms[groove])
                roll[:, does == REST, voice] = REST
                roll[:, does == 0, voice] = heard[:, voice, None]
            yield roll.reshape(-1, len(BASE)), (tonic, mode, style, *grooves)

    def log_prob(self, numbers: Int[np.ndarray, "N T V"], names: tuple[str, ...]) -> Float64[np.ndarray, " N"]:
        """Return the log-probability of rolls in nats; minus infinity for what is never drawn."""
        rolls = np.stack([unnumbered(each, names) for each in numbers]).reshape(len(numbers), -1, HALF, len(BASE))
        rhythm = self._rhythms(rolls)
        chords = rolls[:, :, 0]  # what is struck at the beginning of each half bar
        total = np.zeros(len(rolls))
        for tonic in range(12):
            for scale in MODES.values():
                voiced = _voiced(tonic, scale)  # (D 3 V)
                fits = (chords[:, :, None, None] == voiced).all(-1).any(-1) / 3  # (N S D)
                alpha = FIRST * fits[:, 0]
                for step in range(1, fits.shape[1]):
                    alpha = alpha @ NEXT * fits[:, step]
                total += alpha.sum(1) / (12 * len(MODES))
        with np.errstate(divide="ignore"):
            return np.log(total * rhythm)

    def _does(self, rhythm: tuple[int, ...]) -> Int64[np.ndarray, " H"]:
        """Return what a voice does in half a bar: 0 where it strikes its pitch, else `HOLD` or `REST`."""
        strikes = np.isin(np.arange(HALF), rhythm)
        if not self.detached:
            return np.where(strikes, 0, HOLD)
        strikes &= ~np.roll(strikes, 1)
        return np.where(strikes, 0, np.where(np.roll(strikes, -1), REST, HOLD))

    def _rhythms(self, rolls: Int[np.ndarray, "N S H V"]) -> Float64[np.ndarray, " N"]:
        """Return the probability of how notes are struck; 0 where a pitch changes within half a bar."""
        pitches = rolls[:, :, :1]
        same = ((rolls == pitches) | (rolls < 0)).all((1, 2, 3)) & (pitches >= 0).all((1, 2, 3))
        found = np.zeros(len(rolls))
        for rhythms in GROOVES.values():
            patterns = np.stack([self._does(each) for each in rhythms])  # (G H)
            fits = np.minimum(rolls, 0)[:, :, None] == patterns[None, None, :, :, None]  # (N S G H V)
            found += fits.all((1, 3)).any(1).all(1) / len(rhythms) ** len(BASE) / len(GROOVES)
        return found * same


def _voiced(tonic: int, scale: tuple[int, ...]) -> Int64[np.ndarray, "D 3 V"]:
    """Return the pitches of the voices for each chord and each note that the soprano can have of it."""
    found = np.zeros((len(DEGREES), 3, len(BASE)), np.int64)
    for place, degree in enumerate(DEGREES):
        root, third, fifth = (tonic + scale[(degree + up) % 7] for up in (0, 2, 4))
        for top, soprano in enumerate((root, third, fifth)):
            pitches = (soprano, fifth, third, root)
            found[place, top] = [base + (pitch - base) % 12 for base, pitch in zip(BASE, pitches, strict=True)]
    return found
