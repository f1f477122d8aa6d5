import itertools

import numpy as np
import pytest

from generative.data import check_data, load_data
from generative.data.music import progressions
from generative.data.music.progressions import FACTORS, GROOVES, ProgressionsConfig
from generative.data.music.rolls import HOLD, notes, pitches_of, sounding, struck, unnumbered


def test_every_note_follows_from_the_factors():
    data = load_data("progressions", {"count": 200})
    check_data(data, batch=8, names=tuple(data.fields))
    assert len(data) + len(data.held_out()) == 200 and data.names("label") == ("dance", "hymn")
    for part in (data, data.held_out()):
        every = np.arange(len(part))
        factors = part.get("factors", every).astype(int)
        assert ([data.names("label")[each] == "dance" for each in part.get("label", every)] == factors[:, 2]).all()
        for row, numbers in zip(factors.tolist(), part.get("roll", every), strict=True):
            known = dict(zip(FACTORS, row, strict=True))
            scale = list(progressions.MODES.values())[known["minor"]]
            for note in notes(unnumbered(numbers, data.item.names)):
                assert (note.pitch - known["tonic"]) % 12 in scale
                rhythm = list(GROOVES.values())[known["dance"]][known[f"groove of voice {note.voice + 1}"]]
                assert note.first % 8 in rhythm


def test_probabilities_of_all_rolls_sum_to_one(monkeypatch):
    monkeypatch.setattr(progressions, "GROOVES", {"hymn": ((0,), (0, 4))})
    config = ProgressionsConfig(count=10, bars=1)
    total, seen = 0.0, set()
    for tonic, scale in itertools.product(range(12), progressions.MODES.values()):
        voiced = progressions._voiced(tonic, scale).reshape(-1, 4)
        seen |= {(*first, *second) for first in map(tuple, voiced[:3]) for second in map(tuple, voiced)}
    every = np.array(sorted(seen)).reshape(-1, 2, 4)
    names = ("rest", "hold", *map(str, range(128)))
    for twice in (False, True):
        rolls = np.full((len(every), 2, 8, 4), HOLD)
        rolls[:, :, 0] = every
        if twice:
            rolls[:, :, 4, 0] = every[:, :, 0]
        numbers = np.where(rolls == HOLD, 1, rolls + 2).reshape(-1, 16, 4)
        total += np.exp(config.log_prob(numbers, names)).sum()
    assert total == pytest.approx(2 / 16)  # of the rhythms of four voices, two of them


def test_what_is_never_drawn_has_no_probability():
    data = load_data("progressions", {"count": 100})
    rolls = data.get("roll", np.arange(len(data)))
    assert data.log_prob is not None
    assert np.isfinite(data.log_prob(rolls)).all()
    assert (data.log_prob(rolls) == data.log_prob(rolls.reshape(len(rolls), -1))).all()
    for place, number in (((0, 0), 0), ((1, 0), 2), ((0, 2), 40), ((8, 3), 1)):
        other = rolls.copy()
        other[(slice(None), *place)] = number
        assert (other == rolls).all((1, 2)).sum() + np.isneginf(data.log_prob(other)).sum() >= len(rolls)


def test_rhythm_is_heard_in_detached_notes_without_strikes():
    configs = [ProgressionsConfig(count=100, detached=each) for each in (False, True)]
    pairs = [[roll for roll, _ in config.drawn()] for config in configs]
    kept = [sum((struck(sounding(roll)) == roll).all() for roll in rolls) for rolls in pairs]
    assert kept[0] < 10 and kept[1] == 100
    for one, other in zip(*pairs, strict=True):
        left_out = (one >= 0) & (other < 0)
        assert (one[other >= 0] == other[other >= 0]).all() and (one[:-1][left_out[1:]] >= 0).all()
    data = [load_data("progressions", {"count": 100, "detached": each}) for each in (False, True)]
    check_data(data[1], batch=8)
    names = data[1].item.names
    plain, detached = (np.stack([_numbers(roll, names) for roll in rolls]) for rolls in pairs)
    shares = configs[0].log_prob(plain, names)
    assert np.isfinite(shares).all() and (configs[1].log_prob(detached, names) == shares).all()
    assert np.isneginf(configs[0].log_prob(detached, names)).all()
    assert np.isneginf(configs[1].log_prob(plain, names)).all()


def _numbers(roll, names):
    number_of = {pitch: number for number, pitch in enumerate(pitches_of(names).tolist())}
    return np.vectorize(number_of.__getitem__)(roll)


def test_a_melody_is_of_the_same_pieces():
    data = load_data("progressions", {"count": 100, "melody": 4})
    check_data(data, batch=8)
    assert data.item.kind == "notes" and data.item.shape == (4, 2)


@pytest.mark.parametrize("options", [{"bars": 0}, {"melody": -1}, {"count": 3}])
def test_a_senseless_option_is_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        ProgressionsConfig(**options)
