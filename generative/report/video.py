"""Frames as films: VP9 in WebM, which every current browser plays, H.264 in MP4 for programs that do not, and GIF."""

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import cast

import av
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from generative.core.files import write_bytes

CODEC = "libvpx-vp9"
QUALITY = {"crf": "26", "b": "0", "deadline": "good", "cpu-used": "5"}
"""A constant quality at which a film of 600 x 400 pixels takes about 25 kB a second."""
MP4_CODEC, MP4_QUALITY = "libx264", {"crf": "22", "preset": "medium"}
"""The same of MP4."""
BT601 = 5
"""FFmpeg's number of the colour matrix that turns RGB into the film's planes; a browser would have to guess it."""


def write_webm(path: Path, frames: Iterable[UInt8[np.ndarray, "H W 3"]], fps: float | int) -> None:
    """Write RGB frames as a film; the file appears whole or not at all.

    Raises:
        ValueError: as `webm_bytes`, or a suffix other than `.webm`.
    """
    path = Path(path)
    if path.suffix != ".webm":
        raise ValueError(f"path={path.name}: the film is WebM; end the name in .webm")
    write_bytes(path, webm_bytes(frames, fps))


def can_write(kind: str) -> bool:
    """Return whether this PyAV has the encoder for a kind of film, `webm` or `mp4`."""
    try:
        av.Codec(_encoder(kind)[0], "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def webm_bytes(frames: Iterable[UInt8[np.ndarray, "H W 3"]], fps: float | int) -> bytes:
    """Return RGB frames as WebM; see `film_bytes`."""
    return film_bytes(frames, fps, "webm")


def film_bytes(frames: Iterable[UInt8[np.ndarray, "H W 3"]], fps: float | int, kind: str) -> bytes:
    """Return RGB frames as a film, `webm` or `mp4`; the same frames give the same bytes of WebM.

    Frames are read one at a time, so a generator costs no memory. An odd height or width is padded by repeating the
    last row or column, as the format needs even ones.

    Raises:
        ValueError: no frames, a frame of another shape or type than the first, or fps not above 0.
        RuntimeError: PyAV was built without the encoder.
    """
    frames = _checked(frames, fps)
    first = next(frames)
    file = io.BytesIO()
    codec, quality = _encoder(kind)
    try:
        with av.open(file, "w", format=kind, options={"fflags": "+bitexact"}) as container:  # no random ids
            stream = cast(
                av.VideoStream,
                container.add_stream(codec, rate=Fraction(fps).limit_denominator(1000), options=quality),
            )
            stream.height, stream.width = (side + side % 2 for side in first.shape[:2])
            stream.pix_fmt = "yuv420p"
            stream.codec_context.colorspace = BT601
            stream.codec_context.thread_count = 1  # the same bytes on every machine
            for frame in chain([first], frames):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(_to_even(frame), format="rgb24")))
            container.mux(stream.encode())
    except av.codec.codec.UnknownCodecError as error:
        raise RuntimeError(f"this PyAV has no encoder {codec}: install the wheel with `pip install av`") from error
    return file.getvalue()


def _encoder(kind: str) -> tuple[str, dict[str, str]]:
    return {"webm": (CODEC, QUALITY), "mp4": (MP4_CODEC, MP4_QUALITY)}[kind]


def _checked(frames: Iterable[np.ndarray], fps: float | int) -> Iterator[np.ndarray]:
    """Return the same frames, each compared with the first; fps and the first frame are checked at once."""
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


def _to_even(frame: np.ndarray) -> np.ndarray:
    return np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")


def gif_bytes(frames: UInt8[np.ndarray, "T H W C"], fps: float | int = 12) -> bytes:
    """Return frames as a GIF that loops for ever, with one palette for all of them.

    Raises:
        ValueError: no frames, fps not above 0 or beyond the 50 that browsers show, or not 1 or 3 channels.
    """
    if not len(frames):
        raise ValueError("frames: none; a GIF needs at least one")
    if not 0 < fps <= 50:
        raise ValueError(f"fps={fps}: GIF counts in hundredths of a second; give more than 0, up to 50")
    if frames.shape[-1] not in (1, 3):
        raise ValueError(f"frames with {frames.shape[-1]} channels: give 1 or 3")
    colour = [Image.fromarray(np.repeat(each, 3 // each.shape[-1], axis=-1)) for each in frames]
    # A palette for each frame would make still parts flicker.
    every = Image.fromarray(np.concatenate([np.asarray(each) for each in colour[:: max(1, len(colour) // 16)]]))
    palette = every.quantize(256, method=Image.Quantize.MEDIANCUT)
    indexed = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in colour]
    file = io.BytesIO()
    indexed[0].save(
        file, "GIF", save_all=True, append_images=indexed[1:], duration=round(1000 / fps), loop=0, optimize=False
    )
    return file.getvalue()
