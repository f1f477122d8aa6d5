"""The user's own arrays, in memory, in .npy or in .npz files; frames of an agent's world come in this way too."""

import difflib
import math
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int64, Shaped, UInt8
from PIL import Image
from torch import Tensor

from generative.core.facts import FactsView
from generative.core.options import ComponentError, did_you_mean
from generative.data.fields import Data
from generative.data.images.pixels import Layout, Range, as_array, range_problem, stored
from generative.data.images.source import ImageSource, image_data
from generative.data.labels import check_labels
from generative.data.origin import Origin, file_digest

_BESIDE = ("factors", "factor_names", "groups")
_CHUNK = 4096  # images looked at together, so that a file larger than memory can be checked


@dataclass(frozen=True)
class ArraysConfig:
    """Images in a .npy file (read in place, never as a whole) or with labels and factors in an .npz file."""

    path_options: ClassVar[tuple[str, ...]] = ("path",)
    path: str
    """The file. In an .npz: `images` and, where known, `labels` (N), `factors` (N F), `factor_names` (F) and `groups`
    (N), whose items stay together on one side of the split."""
    range: Range = "bytes"
    """What the numbers mean: bytes 0 to 255, unit 0 to 1, signed -1 to 1."""
    layout: Layout = "HWC"
    """Order of an image's axes; (N H W) is grey in either, and rows (N P) are square grey images."""
    images: str = "images"
    """Name of the images in an .npz file, as other people's files call them x_train or imgs."""
    labels: str = "labels"
    """Name of the labels in an .npz file."""
    classes: tuple[str, ...] = ()
    """Names of the classes; their numbers by default."""
    size: int = 0
    """Height and width: smaller images get a black border, so that 28 pixels become 32; 0 keeps them as they are."""

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError(f"size={self.size}: must not be negative; 0 keeps the size of the images")

    def load(self) -> Data:
        """Return the images; raise ComponentError naming the file when it cannot be used."""
        path = Path(self.path)
        found, objects = read_arrays(path, self.images)
        self._check_names(found, objects)
        names = found.get("factor_names", np.array([], str))
        try:
            data = array_data(
                path.name,
                found[self.images],
                labels=found.get(self.labels),
                factors=found.get("factors"),
                factor_names=[str(each) for each in names],
                groups=found.get("groups"),
                classes=self.classes,
                range=self.range,
                layout=self.layout,
            )
        except ValueError as error:
            raise ComponentError(f"{self.path}: {error}") from error
        unasked = sorted(set(found) - {self.images, self.labels, *_BESIDE})
        left_out = {"arrays that nothing asks for": tuple(unasked), "arrays of Python objects": tuple(objects)}
        origin = replace(
            data.origin,
            root=self.path,
            left_out={reason: each for reason, each in left_out.items() if each},
            files={path.name: file_digest(path)},
        )
        return replace(self._bordered(data), origin=origin)

    def _bordered(self, data: Data) -> Data:
        """Return images of `size`; raise ComponentError where they are larger."""
        height, width, channels = data.item.shape
        if not self.size or (height, width) == (self.size, self.size):
            return data
        if max(height, width) > self.size:
            raise ComponentError(
                f"size={self.size}: the images of {self.path} have {height} x {width} pixels; "
                f"give at least {max(height, width)}, or 0"
            )
        inner = data.readers["image"]

        def read(items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
            top, left = (self.size - height) // 2, (self.size - width) // 2
            images = np.zeros((len(items), self.size, self.size, channels), np.uint8)
            images[:, top : top + height, left : left + width] = inner(items)
            return images

        item = replace(data.item, shape=(self.size, self.size, channels))
        return replace(data, fields={**data.fields, "image": item}, readers={**data.readers, "image": read})

    def _check_names(self, found: FactsView, objects: Collection[str]) -> None:
        """Raise ComponentError where an array that is asked for is missing, or one was probably misspelt."""
        given = {"images": self.images, **({"labels": self.labels} if self.labels != "labels" else {})}
        for option, name in given.items():
            if name in objects:
                raise ComponentError(f"{self.path}: array {name!r} holds Python objects; save plain numbers")
            if name not in found:
                raise ComponentError(f"{self.path}: no array {name!r}; set {option};{did_you_mean(name, list(found))}")
        if self.classes and self.labels not in found:
            raise ComponentError(f"{self.path}: classes={list(self.classes)} but no array {self.labels!r}; set labels")
        unasked = sorted({*found, *objects} - {self.images, self.labels, *_BESIDE})
        for name in (self.labels, *_BESIDE):
            near = difflib.get_close_matches(name, unasked, 1, 0.75) if name not in found else []
            if near:
                raise ComponentError(
                    f"{self.path}: nothing reads the array {near[0]!r}; did you mean {name!r}? Rename it"
                    f"{f', or set labels={near[0]}' if name == self.labels else ''}"
                )


def array_data(
    name: str,
    images: Shaped[np.ndarray, "N ..."] | Shaped[Tensor, "N ..."] | Sequence[object],
    *,
    labels: Shaped[np.ndarray, "..."] | Shaped[Tensor, "..."] | Sequence[int] | None = None,
    factors: Shaped[np.ndarray, "M F"] | Shaped[Tensor, "M F"] | None = None,
    factor_names: Sequence[str] = (),
    groups: Shaped[np.ndarray, " G"] | Shaped[Tensor, " G"] | Sequence[object] | None = None,
    classes: Sequence[str] = (),
    range: Range = "bytes",
    layout: Layout = "HWC",
) -> Data:
    """Return arrays as a data set; nothing is copied, and conversion to bytes happens batch by batch.

    Args:
        name: begins error messages.
        images: (N H W C), (N C H W), (N H W), or rows (N P) of square grey images; may be a memory map.
        labels: class numbers from 0 or from 1, (N) or (N 1).
        factors: true factors, such as the simulator's state behind every frame.
        factor_names: a name per column of `factors`.
        groups: what stays together in the split, such as the track of every frame.
        classes: names of the classes.
        range: what the numbers of `images` mean.
        layout: order of an image's axes.

    Raises:
        ValueError: shapes, lengths, ranges or labels do not fit; says which and what to do.
    """
    notes: list[str] = []
    pixels = _images(images, notes)
    shape = _image_shape(pixels, layout)
    _check_range(pixels, range)
    beside = {"labels": labels, "factors": factors, "groups": groups}
    given = {what: as_array(each, what) for what, each in beside.items() if each is not None}
    for what, array in given.items():
        if len(array) != len(pixels):
            raise ValueError(f"{name}: {len(array)} {what} for {len(pixels)} images; give one for each")
    for what, option, named in (("labels", "classes", classes), ("factors", "factor_names", factor_names)):
        if named and what not in given:
            raise ValueError(f"{name}: {option} without {what}; give both or neither")
    names, numbers = check_labels(given["labels"], classes, notes) if "labels" in given else ((), None)
    known = _check_factors(given["factors"], factor_names) if "factors" in given else None

    def read(items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
        return stored(np.asarray(pixels[items]), range, layout)

    source = ImageSource(
        shape,
        len(pixels),
        read,
        names,
        None if numbers is None else lambda items: numbers[items],
        tuple(factor_names),
        None if known is None else lambda items: known[items],
        origin=Origin(root=name, used=len(pixels), found=len(pixels), notes=tuple(notes)),
    )
    return image_data(name, source, groups=given.get("groups"))


def read_arrays(path: Path, default: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the arrays of an .npz file by name, or the one of an .npy file under `default`; unpickles nothing.

    The second result names the arrays of Python objects, which only a pickle holds.
    """
    if not path.is_file():
        raise ComponentError(f"{path}: no such file; correct path")
    try:
        with path.open("rb") as file:
            single = file.read(6) == b"\x93NUMPY"
        if single:
            return {default: np.load(path, mmap_mode="r", allow_pickle=False)}, []
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            objects = [name for name in archive.files if _is_object(archive, name)]
            return {name: archive[name] for name in archive.files if name not in objects}, objects
    except MemoryError as error:
        raise ComponentError(f"{path}: does not fit into memory; save the images alone as .npy") from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, TypeError, AttributeError) as error:
        raise ComponentError(
            f"{path}: not a whole .npy or .npz file of plain numbers ({error}); save it again"
        ) from error


def _is_object(archive: Any, name: str) -> bool:
    """Tell an array of Python objects, which only a pickle holds, from its header."""
    with archive.zip.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return bool(read(file)[2].hasobject)


def _images(images: Any, notes: list[str]) -> Shaped[np.ndarray, "N ..."]:
    """Return images as an array, rows as squares."""
    if not isinstance(images, np.ndarray | Tensor) and any(isinstance(each, Image.Image) for each in images):
        raise ValueError("images: pictures of Pillow; hand them to dataset_data, which looks up their palettes")
    found = as_array(images, "images")
    side = math.isqrt(found.shape[1]) if found.ndim == 2 else 0
    if side > 1 and side * side == found.shape[1]:
        notes.append(f"rows of {found.shape[1]} numbers, read as grey images of {side} x {side} pixels")
        return found.reshape(-1, side, side)
    return found


def _image_shape(images: Shaped[np.ndarray, "N ..."], layout: Layout) -> tuple[int, int, int]:
    """Return height, width and channels; raise ValueError when they cannot be those of images."""
    size: tuple[int, ...] = images.shape[1:]
    if len(size) == 2 and size[1] <= 4:
        raise ValueError(
            f"images of shape {images.shape}: grey images {size[1]} pixels wide, or one image in colour; "
            "give (N, height, width, channels)"
        )
    if len(size) == 2:
        size = (*size, 1)
    elif len(size) == 3 and layout == "CHW":
        size = (*size[1:], size[0])
    if len(size) != 3 or 0 in size:
        raise ValueError(f"images of shape {images.shape}: expected (N, height, width, channels) or (N, height, width)")
    if size[2] > 4:
        other = "HWC" if layout == "CHW" else "CHW"
        raise ValueError(
            f"images of shape {images.shape} have {size[2]} channels in layout={layout}; set layout={other}"
        )
    return size[0], size[1], size[2]


def _check_range(images: Shaped[np.ndarray, "N ..."], values: Range) -> None:
    """Look at every number once, a part of the images at a time."""
    if images.dtype == bool:
        raise ValueError("images of bool: true and false; give 255 * images as uint8")
    if not np.issubdtype(images.dtype, np.number) or np.iscomplexobj(images):
        raise ValueError(f"images of {images.dtype}: expected real numbers; convert them, for example to uint8")
    low, high = np.inf, -np.inf
    for start in np.arange(0, len(images), _CHUNK):
        part = images[start : start + _CHUNK]
        low, high = np.minimum(low, part.min()), np.maximum(high, part.max())  # keep a NaN
    problem = range_problem(float(low), float(high), values) if len(images) else None
    if problem:
        raise ValueError(f"images: {problem}")


def _check_factors(factors: Shaped[np.ndarray, "N F"], names: Sequence[str]) -> np.ndarray:
    if factors.ndim != 2 or factors.shape[1] != len(names):
        raise ValueError(f"factors of shape {factors.shape}: give a column for each of {len(names)} factor_names")
    converted = factors.astype(np.float32)
    if not np.isfinite(converted).all():
        raise ValueError("factors: some are NaN or infinite; repair or leave out those items")
    return converted
