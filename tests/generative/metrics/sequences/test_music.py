import math
from itertools import pairwise

import numpy as np
import pytest

from generative import ComponentError
from generative.data import load_data
from generative.data.music.rolls import HOLD, REST, sounding, struck, unnumbered
from generative.metrics.sequences.music import (
    COPY,
    copied,
    empty_bars,
    groove_consistency,
    motif_recurrence,
    nearest_pieces,
    notes_per_bar,
    pitch_class_entropy,
    polyphony,
    scale_consistency,
    tonal_distance,
)


def column(*values):
    return np.array(values)[:, None]


def test_pitch_classes_and_scales():
    assert pitch_class_entropy([column(60, 72, HOLD, 48, REST)]) == 0
    chromatic = column(*range(60, 72))
    assert pitch_class_entropy([chromatic]) == pytest.approx(math.log2(12))
    assert scale_consistency([chromatic]) == pytest.approx(7 / 12)
    assert scale_consistency([column(60, 62, 64, 65, 67, 69, 71), column(57, 59, 60, 62, 64, 65, 68)]) == 1
    assert pitch_class_entropy([chromatic, column(60)]) == pytest.approx(math.log2(12) / 2)  # a mean over pieces


def test_bars():
    bar = [60, *[HOLD] * 3] * 4
    assert groove_consistency([column(*bar, *bar)]) == 1
    assert groove_consistency([column(*bar, 60, *[HOLD] * 15)]) == pytest.approx(1 - 3 / 16)
    long = column(60, *[HOLD] * 31)
    assert empty_bars([np.concatenate([long, column(*[REST] * 32)], 1)]) == 0.5
    assert empty_bars([column(*bar, *[REST] * 16)]) == 0.5 and empty_bars([column(*[REST] * 8)], bar=4) == 1
    assert polyphony([np.concatenate([long, long, column(*[REST] * 32)], 1)]) == 2
    assert notes_per_bar([column(*bar, *[HOLD] * 16)]) == 2 and notes_per_bar([column(60, HOLD)], bar=1) == 0.5


def test_voices_in_unison_have_no_tonal_distance_and_a_tritone_has_more_than_a_fifth():
    first = column(60, HOLD, HOLD, HOLD)

    def apart(pitch):
        return tonal_distance([np.concatenate([first, column(pitch, HOLD, HOLD, HOLD)], 1)])

    assert apart(72) == pytest.approx(0, abs=1e-12) and 0 < apart(67) < apart(66)
    # By hand: a fifth turns the circle of fifths by 7 x 7pi/6, that of minor thirds by 7 x 3pi/2, ...
    turns = ((7 * math.pi / 6, 1.0), (3 * math.pi / 2, 1.0), (2 * math.pi / 3, 0.5))
    expected = math.sqrt(sum((2 * size * math.sin(7 * turn / 2)) ** 2 for turn, size in turns))
    assert apart(67) == pytest.approx(expected)
    assert tonal_distance([first]) == 0
    assert tonal_distance([np.concatenate([first, column(*[REST] * 4)], 1)]) == 0


def test_a_motif_comes_again_in_another_key_and_voice():
    motif = [60, 62, 64, 65, 67]
    alone = column(*motif, *[REST] * 5)
    again = np.concatenate([alone, column(*[REST] * 5, *(each + 7 for each in motif))], 1)
    assert motif_recurrence([alone]) == 0 and motif_recurrence([again]) == 0.5
    slower = np.concatenate(
        [column(*motif, *[REST] * 10), column(*[REST] * 5, *np.ravel([[each, HOLD] for each in motif]))], 1
    )
    assert motif_recurrence([slower]) == 0


def test_copies_are_found_and_held_out_pieces_are_none():
    data = load_data("progressions", {"count": 400})
    rolls = [sounding(unnumbered(each, data.item.names)) for each in data.get("roll", np.arange(len(data)))]
    train, others = np.stack(rolls[50:]), np.stack(rolls[:50])
    spoiled = train[:3].copy()
    spoiled[0, :1], spoiled[1, :8] = 0, 0
    away = nearest_pieces(train, spoiled)
    assert away[2] == 0 and away[0] == pytest.approx(1 / 32) and away[1] <= 0.25
    assert copied(away).tolist() == [True, bool(away[1] <= COPY), True]
    assert copied(nearest_pieces(train, others)).mean() < 0.1


def test_figures_see_what_is_spoiled():
    data = load_data("progressions", {"count": 100, "bars": 4})
    real = [unnumbered(each, data.item.names) for each in data.get("roll", np.arange(40))]
    generator = np.random.default_rng(0)
    mixed = [struck(generator.permutation(sounding(each))) for each in real]
    assert groove_consistency(mixed) < groove_consistency(real) - 0.1
    assert notes_per_bar(mixed) > notes_per_bar(real) + 1
    assert motif_recurrence(mixed) < motif_recurrence(real) - 0.1
    others = [np.concatenate([each[:, :2], other[:, 2:]], 1) for each, other in pairwise(real)]
    assert tonal_distance(others) > tonal_distance(real) + 0.05
    assert scale_consistency(others) < scale_consistency(real) - 0.05
    with pytest.raises(ComponentError, match="no pieces"):
        polyphony([])
