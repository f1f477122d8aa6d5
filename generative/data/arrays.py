"""The user's own arrays, in memory, in .npy or in .npz files; frames of an agent's world come in this way too."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped, UInt8

from generative.data.contract import ImageData, ImageSource, image_data
from generative.data.pixels import Layout, Range, range_problem, stored
from generative.options import ComponentError, did_you_mean

_CHUNK = 4096  # images looked at together, so that a file larger than memory can be checked


@dataclass(frozen=True)
class ArraysConfig:
    """Images in a .npy file (read in place, never as a whole) or with labels and factors in an .npz file."""

    path: str
    """The file. In an .npz: `images` and, where known, `labels` (N), `factors` (N F), `factor_names` (F) and `groups`
    (N), whose items stay together on one side of the split."""
    range: Range = "bytes"
    """What the numbers mean: bytes 0 to 255, unit 0 to 1, signed -1 to 1."""
    layout: Layout = "HWC"
    """Order of an image's axes; (N H W) is grey in either."""
    images: str = "images"
    """Name of the images in an .npz file, as other people's files call them x_train or imgs."""
    labels: str = "labels"
    """Name of the labels in an .npz file."""
    classes: tuple[str, ...] = ()
    """Names of the classes; their numbers by default."""

    def load(self) -> ImageData:
        """Returns the images; raises ComponentError naming the file when it cannot be used."""
        found = read_arrays(Path(self.path), self.images)
        if self.images not in found:
            raise ComponentError(
                f"{self.path}: no array {self.images!r}; set images;{did_you_mean(self.images, found)}"
            )
        names = found.get("factor_names", np.array([], str))
        try:
            return array_data(
                Path(self.path).name,
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


def array_data(
    name: str,
    images: Shaped[np.ndarray, "N ..."],
    *,
    labels: Shaped[np.ndarray, " L"] | None = None,
    factors: Shaped[np.ndarray, "M F"] | None = None,
    factor_names: Sequence[str] = (),
    groups: Shaped[np.ndarray, " G"] | None = None,
    classes: Sequence[str] = (),
    range: Range = "bytes",
    layout: Layout = "HWC",
) -> ImageData:
    """Returns arrays as a data set; nothing is copied, and conversion to bytes happens batch by batch.

    Args:
        name: begins error messages.
        images: (N H W C), (N C H W) or (N H W); may be a memory map.
        labels: class numbers from 0.
        factors: true factors, such as the simulator's state behind every frame.
        factor_names: a name per column of `factors`.
        groups: what stays together in the split, such as the track of every frame.
        classes: names of the classes.
        range: what the numbers of `images` mean.
        layout: order of an image's axes.

    Raises:
        ValueError: shapes, lengths, ranges or labels do not fit; says which and what to do.
    """
    shape = _image_shape(images, layout)
    _check_range(images, range)
    for what, array in (("labels", labels), ("factors", factors), ("groups", groups)):
        if array is not None and len(array) != len(images):
            raise ValueError(f"{name}: {len(array)} {what} for {len(images)} images; give one for each")
    names, numbers = check_labels(labels, classes) if labels is not None else ((), None)
    known = None if factors is None else _check_factors(factors, factor_names)

    def read(items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
        return stored(np.asarray(images[items]), range, layout)

    source = ImageSource(
        shape,
        len(images),
        read,
        names,
        None if numbers is None else lambda items: numbers[items],
        tuple(factor_names),
        None if known is None else lambda items: known[items],
    )
    return image_data(name, source, groups=groups)


def read_arrays(path: Path, default: str) -> dict[str, np.ndarray]:
    """Returns the arrays of an .npz file by name, or the one of an .npy file under `default`; unpickles nothing."""
    if not path.is_file():
        raise ComponentError(f"{path}: no such file; correct path")
    try:
        if path.suffix == ".npy":
            return {default: np.load(path, mmap_mode="r", allow_pickle=False)}
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if not _is_object(archive, name)}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, TypeError, AttributeError) as error:
        raise ComponentError(
            f"{path}: not a whole .npy or .npz file of plain numbers ({error}); save it again"
        ) from error


def check_labels(
    labels: Shaped[np.ndarray, " N"], classes: Sequence[str]
) -> tuple[tuple[str, ...], Int64[np.ndarray, " N"]]:
    """Returns names of classes and int64 labels; raises ValueError when they do not fit together."""
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels of {labels.dtype} {labels.shape}: expected one whole number per image")
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or (classes and high >= len(classes)):
        remedy = f"0 to {len(classes) - 1}, as there are {len(classes)} classes" if classes else "0 or more"
        raise ValueError(f"labels from {low} to {high}: give {remedy}")
    names = tuple(classes) or tuple(str(each) for each in np.arange(high + 1))
    return names, labels.astype(np.int64)


def _is_object(archive: Any, name: str) -> bool:
    """Tells an array of Python objects, which only a pickle holds, from its header."""
    with archive.zip.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return bool(read(file)[2].hasobject)


def _image_shape(images: Shaped[np.ndarray, "N ..."], layout: Layout) -> tuple[int, int, int]:
    """Returns height, width and channels; raises ValueError when they cannot be those of images."""
    size: tuple[int, ...] = images.shape[1:]
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
    """Looks at every number once, a part of the images at a time."""
    if images.dtype == bool or not np.issubdtype(images.dtype, np.number) or np.iscomplexobj(images):
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
