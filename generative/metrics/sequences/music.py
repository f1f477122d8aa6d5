"""Figures of pieces of music, each a mean over pieces that is to be as that of real ones.

Pitch-class entropy, scale consistency, empty bars, polyphony and groove are after muspy (Dong et al. 2020, arXiv
2008.01951) and Wu & Yang 2020 (arXiv 2008.01307); here minor is harmonic, and polyphony counts silent steps too. Tonal
distance is that of MuseGAN (Dong et al. 2018, arXiv 1709.06298) by the tonal centroids of Harte et al. 2006. Formulas
are written out here. A piece is a roll, see `generative.data.music.rolls`.
"""

import math
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise

import numpy as np
from jaxtyping import Bool, Float64, Int

from generative.core.options import ComponentError
from generative.data.music.rolls import notes, sounding

Rolls = Sequence[Int[np.ndarray, "_ _"]]
BAR = 16
"""Steps of a bar of semiquavers."""
MAJOR_SCALE, MINOR_SCALE = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 11)
RUN = 4
"""Intervals of a motif."""
COPY = 0.05
"""A piece is a copy of another one where no larger share of its numbers differs."""


def pitch_class_entropy(rolls: Rolls) -> float:
    """Return the entropy in bits of which of the 12 pitch classes notes have; 0 for one class, 3.58 for all alike."""

    def entropy(roll: Int[np.ndarray, "T V"]) -> float:
        shares = _classes(roll) / max(1, _classes(roll).sum())
        return -sum(share * math.log2(share) for share in shares.tolist() if share > 0)

    return _mean(rolls, entropy)


def scale_consistency(rolls: Rolls) -> float:
    """Return the share of notes that are in the best fitting of the 24 major and harmonic minor scales."""

    def consistency(roll: Int[np.ndarray, "T V"]) -> float:
        counts = _classes(roll)
        best = max(
            counts[[(tonic + each) % 12 for each in scale]].sum()
            for scale in (MAJOR_SCALE, MINOR_SCALE)
            for tonic in range(12)
        )
        return float(best / max(1, counts.sum()))

    return _mean(rolls, consistency)


def groove_consistency(rolls: Rolls, bar: int = BAR) -> float:
    """Return how alike the rhythms of neighbouring bars are: 1 minus the share of steps where only one strikes."""

    def consistency(roll: Int[np.ndarray, "T V"]) -> float:
        struck = _bars(roll, bar) >= 0  # (B S V)
        return 1 - float((struck[1:] != struck[:-1]).mean()) if len(struck) > 1 else 1.0

    return _mean(rolls, consistency)


def empty_bars(rolls: Rolls, bar: int = BAR) -> float:
    """Return the share of bars of a voice in which nothing sounds."""
    return _mean(rolls, lambda roll: float((_bars(sounding(roll), bar) < 0).all(1).mean()))


def polyphony(rolls: Rolls) -> float:
    """Return how many voices sound at a step."""
    return _mean(rolls, lambda roll: float((sounding(roll) >= 0).sum(1).mean()))


def notes_per_bar(rolls: Rolls, bar: int = BAR) -> float:
    """Return how many notes a voice strikes in a bar."""
    return _mean(rolls, lambda roll: float((roll >= 0).mean()) * bar)


def tonal_distance(rolls: Rolls, bar: int = BAR) -> float:
    """Return how far apart the tonal centroids of two voices are within a beat, the mean over beats and pairs.

    Small for voices that play notes of one chord; 0 for a piece of one voice.
    """
    place = np.arange(12)
    turns = ((7 * np.pi / 6, 1.0), (3 * np.pi / 2, 1.0), (2 * np.pi / 3, 0.5))  # fifths, minor and major thirds
    centroids = np.concatenate(
        [[size * np.sin(turn * place), size * np.cos(turn * place)] for turn, size in turns]
    )  # (6 12)

    def distance(roll: Int[np.ndarray, "T V"]) -> float:
        beats = _bars(sounding(roll), max(1, bar // 4))  # (B S V)
        chroma = np.stack([((beats % 12 == each) & (beats >= 0)).sum(1) for each in range(12)], 2)  # (B V 12)
        loud = chroma.sum(2, keepdims=True)
        where = chroma / np.maximum(1, loud) @ centroids.T  # (B V 6)
        found = [
            np.linalg.norm(where[:, one] - where[:, other], axis=1)[(loud[:, [one, other], 0] > 0).all(1)]
            for one, other in combinations(range(roll.shape[1]), 2)
        ]
        apart = np.concatenate(found) if found else np.zeros(0)
        return float(apart.mean()) if len(apart) else 0.0

    return _mean(rolls, distance)


def motif_recurrence(rolls: Rolls) -> float:
    """Return the share of runs of intervals and durations that were there before in the piece, in any voice or key."""

    def recurrence(roll: Int[np.ndarray, "T V"]) -> float:
        seen, again, whole = set[tuple[int, ...]](), 0, 0
        runs = []
        for voice in range(roll.shape[1]):
            played = list(notes(roll[:, voice : voice + 1]))
            for first in range(len(played) - RUN):
                part = played[first : first + RUN + 1]
                steps = [later.pitch - earlier.pitch for earlier, later in pairwise(part)]
                runs.append((part[-1].first, (*steps, *(each.steps for each in part[:-1]))))
        for _, run in sorted(runs):
            again, whole = again + (run in seen), whole + 1
            seen.add(run)
        return again / max(1, whole)

    return _mean(rolls, recurrence)


def nearest_pieces(train: Int[np.ndarray, "N ..."], pieces: Int[np.ndarray, "M ..."]) -> Float64[np.ndarray, " M"]:
    """Return the share of numbers in which each piece differs from the training piece most like it.

    Args:
        train: the training pieces, as rolls, or notes and durations.
        pieces: others, in the same numbers.
    """
    known = train.reshape(len(train), -1).astype(np.int16)
    found = [float((known != row).mean(1).min()) for row in pieces.reshape(len(pieces), -1).astype(np.int16)]
    return np.array(found)


def copied(distances: Float64[np.ndarray, " M"]) -> Bool[np.ndarray, " M"]:
    """Return which pieces are copies, by their distances to the nearest training piece."""
    return distances <= COPY


def _classes(roll: Int[np.ndarray, "T V"]) -> Int[np.ndarray, " 12"]:
    """Return how many notes have each pitch class."""
    return np.bincount(roll[roll >= 0] % 12, minlength=12)


def _bars(roll: Int[np.ndarray, "T V"], bar: int) -> Int[np.ndarray, "B S V"]:
    """Return the whole bars of a roll."""
    count = max(1, len(roll) // bar)
    return roll[: count * bar].reshape(count, -1, roll.shape[1])


def _mean(rolls: Rolls, function: Callable[[Int[np.ndarray, "T V"]], float]) -> float:
    if not len(rolls):
        raise ComponentError("rolls: no pieces to measure; give one or more")
    return sum(map(function, rolls)) / len(rolls)
