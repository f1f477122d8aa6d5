"""Letters and digits in the fonts that ship with matplotlib: the character is the class, the font is the style.

DejaVu (Bitstream Vera's licence), STIX (SIL Open Font Licence) and Computer Modern (BaKoMa's licence) may be used and
passed on freely; they are read where matplotlib has put them.
"""

import importlib.util
import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8
from PIL import Image, ImageDraw, ImageFont

from generative.core.options import ComponentError
from generative.data.drawn.keeping import Drawings
from generative.data.draws import uniform
from generative.data.fields import Data
from generative.data.images.source import ImageSource, image_data

_SANS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique", "cmss10")
_MONO = ("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique", "cmtt10")
_SERIF = ("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic")
_BOOK = ("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta", "cmr10", "cmb10", "cmti10")
FONTS = _SANS + _MONO + _SERIF + _BOOK
FACTORS = ("character", "font", "size", "x", "y", "turn", "ink", "paper")
RANGES = {
    "size": (0.50, 0.72),
    "x": (0.45, 0.55),
    "y": (0.45, 0.55),
    "turn": (-12.0, 12.0),
    "ink": (0.0, 1.0),
    "paper": (0.0, 1.0),
}
"""Least and greatest value: height of a capital and place of the middle as shares of the image, degrees, hues."""
ATTRIBUTES: dict[str, Callable[[str], bool]] = {
    "serif": lambda font: font in _SERIF + _BOOK or font == "cmtt10",
    "bold": lambda font: "Bol" in font or font == "cmb10",
    "slanted": lambda font: any(part in font for part in ("Oblique", "Ita", "cmti")),
    "monospaced": lambda font: font in _MONO,
}
"""What is said of a font."""
_CAPITAL = 96  # pixels of a capital's height in the masks that are kept
_MASK = 192  # pixels of a mask's side


@dataclass(frozen=True)
class GlyphsConfig:
    """Letters and digits in 21 fonts, moved, turned and scaled; character, font and all factors known."""

    size: int = 32
    """Height and width of the images in pixels."""
    channels: Literal[1, 3] = 1
    """1 for white on black; 3 for coloured ink on coloured paper."""
    characters: str = string.ascii_uppercase
    """Which characters to draw, each equally often; they are the classes."""
    fonts: tuple[str, ...] = FONTS
    """Which of matplotlib's fonts to draw them in, each equally often."""
    count: int = 100_000
    """Number of images, a tenth of them held out."""
    seed: int = 0
    """Determines every image."""

    def __post_init__(self) -> None:
        if self.size < 12:
            raise ValueError(f"size={self.size}: letters need at least 12 pixels, better 24")
        if not self.characters or len(set(self.characters)) < len(self.characters):
            raise ValueError(f"characters={self.characters!r}: give one or more, each once")
        strange = [each for each in self.characters if not ("!" <= each <= "~")]
        if strange:
            raise ValueError(f"characters={self.characters!r}: not every font has {strange[0]!r}; give ASCII")
        unknown = [each for each in self.fonts if each not in FONTS]
        if unknown or not self.fonts or len(set(self.fonts)) < len(self.fonts):
            raise ValueError(f"fonts={list(self.fonts)}: give some of {', '.join(FONTS)}, each once")
        if self.count < 2:
            raise ValueError(f"count={self.count}: must be at least 2, as one image is held out")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must not be negative; give 0 or more")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        return self.size, self.size, self.channels

    def draw(self, items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
        """Return images by number."""
        images = np.empty((len(items), *self.shape), np.uint8)
        for image, row in zip(images, self._factors(items).tolist(), strict=True):
            share = _placed(_glyph(FONTS[int(row[1])], self.characters[int(row[0])]), row, self.size)
            if self.channels == 1:
                image[:, :, 0] = share
            else:
                ink, paper = _colour(row[6], 0.52), _colour(row[7], 0.95)
                image[:] = np.rint(paper + (share[:, :, None] / np.float32(255)) * (ink - paper))
        return images

    def load(self) -> Data:
        """Return the images; raise ComponentError without matplotlib."""
        for font in self.fonts:
            _glyph(font, self.characters[0])
        said = np.array([[rule(font) for rule in ATTRIBUTES.values()] for font in FONTS], np.uint8)
        source = ImageSource(
            shape=self.shape,
            count=self.count,
            images=Drawings(self),
            classes=tuple(self.characters),
            labels=lambda items: self._factors(items)[:, 0].astype(np.int64),
            factor_names=FACTORS[: self._shown],
            factors=lambda items: self._factors(items)[:, : self._shown],
            attribute_names=tuple(ATTRIBUTES),
            attributes=lambda items: said[self._factors(items)[:, 1].astype(int)],
        )
        return image_data("glyphs", source)

    @property
    def _shown(self) -> int:
        """How many factors there are: grey images have no hues."""
        return len(FACTORS) if self.channels == 3 else FACTORS.index("ink")

    def _factors(self, items: Int64[np.ndarray, " N"]) -> Float32[np.ndarray, "N F"]:
        drawn = uniform(self.seed, items, len(FACTORS))
        low, high = np.array(list(RANGES.values())).T
        rows = np.concatenate([drawn[:, :2], low + drawn[:, 2:] * (high - low)], 1)
        rows[:, 0] = np.floor(drawn[:, 0] * len(self.characters))
        fonts = np.array([FONTS.index(each) for each in self.fonts])
        rows[:, 1] = fonts[(drawn[:, 1] * len(fonts)).astype(int)]
        return rows.astype(np.float32)


@cache
def _glyph(font: str, character: str) -> UInt8[np.ndarray, "M M"]:
    """Return a large mask with a character in the middle, as large as a capital of a known height tells."""
    where = importlib.util.find_spec("matplotlib")
    path = Path(next(iter((where and where.submodule_search_locations) or [""]))) / f"mpl-data/fonts/ttf/{font}.ttf"
    try:
        face = ImageFont.truetype(str(path), 100)
    except OSError as error:
        raise ComponentError(
            f"{path}: cannot be read ({error}); glyphs are drawn in matplotlib's fonts, "
            "install it with `pip install matplotlib`, or leave this one out of fonts"
        ) from error
    _, top, _, bottom = face.getbbox("H", anchor="ls")
    face = ImageFont.truetype(str(path), round(100 * _CAPITAL / (bottom - top)))
    rough = Image.new("L", (2 * _MASK, 2 * _MASK))
    ImageDraw.Draw(rough).text((_MASK // 2, 3 * _MASK // 2), character, 255, face, anchor="ls")
    cut = rough.crop(rough.getbbox())  # what the font says of an italic's extent is not where its ink is
    mask = Image.new("L", (_MASK, _MASK))
    mask.paste(cut, ((_MASK - cut.width) // 2, (_MASK - cut.height) // 2))
    return np.asarray(mask)


def _placed(mask: UInt8[np.ndarray, "M M"], row: list[float], size: int) -> UInt8[np.ndarray, "H W"]:
    """Return a mask scaled, turned and moved: which share of every pixel is ink."""
    _, _, high, x, y, turn, *_ = row
    finer = max(1, -(-96 // size))
    scale = high * size * finer / _CAPITAL
    matrix = cv2.getRotationMatrix2D((_MASK / 2, _MASK / 2), turn, scale)
    matrix = matrix + np.array([[0, 0, x * size * finer - _MASK / 2], [0, 0, y * size * finer - _MASK / 2]])
    large = cv2.warpAffine(mask, matrix, (size * finer, size * finer), flags=cv2.INTER_LINEAR)
    return cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA)


def _colour(hue: float, bright: float) -> Float[np.ndarray, " 3"]:
    """Return a dark or a pale colour of a hue that does not close the circle."""
    wave = np.cos(2 * np.pi * (0.8 * hue - np.array([0, 1 / 3, 2 / 3])))
    return 255 * np.clip(bright - 0.22 + 0.22 * wave, 0, 1) if bright < 0.7 else 255 * (bright - 0.08 + 0.08 * wave)
