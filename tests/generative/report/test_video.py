"""Films read back: every frame is there, in order, in its colours, and the same frames give the same bytes."""

import io
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from generative.report import video as module
from generative.report.video import film_bytes, gif_bytes, webm_bytes, write_webm

QUALITY = module.QUALITY
COLOURS = ((220, 30, 30), (30, 200, 30), (30, 30, 220))


@pytest.fixture(autouse=True)
def _as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Films of other tests are rough."""
    monkeypatch.setattr(module, "QUALITY", QUALITY)


def solid(colour: tuple[int, int, int], height: int = 48, width: int = 64) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


def film() -> Iterator[np.ndarray]:
    for index in range(30):
        yield solid(COLOURS[index // 10])


def road(time: int) -> np.ndarray:
    """A grey stripe on green that moves by a pixel a frame."""
    frame = solid((102, 204, 102))
    frame[:, 10 + time : 30 + time] = 105
    return frame


def read_back(content: bytes) -> tuple[list[np.ndarray], float]:
    with av.open(io.BytesIO(content)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        return frames, float(container.streams.video[0].average_rate)


def test_a_film_reads_back_with_count_colours_and_speed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new folder" / "film.webm"
    write_webm(path, film(), fps=12.5)
    assert capfd.readouterr() == ("", "")  # FFmpeg says nothing
    assert [file.name for file in path.parent.iterdir()] == ["film.webm"]  # no temporary left
    frames, fps = read_back(path.read_bytes())
    assert (len(frames), fps) == (30, 12.5)
    for index, frame in enumerate(frames):
        assert frame.shape == (48, 64, 3)
        assert np.abs(frame.mean((0, 1)) - COLOURS[index // 10]).max() < 6  # lossy, but red is red: not BGR


def test_frames_come_back_nearly_as_they_were() -> None:
    originals = [road(time) for time in range(25)]
    frames, _ = read_back(webm_bytes(originals, 25))
    errors = [np.abs(frame.astype(int) - original).mean() for frame, original in zip(frames, originals, strict=True)]
    assert max(errors) < 6  # colours are stored at half the size
    assert np.abs(frames[0].astype(int) - originals[16]).mean() > 12  # another frame is far away


def test_the_same_frames_give_the_same_bytes() -> None:
    assert webm_bytes(film(), 25) == webm_bytes(film(), 25) != webm_bytes(film(), 20)


def test_mp4_is_h264_and_shows_the_same() -> None:
    content = film_bytes(film(), 25, "mp4")
    assert content[4:8] == b"ftyp"
    with av.open(io.BytesIO(content)) as container:
        assert container.streams.video[0].codec_context.name == "h264" and container.streams.video[0].frames == 30
    frames, _ = read_back(content)
    for index, frame in enumerate(frames):
        assert np.abs(frame.mean((0, 1)) - COLOURS[index // 10]).max() < 6


def test_odd_sizes_are_padded_to_even() -> None:
    frames, _ = read_back(webm_bytes([solid(COLOURS[0], 33, 47)] * 3, fps=10))
    assert len(frames) == 3 and frames[0].shape == (34, 48, 3)
    assert frames[0][-1, -1, 0] > 190  # the edge repeats, it is not black


def test_a_failing_source_keeps_the_old_film(tmp_path: Path) -> None:
    path = tmp_path / "film.webm"
    write_webm(path, film(), fps=25)
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


def test_a_missing_encoder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CODEC", "no-such-encoder")
    with pytest.raises(RuntimeError, match="no encoder no-such-encoder: install"):
        webm_bytes(film(), 25)


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


def test_a_film_that_would_be_no_webm_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"end the name in \.webm"):
        write_webm(tmp_path / "film.mp4", film(), 25)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_gif_holds_the_frames_in_order_for_ever(channels):
    frames = np.zeros((5, 16, 24, channels), np.uint8)
    for number, frame in enumerate(frames):
        frame[:, 4 * number : 4 * number + 4] = 255
    with Image.open(io.BytesIO(gif_bytes(frames, fps=10))) as gif:
        assert gif.format == "GIF" and gif.n_frames == 5 and gif.info["loop"] == 0 and gif.info["duration"] == 100
        for frame, stored in zip(frames, ImageSequence.Iterator(gif), strict=True):
            seen = np.asarray(stored.convert("RGB"), np.int16)
            assert np.abs(seen - np.repeat(frame, 3 // channels, -1)).max() < 8


@pytest.mark.parametrize(
    ("frames", "fps", "message"),
    [((0, 4, 4, 3), 10, "none"), ((2, 4, 4, 3), 0, "fps=0"), ((2, 4, 4, 3), 100, "fps=100"), ((2, 4, 4, 2), 9, "2 ch")],
)
def test_what_is_no_gif_is_refused(frames, fps, message):
    with pytest.raises(ValueError, match=message):
        gif_bytes(np.zeros(frames, np.uint8), fps)
