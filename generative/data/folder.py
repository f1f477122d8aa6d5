"""A folder of PNG, JPEG or WebP images, in subfolders by class or not.

OpenCV fills the rest of a JPEG that was cut short with grey and says so only on the console; training would learn the
grey. So the end of every file is looked at before the first step, and what fits into memory is decoded by then too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Int64, Shaped, UInt8

from generative.data.contract import ImageData, ImageSource, image_data
from generative.data.pixels import resized
from generative.options import ComponentError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_TAIL = 64  # bytes; where more lies behind an image's end, the whole file is read


@dataclass(frozen=True)
class FolderConfig:
    """Image files, resized to one size."""

    path: str
    """Folder of .png, .jpg, .jpeg and .webp files; subfolders, if there are any, are the classes."""
    height: int = 64
    """Of the images handed out, in pixels."""
    width: int = 64
    """Of the images handed out, in pixels."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """crop keeps the middle, pad adds the edges' colour, stretch distorts."""
    channels: Literal[1, 3] = 3
    """3 for colours, 1 for grey; transparent parts become white."""
    megabytes: int = 2048
    """Decoded images are kept in memory if all fit into this much; otherwise each is decoded whenever it is needed."""

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: a size in pixels; give 1 or more")
        if self.megabytes < 0:
            raise ValueError(f"megabytes={self.megabytes}: must not be negative; 0 keeps nothing in memory")

    def load(self) -> ImageData:
        """Returns the images in the order of their names.

        Raises:
            ComponentError: there are no images, or one is damaged or no image; names it.
        """
        folder = Path(self.path)
        files, names, labels = _find(folder)
        for file in files:
            _check_whole(file)
        shape = (self.height, self.width, self.channels)

        def decode(items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
            images = np.empty((len(items), *shape), np.uint8)
            for image, item in zip(images, items, strict=True):
                image[:] = resized(read_image(files[item], self.channels), self.height, self.width, self.fit)
            return images

        read = decode
        if len(files) * self.height * self.width * self.channels <= self.megabytes * 1e6:
            kept = decode(np.arange(len(files)))

            def read(items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
                return kept[items]

        source = ImageSource(shape, len(files), read, names, (lambda items: labels[items]) if names else None)
        try:
            return image_data(folder.name, source)
        except ValueError as error:
            raise ComponentError(f"{folder}: {error}") from error


def read_image(path: Path, channels: Literal[1, 3]) -> UInt8[np.ndarray, "H W C"]:
    """Returns a file's image, upright, red first, transparent parts white; raises ComponentError naming the file."""
    content = np.fromfile(path, np.uint8)
    # A JPEG says in its EXIF data which way is up, and OpenCV heeds it only if asked for plain colours.
    photograph = path.suffix.lower() in (".jpg", ".jpeg")
    image = cv2.imdecode(content, cv2.IMREAD_COLOR if photograph else cv2.IMREAD_UNCHANGED) if len(content) else None
    if image is None:
        raise ComponentError(f"{path}: damaged, or no image; restore or remove it")
    colours = _white_behind(_bytes(image))
    grey = cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY)[..., None] if channels == 1 else None
    return cv2.cvtColor(colours, cv2.COLOR_BGR2RGB) if grey is None else grey


def _find(folder: Path) -> tuple[Sequence[Path], tuple[str, ...], Int64[np.ndarray, " N"]]:
    """Returns files, class names and labels; without subfolders there are no classes."""
    if not folder.is_dir():
        raise ComponentError(f"{folder}: no such folder; correct path")
    subfolders = sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    found = {each: _images(each, "**/*") for each in subfolders}
    classes = [each for each in subfolders if found[each]]
    loose = _images(folder, "*")
    if classes and loose:
        raise ComponentError(
            f"{folder}: {len(loose)} images lie beside the subfolders, such as {loose[0].name}; "
            "put every image into a class's subfolder, or all of them into one folder"
        )
    files = loose or [file for each in classes for file in found[each]]
    if not files:
        raise ComponentError(f"{folder}: no images; give a folder with {', '.join(SUFFIXES)} files")
    numbers = [number for number, each in enumerate(classes) for _ in found[each]]
    return files, tuple(each.name for each in classes), np.array(numbers, np.int64)


def _images(folder: Path, pattern: str) -> list[Path]:
    return sorted(
        file
        for file in folder.glob(pattern)
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    )


def _check_whole(path: Path) -> None:
    """Raises ComponentError when a file does not begin as its format does or misses its end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    if head.startswith(b"\xff\xd8"):
        whole = b"\xff\xd9" in tail or b"\xff\xd9" in _scans(path.read_bytes())
    elif head.startswith(b"\x89PNG\r\n\x1a\n"):
        whole = b"IEND\xaeB`\x82" in tail or b"IEND\xaeB`\x82" in path.read_bytes()
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        whole = size >= 8 + int.from_bytes(head[4:8], "little")
    else:
        raise ComponentError(f"{path}: no PNG, JPEG or WebP image inside; restore or remove it")
    if not whole:
        raise ComponentError(f"{path}: the image is cut short; restore or remove it")


def _scans(jpeg: bytes) -> bytes:
    """Returns a JPEG from its first scan on, behind the headers with their thumbnail."""
    place = 2
    while jpeg[place : place + 1] == b"\xff" and jpeg[place + 1 : place + 2] != b"\xda":
        place += 2 + max(2, int.from_bytes(jpeg[place + 2 : place + 4], "big"))
    return jpeg[place:]


def _bytes(image: Shaped[np.ndarray, "H W ..."]) -> UInt8[np.ndarray, "H W ..."]:
    """Returns 8 bits a colour of 8 or 16."""
    return (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image


def _white_behind(image: UInt8[np.ndarray, "H W ..."]) -> UInt8[np.ndarray, "H W 3"]:
    """Returns blue, green and red of an image that may be grey or partly transparent."""
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    if image.shape[2] == 3:
        return image
    opaque = image[..., 3:].astype(np.float32) / 255
    return np.rint(image[..., :3] * opaque + 255 * (1 - opaque)).astype(np.uint8)
