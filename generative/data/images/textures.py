"""Crops of textures and photographs that come with scikit-image: brick, grass and gravel; a cat, a cup and others.

Only those whose makers gave up their rights are read: brick, grass, gravel, the cat and the coffee are CC0, the
astronaut and the rocket in the public domain. Nothing is downloaded and nothing of scikit-image is imported.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Int64, UInt8

from generative.core.options import ComponentError
from generative.data.draws import HELD_OUT_EVERY, uniform
from generative.data.fields import Data
from generative.data.images.source import ImageSource, image_data
from generative.data.origin import Origin, file_digest

FILES = {
    "brick": "brick.png",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "astronaut": "astronaut.png",
    "rocket": "rocket.jpg",
}
"""The three textures are grey, the photographs coloured."""


@dataclass(frozen=True)
class TexturesConfig:
    """Crops of scikit-image's brick, grass and gravel, or of its photographs; the picture is the class."""

    pictures: tuple[str, ...] = ("brick", "grass", "gravel")
    """Which of brick, grass and gravel (grey), cat, coffee, astronaut and rocket (coloured), each equally often."""
    size: int = 64
    """Height and width of a crop in pixels."""
    reduce: int = 1
    """Averages blocks of so many pixels first, for crops that show more."""
    count: int = 20_000
    """Number of crops, a tenth of them held out."""
    seed: int = 0
    """Determines where each crop lies."""

    def __post_init__(self) -> None:
        unknown = [each for each in self.pictures if each not in FILES]
        if unknown or not self.pictures or len(set(self.pictures)) < len(self.pictures):
            raise ValueError(f"pictures={list(self.pictures)}: give some of {', '.join(FILES)}, each once")
        for name in ("size", "reduce"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least 1")
        if self.count < HELD_OUT_EVERY:
            raise ValueError(f"count={self.count}: must be at least {HELD_OUT_EVERY}, as a tenth is held out")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must not be negative; give 0 or more")

    def load(self) -> Data:
        """Return the crops: held-out ones lie in the right quarter of each picture, the others never reach it.

        Raises:
            ComponentError: scikit-image is not installed, or crops do not fit in the quarter that is held out.
        """
        folder = _folder()
        pictures = [self._picture(folder / FILES[name]) for name in self.pictures]
        channels = max(each.shape[2] for each in pictures)
        pictures = [np.repeat(each, channels // each.shape[2], 2) for each in pictures]
        first_held = self.count - self.count // HELD_OUT_EVERY

        def images(items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
            crops = np.empty((len(items), self.size, self.size, channels), np.uint8)
            for crop, item, (which, down, across) in zip(crops, items, uniform(self.seed, items, 3), strict=True):
                picture = pictures[int(which * len(pictures))]
                height, width = picture.shape[:2]
                border = width * 3 // 4
                left, right = (border, width) if item >= first_held else (0, border)
                x = left + int(across * (right - left - self.size + 1))
                y = int(down * (height - self.size + 1))
                crop[:] = picture[y : y + self.size, x : x + self.size]
            return crops

        def labels(items: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " N"]:
            return (uniform(self.seed, items, 1)[:, 0] * len(pictures)).astype(np.int64)

        files = {FILES[name]: file_digest(folder / FILES[name]) for name in self.pictures}
        origin = Origin(str(folder), "pictures", len(files), len(files), files=files)
        shape = (self.size, self.size, channels)
        source = ImageSource(shape, self.count, images, self.pictures, labels, origin=origin)
        return image_data("textures", source, held=np.arange(first_held, self.count))

    def _picture(self, path: Path) -> UInt8[np.ndarray, "H W C"]:
        """Return a whole picture, averaged."""
        stored = _read(path)
        height, width = (length // self.reduce for length in stored.shape[:2])
        if self.size > min(height, width - width * 3 // 4):
            raise ComponentError(
                f"size={self.size}, reduce={self.reduce}: crops do not fit in the quarter of {path.name} that is held "
                f"out ({min(height, width - width * 3 // 4)} pixels); lower one of them"
            )
        whole = np.ascontiguousarray(stored[: height * self.reduce, : width * self.reduce])
        small = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
        return _colours(small)


def whole_picture(name: str) -> UInt8[np.ndarray, "H W C"]:
    """Return one of `FILES` whole, grey or in colour; raise ComponentError without scikit-image."""
    return _colours(_read(_folder() / FILES[name]))


def _read(path: Path) -> UInt8[np.ndarray, "H W ..."]:
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise ComponentError(f"{path}: no such picture, or it is damaged; install scikit-image 0.20 or later anew")
    return stored.astype(np.uint8)


def _colours(stored: UInt8[np.ndarray, "H W ..."]) -> UInt8[np.ndarray, "H W C"]:
    return stored[..., None] if stored.ndim == 2 else stored[..., 2::-1]


def _folder() -> Path:
    """Return where scikit-image keeps its pictures."""
    found = importlib.util.find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        raise ComponentError(
            "textures come with scikit-image, which is not installed; install it with `pip install scikit-image`"
        )
    return Path(next(iter(found.submodule_search_locations))) / "data"
