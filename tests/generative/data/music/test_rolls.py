import io

import numpy as np
import pytest

from generative.data.music.rolls import (
    HOLD,
    REST,
    RollNote,
    coarser,
    notes,
    pitches_of,
    roll_names,
    roll_of,
    sounding,
    struck,
    unnumbered,
)
from generative.report.score import midi_bytes

ROLL = np.array([[69, REST], [HOLD, REST], [69, 57], [REST, HOLD], [81, 57]])


def test_a_note_that_is_struck_again_is_another_one_than_one_that_goes_on():
    assert set(notes(ROLL)) == {(0, 69, 0, 2), (0, 69, 2, 1), (0, 81, 4, 1), (1, 57, 2, 2), (1, 57, 4, 1)}
    assert not list(notes(np.full((3, 2), REST)))
    heard = sounding(ROLL)
    assert heard[:, 0].tolist() == [69, 69, 69, REST, 81] and heard[:, 1].tolist() == [REST, REST, 57, 57, 57]
    assert [each.steps for each in notes(struck(heard))] == [3, 1, 3]
    assert (sounding(struck(heard)) == heard).all()
    assert sounding(np.array([[HOLD], [60]])).tolist() == [[REST], [60]]  # nothing to go on with


def test_notes_make_the_roll_that_they_come_from():
    assert (roll_of(notes(ROLL), 5, 2) == ROLL).all()
    overlapping = [RollNote(0, 60, 0, 5), RollNote(0, 62, 1, 2)]
    assert roll_of(iter(overlapping), 5, 1)[:, 0].tolist() == [60, 62, HOLD, REST, REST]


def test_a_coarser_grid_hears_what_sounds_at_its_steps():
    assert coarser(np.array([[60], [HOLD], [HOLD], [62], [HOLD], [HOLD]]), 2)[:, 0].tolist() == [60, HOLD, 62]
    again = np.array([[60], [60], [HOLD], [HOLD], [REST], [60]])
    assert coarser(again, 2)[:, 0].tolist() == [60, 60, REST]  # struck between two steps
    assert coarser(ROLL, 1).tolist() == ROLL.tolist()


def test_numbers_stand_for_pitches_rests_and_holds():
    names = roll_names(60, 62)
    assert names == ("rest", "hold", "60", "61", "62") and pitches_of(names).tolist() == [REST, HOLD, 60, 61, 62]
    assert unnumbered(np.array([[2], [1], [2]]), names)[:, 0].tolist() == [60, HOLD, 60]
    assert unnumbered(np.array([[1], [1], [0]]), roll_names(60, 62, holds=False))[:, 0].tolist() == [60, HOLD, REST]
    with pytest.raises(ValueError, match=r"names=\['a'\].*no roll"):
        pitches_of(["a"])


def random_roll() -> np.ndarray:
    generator = np.random.default_rng(0)
    roll = generator.choice([REST, HOLD, HOLD, 48, 60, 61, 84], (24, 4))
    return np.where((roll == HOLD) & (sounding(roll) == REST), REST, roll)


def test_midi_is_read_back_equal_by_two_other_libraries(tmp_path):
    music21, symusic = (pytest.importorskip(each) for each in ("music21", "symusic"))
    roll = random_roll()
    written = sorted((*each[1:], each[0]) for each in notes(roll))
    score = symusic.Score.from_midi(midi_bytes(roll)).resample(4, min_dur=1)
    assert [round(each.qpm) for each in score.tempos] == [75]
    read = [(each.pitch, each.time, each.duration, voice)
            for voice, track in enumerate(score.tracks) for each in track.notes]  # fmt: skip
    assert sorted(read) == written and len(score.tracks) == 4
    file = music21.midi.MidiFile()
    file.openFileLike(io.BytesIO(midi_bytes(roll)))
    file.read()
    parts = music21.midi.translate.midiFileToStream(file, quantizePost=False).parts
    heard = [(each.pitch.midi, round(each.offset * 4), round(each.quarterLength * 4), voice)
             for voice, part in enumerate(parts) for each in part.stripTies().flatten().notes]  # fmt: skip
    assert sorted(heard) == written
