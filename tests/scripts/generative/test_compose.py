"""Music from trained models, on the command line."""

import numpy as np
import pytest

from generative.data import load_data
from generative.data.music.midi import opening
from generative.data.music.rolls import HOLD, REST, notes, unnumbered
from generative.report.score import midi_bytes
from generative.runs.run_folder import Choice
from scripts.generative.cli import main
from tests.scripts.generative.small import finished

PROGRESSIONS = Choice("progressions", {"count": 200, "bars": 1})


def test_a_model_of_tokens_goes_on_from_a_midi_file(tmp_path, capsys):
    symusic = pytest.importorskip("symusic")
    run = finished(tmp_path / "run", "lstm", PROGRESSIONS, batch=4)
    assert {each.suffix for each in (run.path / "samples").glob("00000008.*")} == {".png", ".wav", ".mid"}
    data = load_data(PROGRESSIONS.type, PROGRESSIONS.options)
    first = unnumbered(data.get("roll", np.arange(1))[0], data.item.names)
    path = tmp_path / "opening.mid"
    path.write_bytes(midi_bytes(first))
    assert (opening(path, data.item) == data.get("tokens", np.arange(1))[0]).all()
    words = ["write", str(run.path), "--prompt", str(path), "--length", "24", "--out", str(tmp_path / "on")]
    assert main(words) == 0 and str(tmp_path / "on.mid") in capsys.readouterr().out
    score = symusic.Score(str(tmp_path / "on.mid")).resample(4, min_dur=1)
    heard = {(voice, each.pitch, each.time) for voice, track in enumerate(score.tracks) for each in track.notes}
    begun = {each[:3] for each in notes(first)}
    assert begun <= heard and not {each for each in heard - begun if each[2] < len(first)}
    high = np.where(first >= 0, first + 24, first)
    for roll, said in ((high, "the model knows rest to"), (np.full((4, 4), REST), "no notes")):
        path.write_bytes(midi_bytes(roll))
        assert main(words) == 1 and said in capsys.readouterr().err


def test_an_opening_is_notes_for_a_model_of_melodies(tmp_path):
    pytest.importorskip("symusic")
    data = load_data("progressions", {"count": 200, "melody": 4})
    path = tmp_path / "opening.mid"
    path.write_bytes(midi_bytes(np.array([[76], *[[HOLD]] * 7, [74], *[[HOLD]] * 7])))
    names, found = data.item.names, opening(path, data.item)
    assert [names[each] for each in found[:, 0]] == ["76", "74"]
    assert [names[data.item.sizes[0] + each] for each in found[:, 1]] == ["2", "2"]
    path.write_bytes(midi_bytes(np.array([[76], *[[HOLD]] * 4])))
    with pytest.raises(ValueError, match=r"durations in beats 1\.25, and the model knows"):
        opening(path, data.item)
