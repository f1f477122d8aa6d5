"""Emoji of Google's Noto font (SIL Open Font Licence), as Debian's package fonts-noto-color-emoji installs it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8
from PIL import Image, ImageDraw, ImageFont

from generative.core.options import ComponentError
from generative.data.draws import uniform
from generative.data.fields import Data
from generative.data.images.source import ImageSource, image_data
from generative.data.origin import Origin, file_digest

RANGES: dict[str, tuple[tuple[int, int], ...]] = {
    "faces": ((0x1F600, 0x1F644), (0x1F910, 0x1F917), (0x1F920, 0x1F92F), (0x1F970, 0x1F976), (0x1F9D0, 0x1F9D0)),
    "animals": ((0x1F400, 0x1F43D), (0x1F980, 0x1F9A2), (0x1F9A5, 0x1F9AA), (0x1F577, 0x1F577)),
    "plants": ((0x1F331, 0x1F335), (0x1F337, 0x1F344), (0x1F940, 0x1F940), (0x1F490, 0x1F490)),
    "food": ((0x1F345, 0x1F37F), (0x1F32D, 0x1F330), (0x1F950, 0x1F96F), (0x1F9C0, 0x1F9C7)),
    "sport": ((0x1F3B1, 0x1F3B3), (0x1F3BD, 0x1F3BF), (0x1F3C0, 0x1F3C0), (0x1F3C8, 0x1F3C9), (0x1F3CF, 0x1F3D3)),
    "houses": ((0x1F3D4, 0x1F3DF), (0x1F3E0, 0x1F3F0), (0x1F5FB, 0x1F5FF)),
    "vehicles": ((0x1F680, 0x1F6A4), (0x1F6F3, 0x1F6FC), (0x1F690, 0x1F69F)),
    "clothes": ((0x1F451, 0x1F462), (0x1F9E2, 0x1F9E6), (0x1F97B, 0x1F97F)),
    "hearts": ((0x1F493, 0x1F49F), (0x1F5A4, 0x1F5A4), (0x1F90D, 0x1F90E), (0x1F9E1, 0x1F9E1), (0x2764, 0x2764)),
    "weather": ((0x1F300, 0x1F30C), (0x1F311, 0x1F321), (0x1F324, 0x1F32C), (0x26C4, 0x26C5)),
    "tools": ((0x1F526, 0x1F52E), (0x1F4BA, 0x1F4BF), (0x1F4F7, 0x1F4FD), (0x1F9F0, 0x1F9FF)),
}
"""Classes, and the code points of each; those that the font lacks are left out."""
FACTORS = ("emoji", "size", "x", "y", "turn", "mirrored", "background")
_PIXELS = 109  # the one size of the pictures in the font
_SIDE = 160


@dataclass(frozen=True)
class EmojiConfig:
    """Emoji on a soft background, moved, turned and mirrored; the kind of thing is the class."""

    path_options: ClassVar[tuple[str, ...]] = ("path",)
    path: str = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
    """The font, where Debian's package fonts-noto-color-emoji puts it."""
    kinds: tuple[str, ...] = tuple(RANGES)
    """Which kinds of things, the classes."""
    size: int = 64
    """Height and width of the images in pixels."""
    count: int = 50_000
    """Number of images. A tenth of the emoji are held out, with all images of them."""
    seed: int = 0
    """Determines every image."""

    def __post_init__(self) -> None:
        unknown = [each for each in self.kinds if each not in RANGES]
        if unknown or not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise ValueError(f"kinds={list(self.kinds)}: give some of {', '.join(RANGES)}, each once")
        if self.size < 16:
            raise ValueError(f"size={self.size}: emoji need at least 16 pixels, better 32")
        if self.count < 100:
            raise ValueError(f"count={self.count}: give 100 or more, as a tenth of the emoji are held out")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must not be negative; give 0 or more")

    def load(self) -> Data:
        """Return the images; raise ComponentError without the font."""
        path = Path(self.path)
        pictures, kinds = _pictures(str(path), self.kinds)
        columns = len(FACTORS)

        def factors(items: Int64[np.ndarray, " N"]) -> Float32[np.ndarray, "N F"]:
            drawn = uniform(self.seed, items, columns)
            low = np.array([0, 0.70, 0.45, 0.45, -15, 0, 0])
            high = np.array([len(pictures), 0.92, 0.55, 0.55, 15, 2, 1])
            rows = low + drawn * (high - low)
            rows[:, [0, 5]] = np.floor(rows[:, [0, 5]])
            return rows.astype(np.float32)

        def images(items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
            rows = factors(items).tolist()
            return np.stack([_placed(pictures[int(row[0])], row, self.size) for row in rows])

        def numbers(items: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " N"]:
            return factors(items)[:, 0].astype(np.int64)

        source = ImageSource(
            shape=(self.size, self.size, 3),
            count=self.count,
            images=images,
            classes=self.kinds,
            labels=lambda items: kinds[numbers(items)],
            factor_names=FACTORS,
            factors=factors,
            origin=Origin(str(path), "emoji", len(pictures), len(pictures), files={path.name: file_digest(path)}),
        )
        return image_data("emoji", source, groups=numbers(np.arange(self.count)))


@cache
def _pictures(path: str, kinds: tuple[str, ...]) -> tuple[list[UInt8[np.ndarray, "S S 4"]], Int64[np.ndarray, " E"]]:
    """Return all emoji of some kinds that a font has, and the number of the kind of each.

    A picture is red, green and blue by their opacity, and that opacity, so that its edges can be averaged.
    """
    remedy = "install the package fonts-noto-color-emoji, or name such a font with path"
    try:
        font = ImageFont.truetype(path, _PIXELS)
    except OSError as error:
        raise ComponentError(f"{path}: cannot be read ({error}); {remedy}") from error
    found, numbers = [], []
    for kind, name in enumerate(kinds):
        for code in (code for first, last in RANGES[name] for code in range(first, last + 1)):
            canvas = Image.new("RGBA", (_SIDE, _SIDE))
            ImageDraw.Draw(canvas).text((8, 8), chr(code), font=font, embedded_color=True)
            box = canvas.getbbox()
            if box is None:
                continue
            cut = canvas.crop(box)
            square = Image.new("RGBA", (_SIDE, _SIDE))
            square.paste(cut, ((_SIDE - cut.width) // 2, (_SIDE - cut.height) // 2))
            whole = np.asarray(square).astype(np.float32)
            whole[..., :3] *= whole[..., 3:] / 255
            found.append(np.rint(whole).astype(np.uint8))
            numbers.append(kind)
    if len(set(numbers)) < len(kinds):
        raise ComponentError(f"{path}: has no emoji of some kinds; {remedy}")
    return found, np.array(numbers)


def _placed(picture: UInt8[np.ndarray, "S S 4"], row: list[float], size: int) -> UInt8[np.ndarray, "H W 3"]:
    """Return an emoji on a background of its hue."""
    _, large, x, y, turn, mirrored, hue = row
    finer = max(1, -(-128 // size))
    side = size * finer
    matrix = cv2.getRotationMatrix2D((_SIDE / 2, _SIDE / 2), turn, large * side / 136)
    matrix = matrix + np.array([[0, 0, x * side - _SIDE / 2], [0, 0, y * side - _SIDE / 2]])
    drawn = cv2.warpAffine(picture[:, ::-1] if mirrored else picture, matrix, (side, side), flags=cv2.INTER_LINEAR)
    drawn = cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    share = drawn[..., 3:] / 255
    wave = np.cos(2 * np.pi * (0.8 * hue - np.array([0, 1 / 3, 2 / 3], np.float32)))
    return np.rint(drawn[..., :3] + (205 + 35 * wave) * (1 - share)).astype(np.uint8)
