"""Images that are drawn once: each is kept in a file of the user's cache folder and read from there ever after.

A file belongs to one config and to the very code that draws, by their hash: a change of either begins a new one. Every
image carries a checksum, so one that was never written, or only half, is seen and drawn again. Several processes may
use the same file, as they would all write the same bytes. A folder that cannot be written costs time, nothing else.
"""

import hashlib
import os
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache, cached_property, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Int64, UInt8

from generative.core.cache import cache_folder

Items = Int64[np.ndarray, " N"]
Images = UInt8[np.ndarray, "N H W C"]
LARGEST = 4 * 2**30
"""Bytes of a file; images beyond it are drawn every time."""
_SUM = 4  # bytes of a checksum
_TOGETHER = 256  # images that a process draws before it says so


@runtime_checkable
class Drawn(Protocol):
    """A frozen dataclass of options from which images are drawn."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""

    def draw(self, items: Items) -> Images:
        """Return images by number, each determined by the options and its number alone."""


class Drawings:
    """The images of a config, each drawn when it is first asked for."""

    def __init__(self, config: Drawn) -> None:
        self.config = config
        self._size = int(np.prod(config.shape))

    @cached_property
    def path(self) -> Path:
        """The file they are kept in."""
        name = type(self.config).__name__
        content = f"{name} {self.config!r} {_code()}".encode()
        return cache_folder() / "drawn" / f"{name}-{hashlib.sha256(content).hexdigest()[:20]}.images"

    def __call__(self, items: Items) -> Images:
        """Return images by number."""
        images, places = self._read(items)
        if len(places):
            images[places] = self.config.draw(items[places])
            self._write(items[places], images[places])
        return images

    def missing(self, items: Items) -> Int64[np.ndarray, " M"]:
        """Return the numbers of those that would have to be drawn now and can be kept."""
        wanted = items[(items + 1) * (self._size + _SUM) <= LARGEST]
        parts = np.array_split(wanted, len(wanted) // _TOGETHER + 1)
        return np.concatenate([part[self._read(part)[1]] for part in parts])

    def draw_ahead(self, items: Items, processes: int) -> Iterator[int]:
        """Draw what is missing in several processes; yields the number of images after each few of them."""
        missing = self.missing(items)
        parts = np.array_split(missing, -(-len(missing) // _TOGETHER)) if len(missing) else []
        with ProcessPoolExecutor(processes, get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
            with _hidden_script():
                drawn = pool.map(partial(_draw_part, self.config), parts)
            yield from drawn

    def _read(self, items: Items) -> tuple[Images, Int64[np.ndarray, " M"]]:
        """Return images, and the places among them where there is none yet."""
        images = np.empty((len(items), *self.config.shape), np.uint8)
        try:
            file = self.path.open("rb", buffering=0)
        except OSError:
            return images, np.arange(len(items))
        missing = []
        with file:
            for place, item in enumerate(items.tolist()):
                file.seek(item * (self._size + _SUM))
                kept = file.read(self._size + _SUM)
                if len(kept) == self._size + _SUM and kept[-_SUM:] == _checksum(kept[:-_SUM]):
                    images[place] = np.frombuffer(kept, np.uint8, self._size).reshape(self.config.shape)
                else:
                    missing.append(place)
        return images, np.array(missing, np.int64)

    def _write(self, items: Items, images: Images) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0) as file:
                for item, image in zip(items.tolist(), images, strict=True):
                    start, content = item * (self._size + _SUM), image.tobytes()
                    if start + self._size + _SUM <= LARGEST:
                        file.seek(start)
                        file.write(content + _checksum(content))
        except OSError:
            return  # no room or no right to write: the images are there all the same


@contextmanager
def _hidden_script() -> Iterator[None]:
    """Keep processes that are spawned now from running the script that this one runs: it need not have a main guard."""
    main = sys.modules["__main__"]
    known: dict[str, object] = {name: main.__dict__[name] for name in ("__file__", "__spec__") if name in main.__dict__}
    main.__dict__.update(dict.fromkeys(known))
    try:
        yield
    finally:
        main.__dict__.update(known)


def _draw_part(config: Drawn, items: Items) -> int:
    Drawings(config)(items)
    return len(items)


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_SUM, "little")


@cache
def _code() -> str:
    """Return a digest of all that decides what is drawn beside the config: these modules and the libraries."""
    here = Path(__file__).parent
    digest = hashlib.sha256(f"{cv2.__version__} {np.__version__}".encode())
    for path in sorted([*here.glob("*.py"), here.parent / "draws.py"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()
