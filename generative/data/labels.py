"""Class numbers as they come, in columns or counted from 1, become int64 from 0."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped

_MOST = 1000  # classes that nobody has to explain, however few the images


def check_labels(
    labels: Shaped[np.ndarray, "..."], classes: Sequence[str], notes: list[str]
) -> tuple[tuple[str, ...], Int64[np.ndarray, " N"]]:
    """Return names of classes and int64 labels from 0.

    Args:
        labels: one whole number per image, (N) or (N 1).
        classes: names of the classes; their numbers where there are none.
        notes: gets a line where the labels begin at 1, as those of EMNIST's letters do.

    Raises:
        ValueError: labels and names do not fit together.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2:
        raise ValueError(f"labels of shape {labels.shape}: expected one per image; give labels.argmax(1)")
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels of {labels.dtype} {labels.shape}: expected one whole number per image")
    doubled = sorted({name for name in classes if list(classes).count(name) > 1})
    if doubled:
        raise ValueError(f"classes={list(classes)}: {doubled[0]!r} twice; give every class a name of its own")
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0:
        raise ValueError(f"labels from {low} to {high}: give 0 or more")
    first = 1 if len(labels) and labels.min() == 1 and len(classes) in (0, high) else 0
    if classes and high - first >= len(classes):
        raise ValueError(
            f"labels from {low} to {high}: give 0 to {len(classes) - 1}, as there are {len(classes)} classes"
        )
    if not classes and high >= max(_MOST, 2 * len(labels)):
        raise ValueError(f"labels up to {high} for {len(labels)} images: no class numbers; number the classes from 0")
    if first:
        notes.append(f"labels from 1 to {high}: class 1 is number 0")
    names = tuple(classes) or tuple(str(each) for each in range(first, high + 1))
    return names, labels.astype(np.int64) - first


def whole_label(label: Any, place: str) -> int:
    """Return one class number, given as a number, array or tensor; raise ValueError for anything else."""
    plain = label.item() if hasattr(label, "item") and getattr(label, "size", 1) != 0 and _single(label) else label
    if isinstance(plain, float) and plain.is_integer():
        plain = int(plain)
    try:
        return operator.index(plain)
    except TypeError:
        said = f"of shape {tuple(label.shape)}" if hasattr(label, "shape") and not _single(label) else repr(label)
        raise ValueError(f"{place}: label {said}; expected one whole number, the class") from None


def _single(label: object) -> bool:
    return int(np.prod(getattr(label, "shape", ()))) == 1
