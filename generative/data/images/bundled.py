"""Real images that come with scikit-learn, so that they are there without a download: digits and two photographs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Int64, UInt8

from generative.core.options import ComponentError
from generative.data.draws import HELD_OUT_EVERY, uniform
from generative.data.fields import Data
from generative.data.images.source import ImageSource, image_data


@dataclass(frozen=True)
class DigitsConfig:
    """1,797 handwritten digits of 8 x 8 pixels (the test part of the UCI optical digits, 13 writers)."""

    size: int = 32
    """Height and width in pixels; 8 keeps the originals, other sizes are interpolated."""

    def __post_init__(self) -> None:
        if self.size < 8:
            raise ValueError(f"size={self.size}: the digits have 8 pixels; give 8 or more, such as 32")

    def load(self) -> Data:
        """Return the digits; raise ComponentError without scikit-learn."""
        bundle = _scikit_learn().load_digits()
        small = np.rint(bundle.images * (255 / 16)).astype(np.uint8)  # stored in 17 steps of grey
        how = cv2.INTER_CUBIC
        images = np.stack([cv2.resize(each, (self.size, self.size), interpolation=how) for each in small])[..., None]
        labels = bundle.target.astype(np.int64)
        names = tuple(str(each) for each in range(10))
        shape = (self.size, self.size, 1)
        source = ImageSource(shape, len(images), lambda i: images[i], names, lambda i: labels[i])
        return image_data("digits", source)


@dataclass(frozen=True)
class PhotographsConfig:
    """Crops of two photographs: a temple (class china) and a dahlia (class flower), 427 x 640 pixels each."""

    size: int = 64
    """Height and width of a crop in pixels."""
    reduce: int = 1
    """Averages blocks of so many pixels first, for crops that show more."""
    count: int = 20_000
    """Number of crops, a tenth of them held out."""
    seed: int = 0
    """Determines where each crop lies."""

    def __post_init__(self) -> None:
        for name in ("size", "reduce"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least 1")
        if self.size * self.reduce > 640 // 4:
            raise ValueError(
                f"size={self.size}, reduce={self.reduce}: crops of {self.size * self.reduce} pixels do not fit in the "
                "quarter of a photograph that is held out (160); lower one of them"
            )
        if self.count < HELD_OUT_EVERY:
            raise ValueError(f"count={self.count}: must be at least {HELD_OUT_EVERY}, as a tenth is held out")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must not be negative; give 0 or more")

    def load(self) -> Data:
        """Return the crops: held-out ones lie in the right quarter of the photographs, the others never reach it.

        Raises:
            ComponentError: scikit-learn or Pillow is not installed.
        """
        bundle = _scikit_learn().load_sample_images()
        photographs = [_reduced(each, self.reduce) for each in bundle.images]
        names = tuple(Path(each).stem for each in bundle.filenames)
        held = np.arange(self.count - self.count // HELD_OUT_EVERY, self.count)

        def images(items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
            places = uniform(self.seed, items, 3)
            crops = np.empty((len(items), self.size, self.size, 3), np.uint8)
            for crop, item, (which, down, across) in zip(crops, items, places, strict=True):
                photograph = photographs[int(which * len(photographs))]
                border = photograph.shape[1] * 3 // 4
                left, right = (border, photograph.shape[1]) if item >= held[0] else (0, border)
                x = left + int(across * (right - left - self.size + 1))
                y = int(down * (photograph.shape[0] - self.size + 1))
                crop[:] = photograph[y : y + self.size, x : x + self.size]
            return crops

        def labels(items: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " N"]:
            return (uniform(self.seed, items, 1)[:, 0] * len(photographs)).astype(np.int64)

        source = ImageSource((self.size, self.size, 3), self.count, images, names, labels)
        return image_data("photographs", source, held=held)


def photograph(name: str) -> UInt8[np.ndarray, "H W 3"]:
    """Return the whole photograph `china` or `flower`; raise ComponentError without scikit-learn."""
    found: UInt8[np.ndarray, "H W 3"] = _scikit_learn().load_sample_image(f"{name}.jpg")
    return found


def _reduced(photograph: UInt8[np.ndarray, "h w 3"], reduce: int) -> UInt8[np.ndarray, "H W 3"]:
    height, width = (length // reduce for length in photograph.shape[:2])
    whole = np.ascontiguousarray(photograph[: height * reduce, : width * reduce])
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)


def _scikit_learn() -> Any:
    try:
        import sklearn.datasets
    except ImportError as error:
        raise ComponentError(
            f"digits and photographs come with scikit-learn, which cannot be imported ({error}); "
            "install it with `pip install scikit-learn`, or use the data sets shapes or faces"
        ) from error
    return sklearn.datasets
