"""Frames as files a browser opens: WebM films, panels side by side, contact sheets, PNG.

Films are VP8 in WebM: free, played by every current browser without a plug-in, and written by the FFmpeg
inside OpenCV's wheel, so nothing has to be installed. Where an OpenCV is built without that encoder, the same
frames become an animated WebP. Pixels are enlarged by nearest neighbour, never smoothed: a 64 x 64 frame
should look like what the model sees.
"""

import os
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from worldmodels.files import write_bytes

_BACKGROUND = (255, 255, 255)
_INK = (31, 36, 48)
_CAPTION_HEIGHT = 26
_GAP = 4
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_stderr_lock = threading.Lock()


def write_webm(path: Path, frames: Iterable[UInt8[np.ndarray, "H W 3"]], fps: float | int) -> Path:
    """Write RGB frames as a VP8 film and return the file written: `path`, or its `.webp` (see module).

    Frames are read one at a time, so a generator costs no memory. An odd height or width is padded by
    repeating the last row or column, as the format needs even ones. An existing file is replaced only by a
    complete film.

    Raises:
        ValueError: no frames, a frame of another shape or type than the first, fps <= 0, suffix other than
            `.webm`.
    """
    path = Path(path)
    if path.suffix != ".webm":
        raise ValueError(f"path={path.name}: the film is WebM; end the name in .webm")
    frames = _checked_frames(frames, fps)
    first = next(frames)
    temporary = _temporary(path)
    height, width = first.shape[0] + first.shape[0] % 2, first.shape[1] + first.shape[1] % 2
    with _silent_ffmpeg():
        writer = cv2.VideoWriter(
            str(temporary), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"VP80"), float(fps), (width, height)
        )
    try:
        if not writer.isOpened():
            return write_animation(path.with_suffix(".webp"), chain([first], frames), fps)
        for frame in chain([first], frames):
            writer.write(cv2.cvtColor(_to_even(frame), cv2.COLOR_RGB2BGR))
        writer.release()
        if not temporary.exists() or temporary.stat().st_size == 0:
            raise OSError(f"{path}: the encoder wrote nothing; is the disk full?")
        os.replace(temporary, path)
    finally:
        writer.release()
        temporary.unlink(missing_ok=True)
    return path


def write_animation(path: Path, frames: Iterable[UInt8[np.ndarray, "H W 3"]], fps: float | int) -> Path:
    """Write RGB frames as a lossless animated WebP that loops for ever, and return `path`.

    Raises:
        ValueError: no frames, a frame of another shape or type than the first, fps <= 0, suffix other than
            `.webp`.
    """
    path = Path(path)
    if path.suffix != ".webp":
        raise ValueError(f"path={path.name}: the animation is WebP; end the name in .webp")
    images = (Image.fromarray(frame) for frame in _checked_frames(frames, fps))
    first = next(images)
    temporary = _temporary(path)
    try:
        first.save(temporary, save_all=True, append_images=images, duration=round(1000 / fps), loop=0, lossless=True)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def png_bytes(image: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """Encode an RGB image as PNG."""
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def as_rgb(frames: UInt8[np.ndarray, "*T H W C"]) -> UInt8[np.ndarray, "*T H W 3"]:
    """Return frames of one or three channels as RGB."""
    return frames if frames.shape[-1] == 3 else np.repeat(frames[..., :1], 3, axis=-1)


def write_png(path: Path, image: UInt8[np.ndarray, "H W 3"]) -> None:
    """Write an RGB image as PNG; the file appears whole or not at all."""
    write_bytes(Path(path), png_bytes(image))


def side_by_side(
    frames: Sequence[UInt8[np.ndarray, "_ _ 3"]], labels: Sequence[str], scale: int = 4, text: float = 0.5
) -> UInt8[np.ndarray, "H W 3"]:
    """Put RGB frames next to each other, each `scale` times as large under its label; sizes may differ.

    A label may have several lines; `text` is the size of its letters, which shrink where a line is too long.

    Raises:
        ValueError: no frames, not one label per frame, or scale < 1.
    """
    if not frames or len(frames) != len(labels):
        raise ValueError(f"{len(labels)} labels for {len(frames)} frames: give one label per frame, at least one")
    panels = [_enlarge(frame, scale) for frame in frames]
    for number, label in enumerate(labels):
        for line in reversed(label.split("\n")):
            panels[number] = _with_caption(panels[number], line, text)
    return _beside(panels)


def outlined(frame: UInt8[np.ndarray, "H W 3"], color: tuple[int, int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """Return a copy of a frame whose outermost pixels have a colour."""
    marked = frame.copy()
    marked[[0, -1]] = marked[:, [0, -1]] = color
    return marked


def titled(image: UInt8[np.ndarray, "_ W 3"], *lines: str) -> UInt8[np.ndarray, "_ W 3"]:
    """Put lines of text above an image."""
    for line in reversed(lines):
        image = _with_caption(image, line)
    return image


def episode_caption(seed: int, episode_return: float | int, steps: int) -> str:
    """The line over an episode's row in a contact sheet."""
    return f"seed {seed}   return {episode_return:.1f}   {steps} steps"


def contact_sheet(
    episodes_frames: Sequence[UInt8[np.ndarray, "_ _ _ 3"]],
    captions: Sequence[str],
    columns: int = 8,
    scale: int = 2,
) -> UInt8[np.ndarray, "H W 3"]:
    """Show each episode (T H W 3) as a captioned row of evenly spaced frames, its first and last included.

    An episode with fewer frames than columns gets a shorter row.

    Raises:
        ValueError: no episodes or an empty one, not one caption per episode, columns < 1 or scale < 1.
    """
    if not episodes_frames or len(episodes_frames) != len(captions):
        raise ValueError(f"{len(captions)} captions for {len(episodes_frames)} episodes: give one each, at least one")
    if columns < 1:
        raise ValueError(f"columns={columns}: need at least one frame per episode")
    rows = []
    for frames, caption in zip(episodes_frames, captions, strict=True):
        if len(frames) == 0:
            raise ValueError(f"episode {caption!r} has no frames: leave it out")
        chosen = np.unique(np.linspace(0, len(frames) - 1, columns).round().astype(int))
        rows.append(_with_caption(_beside([_enlarge(frames[index], scale) for index in chosen]), caption))
    width = max(row.shape[1] for row in rows)
    return np.concatenate([_padded(row, row.shape[0] + _GAP, width) for row in rows])


def _checked_frames(frames: Iterable[np.ndarray], fps: float | int) -> Iterator[np.ndarray]:
    """The same frames, each compared with the first; fps and the first frame are checked at once."""
    if not fps > 0:
        raise ValueError(f"fps={fps}: frames per second must be positive")
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError("no frames: a film needs at least one")
    if first.dtype != np.uint8 or first.ndim != 3 or first.shape[2] != 3 or 0 in first.shape:
        raise ValueError(f"frame of {first.dtype} {first.shape}: need uint8 RGB (H, W, 3)")

    def checked() -> Iterator[np.ndarray]:
        for index, frame in enumerate(chain([first], frames)):
            if frame.shape != first.shape or frame.dtype != np.uint8:
                raise ValueError(
                    f"frame {index} is {frame.dtype} {frame.shape}, the first uint8 {first.shape}: "
                    "all frames of a film have one size"
                )
            yield frame

    return checked()


def _temporary(path: Path) -> Path:
    """A name in the same folder, as os.replace cannot cross disks, with the suffix that tells the encoder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.stem}.{os.getpid()}.{threading.get_ident()}{path.suffix}")


@contextmanager
def _silent_ffmpeg() -> Iterator[None]:
    """Keep FFmpeg's remarks off the terminal while a film is opened.

    OpenCV's C code writes "tag ... is not supported" straight to file descriptor 2 although VP8 in WebM
    works, and offers no switch. So the descriptor points to a file for these milliseconds; what others wrote
    meanwhile is passed on.
    """
    with _stderr_lock, tempfile.TemporaryFile() as captured:
        if sys.stderr is not None:
            sys.stderr.flush()
        terminal = os.dup(2)
        try:
            os.dup2(captured.fileno(), 2)
            yield
        finally:
            os.dup2(terminal, 2)
            captured.seek(0)
            for line in captured:
                if b"FFMPEG" not in line and b"VIDEOIO" not in line and b"cap_ffmpeg" not in line:
                    os.write(terminal, line)
            os.close(terminal)


def _to_even(frame: np.ndarray) -> np.ndarray:
    return np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")


def _enlarge(frame: np.ndarray, scale: int) -> np.ndarray:
    if scale < 1:
        raise ValueError(f"scale={scale}: panels are enlarged by a whole number, at least 1")
    return frame.repeat(scale, axis=0).repeat(scale, axis=1)  # nearest neighbour


def _padded(image: np.ndarray, height: int, width: int) -> np.ndarray:
    canvas = np.empty((height, width, 3), dtype=np.uint8)
    canvas[:] = _BACKGROUND
    canvas[: image.shape[0], : image.shape[1]] = image
    return canvas


def _beside(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Panels from left to right on a white ground, `_GAP` pixels apart, tops aligned."""
    height = max(panel.shape[0] for panel in panels)
    gapped = [_padded(panel, height, panel.shape[1] + _GAP) for panel in panels[:-1]]
    return np.concatenate([*gapped, _padded(panels[-1], height, panels[-1].shape[1])], axis=1)


def _with_caption(image: np.ndarray, caption: str, size: float = 0.5) -> np.ndarray:
    """The image under a line of text, which shrinks until it fits the width."""
    height, thickness = round(2 * size * _CAPTION_HEIGHT), 1 + (size > 0.7)
    width, _ = cv2.getTextSize(caption, _FONT, size, thickness)[0]
    size *= min(1.0, (image.shape[1] - 2) / max(width, 1))
    band = _padded(np.empty((0, 0, 3), np.uint8), height, image.shape[1])
    cv2.putText(band, caption, (1, height - round(height / 3)), _FONT, size, _INK, thickness, cv2.LINE_AA)
    return np.concatenate([band, image])
