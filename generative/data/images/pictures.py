"""One picture in any of the usual formats becomes 8-bit grey or red, green and blue, upright, on white.

The content decides what a file is, never its name. Pillow decodes; it keeps silent where a JPEG's stream is damaged
and its decoder guesses on, and does not look at a PNG's checksums, so both are checked here. What a format does not
protect (BMP, uncompressed TIFF, some bits of a JPEG) cannot be found.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image, ImageOps

from generative.core.options import ComponentError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "GIF", "TIFF")
"""Pillow's names of the formats that are read."""
SIXTEEN_BITS = 65_535
"""The white of 16-bit images that use all their bits."""
_ORIENTATION = 0x0112


class Unreadable(ValueError):
    """A picture that cannot be read; says why."""


def is_picture(head: bytes) -> bool:
    """Return whether a file that begins with these bytes (32 or more) is of a format that is read."""
    if head.startswith(b"BM"):
        return int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124)
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")) or (
        head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    )


def open_picture(content: bytes) -> Image.Image:
    """Return a file's first picture, not yet decoded; raise Unreadable for one that is none or too large."""
    with _complaints():
        return Image.open(io.BytesIO(content), formats=FORMATS)


def check_stream(content: bytes) -> None:
    """Raise Unreadable when a file is cut short or damaged inside, as far as its format shows it."""
    picture = open_picture(content)
    if picture.format in ("JPEG", "MPO"):  # MPO is the JPEG of some cameras
        _check_jpeg(content, picture)
    elif picture.format == "PNG":
        with _complaints():
            picture.verify()  # the checksum of every chunk
    elif picture.format == "WEBP" and len(content) < 8 + int.from_bytes(content[4:8], "little"):
        raise Unreadable("cut short")
    else:
        pixels(picture, content)


def is_deep(picture: Image.Image, content: bytes = b"") -> bool:
    """Return whether more than 8 bits a colour can be had of a picture: of colours only from the file's content."""
    tiles = getattr(picture, "tile", ()) if content else ()
    return picture.mode.startswith("I") or any(";16" in str(tile) for tile in tiles)


def brightest(picture: Image.Image, content: bytes = b"") -> int:
    """Return the largest number in a picture that is deep."""
    numbers = _deep(picture, content)
    return int(numbers.max(initial=0))


def pixels(picture: Image.Image, content: bytes = b"", white: int = SIXTEEN_BITS) -> UInt8[np.ndarray, "H W C"]:
    """Return a picture's 8-bit colours, upright, on white where it is transparent.

    Args:
        picture: of any mode; palettes are looked up, CMYK and the like become red, green and blue.
        content: the file it is of; without it Pillow has halved what has 16 bits in several colours.
        white: the number that is white in pictures of more than 8 bits a colour.

    Raises:
        Unreadable: damaged, or its numbers are no colours.
    """
    orientation = _orientation(picture)
    with _complaints():
        if is_deep(picture, content):
            picture = _from_deep(_deep(picture, content), white)
        elif picture.mode == "F":
            picture = _from_fractions(np.asarray(picture))
        else:
            picture = ImageOps.exif_transpose(picture)
            orientation = 1
        if orientation != 1:
            picture.getexif()[_ORIENTATION] = orientation
            picture = ImageOps.exif_transpose(picture)
        return _colours(picture)


def white_of(brightest: int) -> int:
    """Return what is white where `brightest` is the largest number: a full number of bits, 8 at least."""
    return (1 << max(8, brightest.bit_length())) - 1


def _colours(picture: Image.Image) -> UInt8[np.ndarray, "H W C"]:
    if picture.mode in ("L", "1"):
        return np.asarray(picture.convert("L"))[..., None]
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        rgba = np.asarray(picture)
        opaque = rgba[..., 3:].astype(np.float32) / 255
        return np.rint(rgba[..., :3] * opaque + 255 * (1 - opaque)).astype(np.uint8)
    return np.asarray(picture.convert("RGB"))


def _orientation(picture: Image.Image) -> int:
    """Return which way is up, as EXIF numbers it."""
    with _complaints():
        found = picture.getexif().get(_ORIENTATION, 1)
    return found if found in range(1, 9) else 1


def _deep(picture: Image.Image, content: bytes) -> Shaped[np.ndarray, "H W ..."]:
    """Return the numbers of a picture of more than 8 bits: grey, or red, green, blue and opacity."""
    with _complaints():
        if picture.mode.startswith("I"):
            numbers = np.asarray(picture)
            if numbers.min(initial=0) < 0:
                raise Unreadable(f"numbers below 0 ({numbers.min()}): no colours")
            return numbers
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None  # Pillow halves
    if found is None:
        raise Unreadable("damaged")
    if found.ndim == 2:
        return found
    return found[..., [2, 1, 0, 3] if found.shape[2] == 4 else [2, 1, 0]]


def _from_deep(numbers: Shaped[np.ndarray, "H W ..."], white: int) -> Image.Image:
    return Image.fromarray(np.rint(np.minimum(numbers, white) * (255.0 / white)).astype(np.uint8))


def _from_fractions(numbers: Shaped[np.ndarray, "H W"]) -> Image.Image:
    low, high = float(numbers.min()), float(numbers.max())
    if not (0 <= low and high <= 1):
        raise Unreadable(f"fractions from {low:g} to {high:g}, and only 0 to 1 are known: convert it to 8 bits")
    return Image.fromarray(np.rint(numbers * 255).astype(np.uint8))


def _check_jpeg(content: bytes, picture: Image.Image) -> None:
    """Decode strictly: what libjpeg only warns of is an error."""
    try:
        import simplejpeg
    except ImportError as error:
        raise ComponentError(
            f"JPEG files are checked with simplejpeg, which cannot be imported ({error}); "
            "install it with `pip install simplejpeg`"
        ) from error
    colours = {"L": "GRAY", "CMYK": "CMYK"}.get(picture.mode, "RGB")
    try:
        simplejpeg.decode_jpeg(content, colorspace=colours, strict=True)
    except ValueError as error:
        said = str(error)
        cut = "premature end of jpeg file" in said.lower()
        raise Unreadable("cut short" if cut else f"damaged: {said}") from error


@contextmanager
def _complaints() -> Iterator[None]:
    """Turn whatever Pillow raises on strange content into Unreadable, and its warnings of cut files too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message=".*(Truncated|Corrupt).*")
            yield
    except (Unreadable, ComponentError):
        raise
    except Image.DecompressionBombError as error:
        raise Unreadable("more than 178 million pixels: make it smaller") from error
    except MemoryError as error:
        raise Unreadable("does not fit into memory: make it smaller") from error
    except Exception as error:  # decoders of broken files raise whatever comes
        said = str(error).split("<_io")[0].strip() or type(error).__name__
        cut = "truncated" in said.lower()
        raise Unreadable("cut short" if cut else f"damaged, or no picture ({said})") from error
