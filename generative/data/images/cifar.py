"""CIFAR-10 and CIFAR-100 in their binary version (Krizhevsky 2009): labels and 32 x 32 pixels, channel by channel.

The version "for Python" holds pickles, which run whatever their author wrote, and is not read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from generative.core.options import ComponentError
from generative.data.fields import Data
from generative.data.images.source import ImageSource, image_data
from generative.data.labels import check_labels
from generative.data.origin import Origin, file_digest

_PIXELS = 3 * 32 * 32
_TEN = (tuple(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin", "batches.meta.txt", 1, 10)
_HUNDRED = (("train.bin",), "test.bin", "fine_label_names.txt", 2, 100)


@dataclass(frozen=True)
class CifarConfig:
    """CIFAR-10 or CIFAR-100, whichever the folder holds."""

    path_options: ClassVar[tuple[str, ...]] = ("path",)
    path: str
    """Folder `cifar-10-batches-bin` or `cifar-100-binary`, unpacked."""

    def load(self) -> Data:
        """Return the images, their own test set held out; CIFAR-100 with its hundred fine classes.

        Raises:
            ComponentError: files are missing, cut short or something else; names them.
        """
        folder = Path(self.path)
        training, test, names, labels, classes = _HUNDRED if (folder / "train.bin").is_file() else _TEN
        parts = [_read(folder / name, labels, classes) for name in (*training, test)]
        records = np.concatenate(parts)
        images = records[:, labels:].reshape(-1, 3, 32, 32)
        found = _names(folder / names, classes)
        notes = ["the 20 coarse classes are not used"] if labels == 2 else []
        class_names, numbers = check_labels(records[:, labels - 1], found, notes)
        digests = {name: file_digest(folder / name) for name in (*training, test)}
        origin = Origin(self.path, used=len(images), found=len(images), notes=tuple(notes), files=digests)
        source = ImageSource(
            (32, 32, 3),
            len(images),
            lambda items: np.ascontiguousarray(images[items].transpose(0, 2, 3, 1)),
            class_names,
            lambda items: numbers[items],
            origin=origin,
        )
        held = np.arange(len(images) - len(parts[-1]), len(images))
        return image_data(folder.name, source, held=held)


def _read(path: Path, labels: int, classes: int) -> np.ndarray:
    """Return the records of a file, uint8 (N, labels + 3072)."""
    if not path.is_file():
        pickled = path.with_suffix("").is_file()
        advice = "these are pickles; get CIFAR's binary version" if pickled else "give the unpacked folder"
        raise ComponentError(f"{path}: no such file; {advice}")
    content = np.fromfile(path, np.uint8)
    if len(content) == 0 or len(content) % (labels + _PIXELS):
        raise ComponentError(
            f"{path}: {len(content)} bytes are no whole number of images of {labels + _PIXELS} bytes; download it again"
        )
    records = content.reshape(-1, labels + _PIXELS)
    if records[:, labels - 1].max() >= classes:
        raise ComponentError(
            f"{path}: label {records[:, labels - 1].max()} of {classes} classes; this is no CIFAR file"
        )
    return records


def _names(path: Path, classes: int) -> tuple[str, ...]:
    """Return the names in the folder's own list, or numbers where it is not there."""
    if not path.is_file():
        return tuple(str(number) for number in range(classes))
    names = tuple(line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip())
    if len(names) != classes:
        raise ComponentError(f"{path}: {len(names)} names for {classes} classes; download it again or remove it")
    return names
