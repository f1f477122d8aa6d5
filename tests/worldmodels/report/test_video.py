from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageSequence

from worldmodels.report.video import (
    contact_sheet,
    episode_caption,
    png_bytes,
    side_by_side,
    write_animation,
    write_png,
    write_webm,
)

COLOURS = ((220, 30, 30), (30, 200, 30), (30, 30, 220))


def solid(colour: tuple[int, int, int], height: int = 48, width: int = 64) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


def film() -> Iterator[np.ndarray]:
    for index in range(30):
        yield solid(COLOURS[index // 10])


def read_back(path: Path) -> tuple[list[np.ndarray], float]:
    capture = cv2.VideoCapture(str(path))
    frames: list[np.ndarray] = []
    while True:
        there, frame = capture.read()
        if not there:
            return frames, capture.get(cv2.CAP_PROP_FPS)
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def test_webm_reads_back_with_count_colours_and_speed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_webm(tmp_path / "new folder" / "film.webm", film(), fps=25)
    assert capfd.readouterr() == ("", "")  # FFmpeg's remark about the tag stays away
    assert path == tmp_path / "new folder" / "film.webm"
    assert [file.name for file in path.parent.iterdir()] == ["film.webm"]  # no temporary left
    frames, fps = read_back(path)
    assert (len(frames), fps) == (30, 25.0)
    for index, frame in enumerate(frames):
        assert frame.shape == (48, 64, 3)
        assert np.abs(frame.mean((0, 1)) - COLOURS[index // 10]).max() < 12  # lossy, but red is red: not BGR


def test_what_others_write_to_stderr_survives(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import os

    from worldmodels.report.video import _silent_ffmpeg

    with _silent_ffmpeg():
        os.write(2, b"a worker's message\nOpenCV: FFMPEG: tag is not supported\n")
    assert capfd.readouterr().err == "a worker's message\n"


def test_odd_sizes_are_padded_to_even(tmp_path: Path) -> None:
    frames, _ = read_back(write_webm(tmp_path / "odd.webm", [solid(COLOURS[0], 33, 47)] * 3, fps=10))
    assert len(frames) == 3 and frames[0].shape == (34, 48, 3)
    assert frames[0][-1, -1, 0] > 190  # the edge repeats, it is not black


def test_a_failing_source_keeps_the_old_film(tmp_path: Path) -> None:
    path = write_webm(tmp_path / "film.webm", film(), fps=25)
    before = path.read_bytes()

    def breaks() -> Iterator[np.ndarray]:
        yield solid(COLOURS[0])
        raise RuntimeError("the simulator crashed")

    with pytest.raises(RuntimeError, match="crashed"):
        write_webm(path, breaks(), fps=25)
    with pytest.raises(ValueError, match="frame 1 is"):
        write_webm(path, [solid(COLOURS[0]), solid(COLOURS[0], 10, 10)], fps=25)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["film.webm"]


def test_without_the_encoder_an_animation_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def __init__(self, *_: object) -> None: ...

        fourcc = staticmethod(cv2.VideoWriter.fourcc)

        def isOpened(self) -> bool:
            return False

        def release(self) -> None: ...

    monkeypatch.setattr(cv2, "VideoWriter", Closed)
    path = write_webm(tmp_path / "film.webm", film(), fps=25)
    assert path == tmp_path / "film.webp"
    assert [file.name for file in tmp_path.iterdir()] == ["film.webp"]
    with Image.open(path) as image:
        assert image.size == (64, 48)
        colours = [frame.convert("RGB").getpixel((5, 5)) for frame in ImageSequence.Iterator(image)]
    assert list(dict.fromkeys(colours)) == list(COLOURS)


def test_animation_is_lossless_and_keeps_its_speed(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 12, 10, 3), dtype=np.uint8)
    path = write_animation(tmp_path / "film.webp", frames, fps=50)
    with Image.open(path) as image:
        for index, frame in enumerate(frames):
            image.seek(index)
            assert np.array_equal(np.asarray(image.convert("RGB")), frame)
            assert image.info["duration"] == 20
        with pytest.raises(EOFError):
            image.seek(4)


@pytest.mark.parametrize(
    ("frames", "fps", "message"),
    [
        ([], 25, "no frames"),
        ([solid(COLOURS[0])], 0, "fps=0"),
        ([np.zeros((4, 4), np.uint8)], 25, "uint8 RGB"),
        ([np.zeros((4, 4, 3), np.float32)], 25, "uint8 RGB"),
    ],
)
def test_unusable_films_are_refused(tmp_path: Path, frames: list[np.ndarray], fps: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_webm(tmp_path / "film.webm", iter(frames), fps)
    assert not list(tmp_path.iterdir())


def test_suffixes_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"end the name in \.webm"):
        write_webm(tmp_path / "film.mp4", film(), 25)
    with pytest.raises(ValueError, match=r"end the name in \.webp"):
        write_animation(tmp_path / "film.gif", film(), 25)


def test_side_by_side_enlarges_by_nearest_neighbour() -> None:
    checker = np.zeros((2, 2, 3), np.uint8)
    checker[0, 0] = checker[1, 1] = 255
    panels = side_by_side([checker, solid(COLOURS[0], 3, 5)], ["a", "b"], scale=4)
    assert panels.shape == (26 + 12, 8 + 4 + 20, 3)
    assert np.array_equal(panels[26:34, :8], np.kron(checker, np.ones((4, 4, 1), np.uint8)))  # no grey in between
    assert (panels[26:38, 12:] == COLOURS[0]).all()
    assert (panels[34:38, :8] == 255).all()  # the shorter panel leaves white
    with pytest.raises(ValueError, match="1 labels for 2 frames"):
        side_by_side([checker, checker], ["a"])


def test_captions_are_drawn_and_shrink_to_fit() -> None:
    frame = solid((255, 255, 255), 20, 40)
    assert (side_by_side([frame], ["word"])[:26] < 128).any()
    long = side_by_side([frame], ["a very long caption which cannot fit in one hundred and sixty pixels"])
    assert long.shape == (26 + 80, 160, 3)
    assert (long[:26, 80:] < 200).any() and (long[:26, -1] > 200).all()


def test_contact_sheet_shows_evenly_spaced_frames() -> None:
    counter = np.arange(101, dtype=np.uint8)[:, None, None, None] * np.ones((1, 6, 8, 3), np.uint8)
    short = counter[:2] + 200
    sheet = contact_sheet([counter, short], [episode_caption(7, 812.34, 101), "short"], columns=5, scale=2)
    row_height = 26 + 12 + 4
    assert sheet.shape == (2 * row_height, 5 * 16 + 4 * 4, 3)
    assert [int(sheet[30, 8 + 20 * column, 0]) for column in range(5)] == [0, 25, 50, 75, 100]
    assert [int(sheet[row_height + 30, 8 + 20 * column, 0]) for column in range(3)] == [200, 201, 255]
    assert episode_caption(7, 812.34, 101) == "seed 7   return 812.3   101 steps"


def test_contact_sheet_refuses_what_it_cannot_show() -> None:
    frames = np.zeros((3, 4, 4, 3), np.uint8)
    for episodes, captions, columns in (
        ([], [], 4),
        ([frames], [], 4),
        ([frames], ["a"], 0),
        ([frames[:0]], ["a"], 4),
    ):
        with pytest.raises(ValueError):
            contact_sheet(episodes, captions, columns)


def test_png_keeps_every_pixel(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    write_png(tmp_path / "image.png", image)
    with Image.open(tmp_path / "image.png") as read:
        assert np.array_equal(np.asarray(read), image)
    assert (tmp_path / "image.png").read_bytes() == png_bytes(image)
