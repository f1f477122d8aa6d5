import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from generative import ComponentError
from generative.data import check_data, load_data
from generative.data.music.pieces import Piece, Windows, music_data
from generative.data.music.rolls import HOLD, REST, notes, sounding, struck, unnumbered
from generative.data.origin import Origin
from generative.report.score import midi_bytes


def pieces(count: int = 12, steps: int = 80, upbeat: int = 4) -> list[Piece]:
    """Two voices, of which the first strikes a note every second step."""
    generator = np.random.default_rng(0)
    found = []
    for number in range(count):
        roll = np.full((steps, 2), HOLD)
        roll[::2, 0] = generator.integers(60, 72, steps // 2)
        roll[::8, 1] = generator.integers(40, 52, steps // 8)
        found.append(Piece(str(number), roll, upbeat, style="ab"[number % 2]))
    return found


def rolls(data):
    return [unnumbered(each, data.item.names) for each in data.get("roll", np.arange(len(data)))]


def test_windows_begin_at_bars_and_whole_pieces_are_held_out():
    made = pieces()
    data = music_data("mine", made, Windows(bars=2), Origin())
    check_data(data, batch=4, names=tuple(data.fields))
    seen = []
    for part in (data, data.held_out()):
        places, labels = part.get("place", np.arange(len(part))), part.get("label", np.arange(len(part)))
        assert set((places[:, 0] % 16).tolist()) == {4} and set(places[:, 1].tolist()) == {80}
        of = [next(each for each in made if (sounding(each.roll)[first : first + 32] == sounding(roll)).all())
              for roll, first in zip(rolls(part), places[:, 0].tolist(), strict=True)]  # fmt: skip
        assert [data.names("label")[each] for each in labels] == [each.style for each in of]
        seen.append({each.name for each in of})
    assert not seen[0] & seen[1] and len(seen[0] | seen[1]) == 12
    assert len(data) == 3 * len(seen[0]) and len(data.held_out()) == 2 * len(seen[1])  # a bar, or two, apart
    tokens = data.get("tokens", np.arange(3))
    assert (tokens.reshape(3, 32, 2) == data.get("roll", np.arange(3))).all()


def test_a_note_that_goes_on_into_a_window_begins_with_it():
    roll = np.full((64, 1), HOLD)
    roll[[0, 17]] = [[60], [62]]
    data = music_data("mine", [Piece(str(each), roll, held_out=bool(each)) for each in range(2)], Windows(1), Origin())
    found = rolls(data)
    assert found[1][:2, 0].tolist() == [60, 62] and found[2][:2, 0].tolist() == [62, HOLD]


def test_pieces_come_in_other_keys_in_training_alone():
    plain, data = (music_data("mine", pieces(), Windows(transpose=each), Origin()) for each in (0, 2))
    assert len(data) == 5 * len(plain) and len(data.held_out()) == len(plain.held_out())
    for shift, found in enumerate(rolls(data)[:5], -2):
        first = rolls(plain)[0]
        assert (found == np.where(first >= 0, first + shift, first)).all()
    assert (np.stack(rolls(data.held_out())) == np.stack(rolls(plain.held_out()))).all()


@pytest.mark.parametrize("options", [{"bars": 2}, {"bars": 1}, {"bars": 3, "transpose": 1}])
def test_what_windows_share_is_first_seen_once(options):
    made = [replace(each, held_out=int(each.name) % 4 == 0) for each in pieces()]
    data = music_data("mine", made, Windows(**options), Origin())
    keys = range(-options.get("transpose", 0), options.get("transpose", 0) + 1)
    assert data.first_seen is not None and data.first_seen(data.held_out().items).all()
    seen = data.first_seen(data.items)
    for place, key in enumerate(keys):
        windows = zip(rolls(data)[place :: len(keys)], seen[place :: len(keys)], strict=True)
        found = np.concatenate([sounding(roll)[rows] for roll, rows in windows])
        whole = np.concatenate([sounding(each.roll)[4:68] for each in made if not each.held_out])
        assert (found == whole + key).all()


def test_what_melodies_share_is_first_seen_once():
    made = [replace(each, held_out=int(each.name) % 4 == 0) for each in pieces()]
    data = music_data("mine", made, Windows(melody=8), Origin())
    assert data.first_seen is not None and data.first_seen(data.held_out().items).all()
    notes_ = data.get("notes", np.arange(len(data)))[data.first_seen(data.items)]
    whole = np.concatenate([each.roll[::2, 0] for each in made if not each.held_out])
    assert [int(data.item.names[each]) for each in notes_[:, 0]] == whole.tolist()


@pytest.mark.parametrize("lift", [55, -38])
def test_a_key_beyond_midi_is_refused(lift):
    made = [replace(each, roll=np.where(each.roll >= 0, each.roll + lift, each.roll)) for each in pieces()]
    heard = np.concatenate([each.roll[each.roll >= 0] for each in made])
    most = min(int(heard.min()), 127 - int(heard.max()))
    names = music_data("mine", made, Windows(transpose=most), Origin()).item.names
    assert {"0", "127"} & set(names) and all(0 <= int(name) <= 127 for name in names if name.isdecimal())
    with pytest.raises(ComponentError, match=f"give {most} or less"):
        music_data("mine", made, Windows(transpose=most + 1), Origin())
    if lift > 0:
        with pytest.raises(ComponentError, match="transpose=11: the pieces have pitches"):
            music_data("mine", made, Windows(transpose=11, melody=4), Origin())
    silent = [Piece(str(each), np.full((80, 2), REST), held_out=bool(each)) for each in range(2)]
    with pytest.raises(ComponentError, match="nothing sounds"):
        music_data("mine", silent, Windows(), Origin())


def test_without_repeats_there_are_no_holds_and_a_coarser_grid_is_shorter():
    data = music_data("mine", pieces(), Windows(steps=1, repeats=False), Origin())
    assert data.item.shape == (8, 2) and "hold" not in data.item.names and data.item.rate == 1.25
    fine = music_data("mine", pieces(), Windows(), Origin())
    assert fine.item.rate == 5 and (sounding(rolls(fine)[0])[::4] == sounding(rolls(data)[0])).all()


def test_a_melody_is_pitches_and_durations_of_the_first_voice():
    roll = np.array([60, HOLD, REST, REST, 62, *[HOLD] * 3, 62] * 4)[:, None]
    data = music_data("mine", [Piece(str(each), roll, held_out=bool(each)) for each in range(2)], Windows(melody=4),
                      Origin())  # fmt: skip
    assert data.item.names == ("rest", "60", "61", "62", "0.25", "0.5", "1") and data.item.sizes == (4, 3)
    assert data.get("notes", np.arange(1))[0].tolist() == [[1, 1], [0, 1], [3, 2], [3, 0]]


def test_pieces_on_one_melody_are_in_one_part():
    roll = pieces(1)[0].roll
    other = np.where(roll >= 0, roll + 3, roll)
    other[:, 1] = REST
    assert Piece("a", roll).digest == Piece("b", other).digest != pieces(2)[1].digest
    with pytest.raises(ComponentError, match="mine: 2 pieces of one melody"):
        music_data("mine", [Piece("a", roll), Piece("b", other)], Windows(), Origin())


@pytest.mark.parametrize("options", [{"bars": 0}, {"steps": 3}, {"transpose": 12}, {"melody": -1}])
def test_a_senseless_option_is_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        Windows(**options)
    with pytest.raises(ComponentError, match=r"no piece to .* is as long as bars=9"):
        music_data("mine", pieces(), Windows(bars=9), Origin())


def test_json_chorales_keep_their_test_set(tmp_path):
    generator = np.random.default_rng(0)
    chords = [[sorted(generator.integers(40, 80, 4).tolist())[::-1] for _ in range(16)] for _ in range(5)]
    chords[0][0] = [60, 50]
    path = tmp_path / "jsb.json"
    path.write_text(json.dumps({"train": chords[:3], "valid": chords[3:4], "test": chords[4:]}))
    data = load_data("json-chorales", {"path": str(path), "bars": 4})
    assert (len(data), len(data.held_out())) == (4, 1) and data.origin.files.keys() == {"jsb.json"}
    assert sounding(rolls(data)[0])[:2].tolist() == [[60, 50, REST, REST], chords[0][1]]
    assert sounding(rolls(data.held_out())[0]).tolist() == chords[4]
    for content, said in (
        ("[]", "no pieces"), ('{"train": [], "test": []}', "no pieces"), ("[[1, 2]]", "no lists of chords"),
        ("[[[1, 2, 3, 4, 5]]]", "voices=4"), ("x", "no lists"),
    ):  # fmt: skip
        path.write_text(content)
        with pytest.raises(ComponentError, match=said):
            load_data("json-chorales", {"path": str(path)})
    with pytest.raises(ComponentError, match="path=''"):
        load_data("json-chorales")
    with pytest.raises(ValueError, match="repeats=True"):
        load_data("json-chorales", {"repeats": True})


def test_a_folder_of_midi_files_is_read_with_its_styles(tmp_path):
    pytest.importorskip("symusic")
    for number, piece in enumerate(pieces(6, steps=64, upbeat=0)):
        path = tmp_path / "ab"[number % 2] / f"{number}.mid"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(midi_bytes(piece.roll))
    (tmp_path / "bad.mid").write_bytes(b"no music")
    data = load_data("midi", {"path": str(tmp_path), "voices": 2, "bars": 4})
    assert data.names("label") == ("a", "b") and data.origin.left_out == {"not a MIDI file": ("bad.mid",)}
    known = [each.roll.tolist() for each in pieces(6, steps=64)]
    assert len(data) + len(data.held_out()) == 6 and all(each.tolist() in known for each in rolls(data))
    shared = load_data("midi", {"path": str(tmp_path), "voices": 3, "bars": 4})
    want = sorted(each[1:] for each in notes(rolls(data)[0]))
    assert sorted(each[1:] for each in notes(rolls(shared)[0])) == want  # in other voices, none of them lost
    alone = load_data("midi", {"path": str(tmp_path), "voices": 1, "bars": 4})
    assert "beyond 1 voices" in alone.origin.lines()[1]
    (tmp_path / "empty").mkdir()
    (tmp_path / "worse").mkdir()
    (tmp_path / "worse" / "bad.mid").write_bytes(b"no music")
    wrong = {
        "": "no such folder",
        "none": "no such folder",
        "empty": "with notes; give",
        "worse": r"\(not a MIDI file: 1",
    }
    for path, said in ((name and str(tmp_path / name), said) for name, said in wrong.items()):
        with pytest.raises(ComponentError, match=said):
            load_data("midi", {"path": path})


def test_chorales_are_read_once_and_kept(tmp_path, monkeypatch):
    music21 = pytest.importorskip("music21")
    from generative.data.music import chorales

    names = ("bwv1.6.mxl", "bwv101.7.mxl", "bwv11.6.mxl")
    files = [each for each in chorales._files(Path(music21.__file__).parent) if each.name in names]
    monkeypatch.setenv("GENERATIVE_CACHE", str(tmp_path))
    monkeypatch.setattr(chorales, "_files", lambda package: files)
    chorales.chorales.cache_clear()
    data = load_data("chorales", {"bars": 4})
    assert data.origin.left_out == {"not in 4/4": ("bwv11.6.mxl",)} and data.names("label") == ("major", "minor")
    monkeypatch.setattr(chorales, "parsed", None)  # what is kept needs no parser
    chorales.chorales.cache_clear()
    found, _ = chorales.chorales()
    chorales.chorales.cache_clear()
    known = [("bwv1.6", 4, "major"), ("bwv101.7", 4, "minor")]
    assert [(each.name, each.upbeat, each.style) for each in found] == known
    melody = [(each.pitch, each.steps) for each in notes(found[0].roll[:, :1])][:6]
    assert melody == [(65, 4), (72, 4), (69, 4), (65, 4), (72, 4), (74, 4)]  # "How lovely shines the morning star"
    assert (struck(sounding(found[0].roll)) != found[0].roll).any()  # it has notes that are struck again


def test_without_the_extra_one_line_says_what_to_install(monkeypatch, tmp_path):
    import importlib.util
    import sys

    from generative.data.music import chorales

    chorales.chorales.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "symusic", None)
    (tmp_path / "a.mid").write_bytes(b"MThd")
    for name, options in (("chorales", {}), ("midi", {"path": str(tmp_path)})):
        with pytest.raises(ComponentError, match=r"needs symusic and music21; pip install -e '\.\[music\]'"):
            load_data(name, options)
