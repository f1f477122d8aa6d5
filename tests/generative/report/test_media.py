import io
import wave

import cv2
import numpy as np
import pytest

from generative import ComponentError
from generative.data import Field
from generative.data.music.rolls import HOLD, REST, struck
from generative.report.media import MEDIA, RATE, Medium, medium_of, wav_bytes
from generative.report.pages import data_url, media_type
from generative.report.score import RATE as STEPS
from generative.report.score import midi_bytes, roll_picture, synthesised
from generative.report.trained import render_run
from tests.scripts.generative.small import finished

ROLL = np.array([[69, -1], [69, -1], [-1, 57], [81, 57]])
FIELD = Field("roll", (4, 2), "int64")


def heard(content):
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767


def loudest(sound):
    """Frequency of the strongest partial in hertz."""
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return power.argmax() * RATE / len(sound)


def test_a_note_sounds_at_its_pitch_in_its_time_and_a_rest_is_silent():
    step = round(RATE / STEPS)
    for pitch, hertz in ((69, 440.0), (81, 880.0), (57, 220.0)):
        sound = synthesised(np.array([[REST], [pitch], [HOLD], [REST]]), RATE)
        assert loudest(sound[step : 3 * step]) == pytest.approx(hertz, rel=0.02)
        assert not sound[:step].any() and not sound[3 * step :].any() and 0.1 < np.abs(sound).max() <= 1
    assert np.abs(synthesised(struck(np.tile([60, 64, 67, 72], (8, 1))), RATE)).max() <= 1


def test_a_grid_of_quarter_notes_sounds_at_the_same_speed():
    roll = np.array([[69], [HOLD]])
    whole, quarters = (len(synthesised(roll, RATE, steps)) for steps in (STEPS, STEPS / 4))
    assert quarters - whole == round(6 * RATE / STEPS)
    coarse = Field("roll", (2, 1), "int64", ("rest", "hold", "69"), (3,), STEPS / 4)
    files = MEDIA.find("score").files(np.array([[[2], [1]]]), coarse)
    assert len(heard(files[".wav"])) == quarters and files[".mid"] == midi_bytes(roll, STEPS / 4)
    assert midi_bytes(roll, STEPS / 4) == midi_bytes(np.array([[69], *[[HOLD]] * 7]))


def test_rolls_in_a_row_and_notes_are_scores_too():
    names = ("rest", "hold", "60", "62")
    roll = np.array([[[2, 3], [1, 0], [2, 1]]])
    as_rolls = MEDIA.find("score").files(roll, Field("roll", (3, 2), "int64", names, (4,), STEPS))
    assert MEDIA.find("score").files(roll.reshape(1, 6), Field("roll", (3, 2), "int64", names, (4,), STEPS)) == as_rolls
    field = Field("notes", (3, 2), "int64", ("rest", "60", "0.25", "0.5"), (2, 2), STEPS / 4)
    melody = MEDIA.find("score").files(np.array([[[1, 1], [0, 0], [1, 0]]]), field)
    assert melody[".mid"] == midi_bytes(np.array([[60], [HOLD], [REST], [60]]))


def test_a_score_shows_time_from_left_to_right_and_high_notes_above():
    picture = roll_picture([struck(ROLL)])
    red = (picture == (196, 52, 48)).all(2)
    rows, columns = np.nonzero(red)
    first, last = rows[columns < picture.shape[1] // 2], rows[columns >= picture.shape[1] // 2]
    assert last.max() < first.min()  # 81 comes after 69 and lies above it
    assert roll_picture([np.full((4, 1), -1)]).std() > 0  # silence has a picture too


def test_every_medium_makes_files_that_a_page_can_show():
    frames = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    letters = Field("tokens", (3,), "int64", ("a", "b"), (2,))
    made = {
        "picture": MEDIA.find("picture").files(frames[0], FIELD),
        "film": MEDIA.find("film").files(frames, FIELD),
        "text": MEDIA.find("text").files(np.array([[0, 1, 1], [1, 0, 0]]), letters),
        "score": MEDIA.find("score").files(ROLL[None], FIELD),
        "sound": MEDIA.find("sound").files(np.sin(np.arange(2000) / 10)[None], FIELD),
    }
    assert set(made) == set(MEDIA.names())
    assert {name: set(files) for name, files in made.items()} == {
        "picture": {".png"}, "film": {".webm"}, "text": {".txt"}, "score": {".png", ".wav", ".mid"}, "sound": {".wav"},
    }  # fmt: skip
    assert made["text"][".txt"] == b"abb\n\nbaa\n"
    assert (cv2.imdecode(np.frombuffer(made["picture"][".png"], np.uint8), 1)[..., ::-1] == frames[0]).all()
    for files in made.values():
        assert all(media_type(content, ending) for ending, content in files.items() if ending != ".txt")
    assert np.abs(heard(made["sound"][".wav"])[:2000] - np.sin(np.arange(2000) / 10)).max() < 1e-3
    assert heard(wav_bytes(np.array([2.0, -3.0]))).tolist() == [1, -1]


def test_a_model_says_its_medium_or_the_field_does():
    class Filmed:
        medium = "film"

    image = Field("image", (8, 8, 1), "uint8")
    assert medium_of(Filmed(), image) == "film" and medium_of(object(), image) == "picture"
    assert medium_of(object(), FIELD) == "score" and medium_of(object(), Field("tokens", (3,), "int64")) == "text"
    with pytest.raises(ComponentError, match=r"media.odd: must be a Medium"):
        MEDIA.add("odd", 3)  # type: ignore[arg-type]
    assert isinstance(MEDIA.find("score"), Medium)


def test_a_report_shows_whatever_lies_in_the_folder_of_samples(tmp_path):
    run = finished(tmp_path / "run", "pca")
    before = render_run(run)
    assert "<audio" not in before and "download=" not in before and "<video" not in before
    files = dict(MEDIA.find("score").files(ROLL[None], FIELD))
    frames = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    files |= MEDIA.find("film").files(frames, FIELD)
    for ending, content in files.items():
        (run.path / "samples" / f"00000009{ending}").write_bytes(content)
    page = render_run(run)
    assert "<audio controls aria-label=" in page and "download=" in page and "<video" in page
    assert data_url(files[".wav"], "sound") in page
