"""A folder of pictures, in subfolders by class or not.

Every file is looked at before the first step: a damaged picture is refused, and what is no picture is left out and
named. Which pictures are held out goes by their content, so that copies of one are on the same side, and pictures that
come or go later move no other.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import cv2
import numpy as np
from jaxtyping import Int64, UInt8

from generative.core.options import ComponentError
from generative.data.draws import held_out_by_digest
from generative.data.fields import Data
from generative.data.images.listing import Listing, is_hidden, listing
from generative.data.images.pictures import (
    SIXTEEN_BITS,
    Unreadable,
    brightest,
    check_stream,
    is_deep,
    open_picture,
    pixels,
    white_of,
)
from generative.data.images.pixels import resized
from generative.data.images.source import ImageSource, image_data
from generative.data.origin import Origin, counted

PARTS = frozenset(("train", "training", "test", "testing", "val", "valid", "validation"))
"""Names of subfolders that are parts of a data set and no classes, in small letters."""


@dataclass(frozen=True)
class FolderConfig:
    """Image files, resized to one size."""

    path_options: ClassVar[tuple[str, ...]] = ("path",)
    path: str
    """Folder of PNG, JPEG, WebP, BMP, GIF or TIFF files; subfolders, if there are any, are the classes."""
    height: int = 64
    """Of the images handed out, in pixels."""
    width: int = 64
    """Of the images handed out, in pixels."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """crop keeps the middle, pad adds the edges' colour, stretch distorts."""
    channels: Literal[1, 3] = 3
    """3 for colours, 1 for grey; transparent parts become white."""
    damaged: Literal["refuse", "leave-out"] = "refuse"
    """What to do with pictures that cannot be read."""
    megabytes: int = 2048
    """Decoded images are kept in memory if all fit into this much; otherwise each is decoded whenever it is needed."""

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: a size in pixels; give 1 or more")
        if self.megabytes < 0:
            raise ValueError(f"megabytes={self.megabytes}: must not be negative; 0 keeps nothing in memory")

    def load(self) -> Data:
        """Return the images in the order of their names.

        Raises:
            ComponentError: there are no images, or some are damaged or no images; names them.
        """
        folder = Path(self.path)
        if not folder.is_dir():
            raise ComponentError(f"{folder}: no such folder; correct path")
        found = listing(folder)
        looked = _look(found, self.damaged)
        files, white = looked.files, white_of(looked.brightest)
        names, labels = _classes(found, files)
        shape = (self.height, self.width, self.channels)

        def decode(items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
            images = np.empty((len(items), *shape), np.uint8)
            for image, item in zip(images, items, strict=True):
                picture = read_image(files[item], self.channels, white, looked.digests[item])
                image[:] = resized(picture, self.height, self.width, self.fit)
            return images

        read = decode
        if len(files) * self.height * self.width * self.channels <= self.megabytes * 1e6:
            kept = decode(np.arange(len(files)))

            def read(items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
                return kept[items]

        source = ImageSource(
            shape,
            len(files),
            read,
            names,
            (lambda items: labels[items]) if names else None,
            origin=_origin(found, looked),
        )
        try:
            return image_data(folder.name, source, held=held_out_by_digest(looked.digests))
        except ValueError as error:
            raise ComponentError(f"{folder}: {error}") from error


def read_image(
    path: Path, channels: Literal[1, 3], white: int = SIXTEEN_BITS, digest: str = ""
) -> UInt8[np.ndarray, "H W C"]:
    """Return a file's image, upright, red first, transparent parts white.

    Args:
        path: the file; its content decides what it is.
        channels: 3 for colours, 1 for grey.
        white: the number that is white in images of more than 8 bits a colour.
        digest: SHA-256 of its content; empty where any will do.

    Raises:
        ComponentError: names the file and what is wrong with it.
    """
    content = path.read_bytes()
    if digest and hashlib.sha256(content).hexdigest() != digest:
        raise ComponentError(f"{path}: was changed since the folder was read; restore it, or begin anew")
    try:
        image = pixels(open_picture(content), content, white)
    except Unreadable as error:
        raise ComponentError(f"{path}: {error}; restore or remove it") from error
    if channels == image.shape[2]:
        return image
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None] if channels == 1 else np.repeat(image, 3, 2)


@dataclass(frozen=True)
class _Looked:
    """What a look into every file found."""

    files: Sequence[Path]
    digests: Sequence[str]
    brightest: int
    """The largest number in pictures of more than 8 bits a colour; 0 where there are none."""
    deep: Sequence[str]
    moving: Sequence[str]


def _look(found: Listing, damaged: Literal["refuse", "leave-out"]) -> _Looked:
    """Read every file once; raise ComponentError for damaged ones, or note them as left out."""
    wrong = {found.name(path): "no picture that can be read" for path in found.foreign}
    files, digests, deep, moving, highest = [], [], [], [], 0
    for path in found.pictures:
        content = path.read_bytes()
        try:
            check_stream(content)
            picture = open_picture(content)
            if is_deep(picture, content):
                highest = max(highest, brightest(picture, content))
                deep.append(found.name(path))
            elif picture.format != "MPO" and getattr(picture, "is_animated", False):
                moving.append(found.name(path))
        except Unreadable as error:
            wrong[found.name(path)] = str(error)
            continue
        files.append(path)
        digests.append(hashlib.sha256(content).hexdigest())
    if wrong and damaged == "refuse":
        said = ", ".join(f"{name} ({problem})" for name, problem in sorted(wrong.items())[:3])
        raise ComponentError(
            f"{found.folder}: {len(wrong)} of {len(wrong) + len(files)} pictures cannot be used: {said}"
            f"{', ...' if len(wrong) > 3 else ''}; restore or remove them, or set damaged=leave-out"
        )
    for name in sorted(wrong):
        found.left_out.setdefault("damaged", []).append(name)
    return _Looked(files, digests, highest, deep, moving)


def _classes(found: Listing, files: Sequence[Path]) -> tuple[tuple[str, ...], Int64[np.ndarray, " N"]]:
    """Return class names and labels; without subfolders there are no classes."""
    if not files:
        raise ComponentError(f"{found.folder}: no images; give a folder of PNG, JPEG, WebP, BMP, GIF or TIFF files")
    parts = [file.relative_to(found.folder).parts for file in files]
    loose = [each[0] for each in parts if len(each) == 1]
    names = sorted({each[0] for each in parts if len(each) > 1})
    if names and loose:
        raise ComponentError(
            f"{found.folder}: {len(loose)} images lie beside the subfolders, such as {loose[0]}; "
            "put every image into a class's subfolder, or all of them into one folder"
        )
    if len(names) > 1 and {name.casefold() for name in names} <= PARTS:
        raise ComponentError(
            f"{found.folder}: the subfolders {', '.join(names)} are parts of a data set and no classes; "
            f"set path to one of them, such as {found.folder / sorted(names, key=_is_no_training)[0]}"
        )
    empty = sorted(
        each.name
        for each in found.folder.iterdir()
        if each.is_dir() and not is_hidden(each.name) and each.name not in names
    )
    if names and empty:
        found.left_out["folders without a picture, which are no classes"] = empty
    return tuple(names), np.array([names.index(each[0]) for each in parts] if names else [], np.int64)


def _is_no_training(name: str) -> bool:
    return not name.casefold().startswith("train")


def _origin(found: Listing, looked: _Looked) -> Origin:
    names = [found.name(path) for path in looked.files]
    notes = []
    copies = len(looked.digests) - len(set(looked.digests))
    if copies:
        first: dict[str, str] = {}
        pairs = zip(names, looked.digests, strict=True)
        doubled = [name for name, digest in pairs if first.setdefault(digest, name) != name]
        notes.append(f"copies of other pictures, kept on the same side of the split: {counted(doubled)}")
    if looked.deep:
        white = white_of(looked.brightest)
        notes.append(f"more than 8 bits a colour, {white} read as white: {counted(looked.deep)}")
    if looked.moving:
        notes.append(f"several pictures in a file, the first one read: {counted(looked.moving)}")
    left_out = {reason: tuple(each) for reason, each in found.left_out.items()}
    unused = sum(len(each) for reason, each in left_out.items() if "folders" not in reason)
    return Origin(
        root=str(found.folder),
        what="files",
        used=len(names),
        found=len(names) + unused,
        left_out=left_out,
        notes=tuple(notes),
        files=dict(zip(names, looked.digests, strict=True)),
    )
