"""MNIST's file format IDX, packed with gzip or not: MNIST, Fashion-MNIST, KMNIST, EMNIST as they are published.

Two zero bytes, one for the type of number, one for the number of axes, each axis's length in four bytes, big end
first, then the numbers. EMNIST (Cohen et al. 2017, arXiv 1702.05373) stores images with rows and columns exchanged.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Int64, UInt8

from generative.core.options import ComponentError
from generative.data.fields import Data
from generative.data.images.idx_folder import IdxFiles, class_names, find_files
from generative.data.images.pixels import padded
from generative.data.images.source import ImageSource, image_data
from generative.data.labels import check_labels
from generative.data.origin import Origin, file_digest

_UNSIGNED_BYTES = 8
_PART = 1 << 24  # bytes read at a time, so that a header cannot ask for more memory than there is in the file


@dataclass(frozen=True)
class IdxConfig:
    """Images and labels in IDX files."""

    path_options: ClassVar[tuple[str, ...]] = ("path", "labels")
    path: str
    """A folder with a published set's four files (train-images-idx3-ubyte, ..., also with .gz), or the one that
    torchvision made above them, or one file of images."""
    labels: str = ""
    """File of labels, where `path` is a file; empty where there are none."""
    subset: str = ""
    """Which set to read of a folder that holds several, such as emnist-letters."""
    exchanged: Literal["auto", "yes", "no"] = "auto"
    """Whether rows and columns are exchanged in the file; auto: in files whose name begins with emnist."""
    size: int = 32
    """Height and width: smaller images get a black border, so MNIST's 28 pixels become 32; 0 keeps them as they are."""
    classes: tuple[str, ...] = ()
    """Names of the classes; those of EMNIST's mapping or their numbers by default."""

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError(f"size={self.size}: must not be negative; 0 keeps the size of the file")

    def load(self) -> Data:
        """Return the images; in a folder, the set's own test images are what is held out.

        Raises:
            ComponentError: a file is missing, damaged or something else; names it and says what to do.
        """
        path = Path(self.path)
        if path.is_dir():
            if self.labels:
                raise ComponentError(f"labels={self.labels}: the folder {path} brings its own; give a file as path")
            files = find_files(path, self.subset)
        else:
            labels = (Path(self.labels),) if self.labels else ()
            files = IdxFiles(path.parent, (path,), labels, None)
        parts = [read_idx(file, 3) for file in files.images]
        if len({part.shape[1:] for part in parts}) > 1:
            raise ComponentError(f"{path}: training and test images differ in size; these are two data sets")
        images, known = np.concatenate(parts), [read_idx(file, 1) for file in files.labels]
        held = np.arange(len(parts[0]), len(images)) if len(parts) > 1 else None
        notes = []
        if self.exchanged == "yes" or (self.exchanged == "auto" and path_is_emnist(files.images[0])):
            images = images.transpose(0, 2, 1)
            notes.append("rows and columns exchanged, as EMNIST stores them")
        source = self._source(images, np.concatenate(known) if known else None, files, notes)
        return image_data(path.name, source, held=held)

    def _source(
        self,
        images: UInt8[np.ndarray, "N H W"],
        labels: UInt8[np.ndarray, " L"] | None,
        files: IdxFiles,
        notes: list[str],
    ) -> ImageSource:
        height, width = (self.size or length for length in images.shape[1:])
        if height < images.shape[1] or width < images.shape[2]:
            raise ComponentError(
                f"size={self.size}: the images of {self.path} have {images.shape[1]} x {images.shape[2]} pixels; "
                f"give at least {max(images.shape[1:])}, or 0"
            )

        def read(items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
            return padded(images[items].transpose(1, 2, 0), height, width, "constant").transpose(2, 0, 1)[..., None]

        names: tuple[str, ...] = ()
        numbers = np.zeros(0, np.int64)
        if labels is None and self.classes:
            raise ComponentError(f"{self.path}: classes={list(self.classes)} but no labels; set labels to their file")
        if labels is not None:
            if len(labels) != len(images):
                raise ComponentError(
                    f"{self.path}: {len(labels)} labels for {len(images)} images; the files do not belong"
                )
            try:
                names, numbers = check_labels(labels, self.classes or class_names(files.mapping), notes)
            except ValueError as error:
                raise ComponentError(f"{self.path}: {error}") from error
        digests = {files.name(file): file_digest(file) for file in (*files.images, *files.labels)}
        origin = Origin(root=self.path, used=len(images), found=len(images), notes=tuple(notes), files=digests)
        known = (lambda items: numbers[items]) if names else None
        return ImageSource((height, width, 1), len(images), read, names, known, origin=origin)


def path_is_emnist(path: Path) -> bool:
    """Return whether a file is one of EMNIST's, by its name: nothing inside says so."""
    return path.name.lower().startswith("emnist")


def read_idx(path: Path, axes: int) -> UInt8[np.ndarray, "N ..."]:
    """Return the bytes of an IDX file.

    Args:
        path: the file, packed with gzip or not; its content decides, not its name.
        axes: 3 for images, 1 for labels.

    Raises:
        ComponentError: the file is missing, damaged, cut short, or holds something else.
    """
    if not path.is_file():
        raise ComponentError(f"{path}: no such file; correct path")
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if packed else raw as file:
                header = file.read(4 + 4 * axes)
                shape = _idx_shape(header, axes, path)
                expected = math.prod(shape)
                content = _content(file.read, expected)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ComponentError(f"{path}: damaged gzip file ({error}); download it again") from error
    swapped = struct.unpack(f"<{axes}I", header[4:])
    if len(content) == math.prod(swapped) != expected:
        raise ComponentError(
            f"{path}: has {swapped}, but with the small end first; write its header anew, the big end first"
        )
    if len(content) != expected:
        found = f"{len(content)}" if len(content) < expected else "more"
        raise ComponentError(f"{path}: {expected} bytes announced, {found} found; download it again")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _content(read: Callable[[int], bytes], expected: int) -> bytes:
    """Return what follows, at most one byte more than expected, whatever gzip would yield or the header says."""
    parts, missing = [], expected + 1
    while missing > 0 and (part := read(min(missing, _PART))):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _idx_shape(header: bytes, axes: int, path: Path) -> tuple[int, ...]:
    if header[:4] == bytes([axes, _UNSIGNED_BYTES, 0, 0]):
        raise ComponentError(f"{path}: IDX with the small end of its header first; write it anew, the big end first")
    if len(header) < 4 or header[:2] != b"\0\0":
        raise ComponentError(f"{path}: no IDX file; give one in MNIST's format, or use the data sets folder or arrays")
    if header[2] != _UNSIGNED_BYTES or header[3] != axes or len(header) < 4 + 4 * axes:
        what = "images (N, height, width)" if axes == 3 else "labels (N)"
        raise ComponentError(
            f"{path}: IDX of type {header[2]} with {header[3]} axes; expected {what} of unsigned bytes (type 8, {axes})"
        )
    return struct.unpack(f">{axes}I", header[4:])
