"""MNIST's file format IDX, packed with gzip or not: MNIST, Fashion-MNIST, KMNIST, EMNIST as they are published.

Two zero bytes, one for the type of number, one for the number of axes, each axis's length in four bytes, big end
first, then the numbers.
"""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from generative.data.arrays import check_labels
from generative.data.contract import ImageData, ImageSource, image_data
from generative.data.pixels import padded
from generative.options import ComponentError

_UNSIGNED_BYTES = 8
_STANDARD = ("train-images", "train-labels", "t10k-images", "t10k-labels")


@dataclass(frozen=True)
class IdxConfig:
    """Images and labels in IDX files."""

    path: str
    """A folder with MNIST's four files (train-images-idx3-ubyte, ..., also with .gz), or one file of images."""
    labels: str = ""
    """File of labels, where `path` is a file; empty where there are none."""
    size: int = 32
    """Height and width: smaller images get a black border, so MNIST's 28 pixels become 32; 0 keeps them as they are."""
    classes: tuple[str, ...] = ()
    """Names of the classes; their numbers by default."""

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError(f"size={self.size}: must not be negative; 0 keeps the size of the file")

    def load(self) -> ImageData:
        """Returns the images; in a folder, MNIST's own test set is what is held out.

        Raises:
            ComponentError: a file is missing, damaged or something else; names it and says what to do.
        """
        path = Path(self.path)
        held = None
        labels: UInt8[np.ndarray, " N"] | None
        if path.is_dir():
            images, train_labels, test_images, test_labels = (_read_standard(path, name) for name in _STANDARD)
            if images.shape[1:] != test_images.shape[1:]:
                raise ComponentError(f"{path}: training and test images differ in size; these are two data sets")
            held = np.arange(len(images), len(images) + len(test_images))
            images = np.concatenate([images, test_images])
            labels = np.concatenate([train_labels, test_labels])
        else:
            images = read_idx(path, 3)
            labels = read_idx(Path(self.labels), 1) if self.labels else None
        source = self._source(images, labels)
        return image_data(path.name, source, held=held)

    def _source(self, images: UInt8[np.ndarray, "N H W"], labels: UInt8[np.ndarray, " L"] | None) -> ImageSource:
        height, width = (self.size or length for length in images.shape[1:])
        if height < images.shape[1] or width < images.shape[2]:
            raise ComponentError(
                f"size={self.size}: the images of {self.path} have {images.shape[1]} x {images.shape[2]} pixels; "
                f"give at least {max(images.shape[1:])}, or 0"
            )

        def read(items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
            return padded(images[items].transpose(1, 2, 0), height, width, "constant").transpose(2, 0, 1)[..., None]

        if labels is None:
            return ImageSource((height, width, 1), len(images), read)
        if len(labels) != len(images):
            raise ComponentError(f"{self.path}: {len(labels)} labels for {len(images)} images; the files do not belong")
        try:
            names, numbers = check_labels(labels, self.classes)
        except ValueError as error:
            raise ComponentError(f"{self.path}: {error}") from error
        return ImageSource((height, width, 1), len(images), read, names, lambda items: numbers[items])


def read_idx(path: Path, axes: int) -> UInt8[np.ndarray, "N ..."]:
    """Returns the bytes of an IDX file.

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
                content = file.read(expected + 1)  # never more than the header says, whatever gzip would yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ComponentError(f"{path}: damaged gzip file ({error}); download it again") from error
    if len(content) != expected:
        found = f"{len(content)}" if len(content) < expected else "more"
        raise ComponentError(f"{path}: {expected} bytes announced, {found} found; download it again")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _idx_shape(header: bytes, axes: int, path: Path) -> tuple[int, ...]:
    if len(header) < 4 or header[:2] != b"\0\0":
        raise ComponentError(f"{path}: no IDX file; give one in MNIST's format, or use the data sets folder or arrays")
    if header[2] != _UNSIGNED_BYTES or header[3] != axes or len(header) < 4 + 4 * axes:
        what = "images (N, height, width)" if axes == 3 else "labels (N)"
        raise ComponentError(
            f"{path}: IDX of type {header[2]} with {header[3]} axes; expected {what} of unsigned bytes (type 8, {axes})"
        )
    return struct.unpack(f">{axes}I", header[4:])


def _read_standard(folder: Path, name: str) -> UInt8[np.ndarray, "N ..."]:
    axes = 3 if "images" in name else 1
    kind = f"{name}-idx{axes}-ubyte"
    for file in (folder / kind, folder / f"{kind}.gz", folder / f"{name}.idx{axes}-ubyte"):
        if file.is_file():
            return read_idx(file, axes)
    raise ComponentError(f"{folder}: no {kind} or {kind}.gz; give a folder with MNIST's four files")
