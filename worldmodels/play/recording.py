"""What is recorded of a drive: its frames side by side, as a film."""

from collections.abc import Iterator, Mapping
from typing import Literal, get_args

import numpy as np
from jaxtyping import UInt8

from generative.report.images import as_rgb, side_by_side
from generative.report.video import can_write, film_bytes, gif_bytes

LONGEST = 1500
"""Frames that are kept, a minute at 25 a second; later ones are dropped."""

Format = Literal["webm", "mp4", "gif"]
LABELS = {"dream": "dream", "real": "real", "dream_expected": "expected in the dream", "real_expected": "expected"}
SCALE = {"webm": 4, "mp4": 4, "gif": 2}


def formats() -> list[str]:
    """Return what films can be saved as here: all, or all but those that this PyAV has no encoder for."""
    return [kind for kind in get_args(Format) if kind == "gif" or can_write(kind)]


class DriveFilm:
    """Frames since recording began."""

    def __init__(self) -> None:
        self.on = False
        self._frames: list[dict[str, np.ndarray]] = []

    def __len__(self) -> int:
        return len(self._frames)

    def start(self) -> None:
        """Forget what was recorded, and record from now on."""
        self.on, self._frames = True, []

    def stop(self) -> None:
        """Record no more; what is recorded stays."""
        self.on = False

    def add(self, frames: Mapping[str, UInt8[np.ndarray, "H W C"]]) -> None:
        """Record what is seen, if recording is on and the film is not full."""
        if self.on and len(self._frames) < LONGEST:
            self._frames.append(dict(frames))

    def content(self, kind: str, fps: float) -> bytes:
        """Return the film.

        Args:
            kind: webm, mp4 or gif.
            fps: frames that make a second.

        Raises:
            ValueError: nothing is recorded, or there is no such kind here.
        """
        if kind not in formats():
            raise ValueError(f"format={kind!r}: choose {' or '.join(formats())}")
        if not self._frames:
            raise ValueError("nothing is recorded: start recording and drive, then ask for the film")
        if kind == "gif":
            return gif_bytes(np.stack(list(self._panels(SCALE["gif"]))), min(fps, 50))
        return film_bytes(self._panels(SCALE[kind]), fps, kind)

    def _panels(self, scale: int) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        """Yield frames side by side, with the columns that most of the film has; what a frame lacks stays black."""
        columns = max((tuple(frames) for frames in self._frames), key=len)
        for frames in self._frames:
            missing = np.zeros_like(as_rgb(next(iter(frames.values()))))
            panels = [as_rgb(frames[name]) if name in frames else missing for name in columns]
            yield side_by_side(panels, [LABELS[name] for name in columns], scale, 0.4)
