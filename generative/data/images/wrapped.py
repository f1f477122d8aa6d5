"""Any map-style PyTorch `Dataset` as data: those of torchvision, of other libraries, or the user's own."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int64, Shaped, UInt8
from PIL import Image

from generative.data.fields import Data
from generative.data.images.pictures import Unreadable, brightest, is_deep, pixels, white_of
from generative.data.images.pixels import Layout, Range, as_array, range_problem, stored
from generative.data.images.source import ImageSource, image_data
from generative.data.labels import whole_label
from generative.data.origin import Origin

_IMAGE_KEYS = ("image", "images", "pixel_values", "img", "x")
_LABEL_KEYS = ("label", "labels", "target", "y")
_LOOKED_AT = 64


def dataset_data(
    dataset: Any,
    *,
    name: str = "dataset",
    range: Range | Literal["auto"] = "auto",
    layout: Layout | Literal["auto"] = "auto",
    classes: Sequence[str] = (),
) -> Data:
    """Return a map-style dataset as images; items are read one by one, when a batch asks for them.

    An item is an image, a tuple (image, label, ...) or a mapping with such keys; an image is a tensor, an array or a
    PIL image; of a PIL image palettes are looked up, rotations done and transparent parts made white. Every item must
    have the shape of the first one.

    Args:
        dataset: has a length and items by number.
        name: begins error messages.
        range: what the numbers mean; auto takes whole numbers for bytes and fractions for 0 to 1.
        layout: order of an image's axes; auto is CHW for tensors, HWC for everything else.
        classes: names of the classes; without them labels are not handed on.

    Raises:
        ValueError: the dataset has no length or its first item is no image; later, an item that differs.
    """
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise ValueError(f"{name}: a stream without length and numbers; give a map-style dataset, or collect it first")
    if len(dataset) < 2:
        raise ValueError(f"{name}: {len(dataset)} items; give at least 2, as one is held out")

    highest = _brightest(dataset, name)

    def image(item: int) -> UInt8[np.ndarray, "H W C"]:
        found = _part(dataset[item], 0, _IMAGE_KEYS, name)
        place = f"{name}[{item}]"
        if isinstance(found, Image.Image):
            return _picture(found, white_of(highest), place)
        axes = layout if layout != "auto" else ("CHW" if isinstance(found, torch.Tensor) else "HWC")
        return _stored_image(as_array(found, place), range, axes, place)

    first = image(0)
    shape = first.shape
    notes = []
    if not (image(0) == first).all():
        notes.append("items differ each time they are read: what is held out is not fixed")
    if highest:
        notes.append(f"more than 8 bits a colour, {white_of(highest)} read as white")
    if not classes and isinstance(dataset[0], tuple | list) and len(dataset[0]) > 1:
        notes.append("labels not used: give the names of the classes")

    def images(items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
        batch = np.empty((len(items), *shape), np.uint8)
        for place, item in zip(batch, items.tolist(), strict=True):
            pixels = image(item)
            if pixels.shape != shape:
                raise ValueError(f"{name}[{item}]: shape {pixels.shape}, but item 0 has {shape}; resize them alike")
            place[:] = pixels
        return batch

    def labels(items: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " N"]:
        found = [whole_label(_part(dataset[item], 1, _LABEL_KEYS, name), f"{name}[{item}]") for item in items.tolist()]
        wrong = [each for each in found if not 0 <= each < len(classes)]
        if wrong:
            raise ValueError(f"{name}: label {wrong[0]}, but there are {len(classes)} classes; name them all")
        return np.array(found, np.int64)

    height, width, channels = shape
    source = ImageSource(
        (height, width, channels),
        len(dataset),
        images,
        tuple(classes),
        labels if len(classes) else None,
        origin=Origin(root=name, what="items", used=len(dataset), found=len(dataset), notes=tuple(notes)),
    )
    return image_data(name, source)


def _brightest(dataset: Any, name: str) -> int:
    """Return the largest number in some pictures of more than 8 bits a colour; 0 where there are none."""
    highest = 0
    for item in np.unique(np.linspace(0, len(dataset) - 1, _LOOKED_AT).astype(np.int64)).tolist():
        found = _part(dataset[item], 0, _IMAGE_KEYS, name)
        if not isinstance(found, Image.Image) or not is_deep(found):
            return highest
        highest = max(highest, brightest(found))
    return highest


def _picture(picture: Image.Image, white: int, place: str) -> UInt8[np.ndarray, "H W C"]:
    try:
        if is_deep(picture) and brightest(picture) > white:
            raise ValueError(
                f"{place}: values up to {brightest(picture)}, but no picture looked at before had any above {white}; "
                "scale them all to 0 to 255"
            )
        return pixels(picture, white=white)
    except Unreadable as error:
        raise ValueError(f"{place}: {error}") from error


def _part(item: Any, place: int, keys: Sequence[str], name: str) -> Any:
    """Return the image (place 0) or the label (place 1) of an item."""
    if isinstance(item, Mapping):
        for key in keys:
            if key in item:
                return item[key]
        raise ValueError(f"{name}: items have the keys {', '.join(map(str, item))}; expected {keys[0]!r}")
    if isinstance(item, tuple | list):
        if len(item) > place:
            return item[place]
    elif place == 0:
        return item
    raise ValueError(f"{name}: items have no label; leave out classes, or give (image, label)")


def _stored_image(
    pixels: Shaped[np.ndarray, "..."], values: Range | Literal["auto"], layout: Layout, place: str
) -> UInt8[np.ndarray, "H W C"]:
    if pixels.dtype == bool:
        raise ValueError(f"{place}: true and false; give 255 * image as uint8")
    if pixels.ndim not in (2, 3) or 0 in pixels.shape or not np.issubdtype(pixels.dtype, np.number):
        raise ValueError(f"{place}: {pixels.dtype} of shape {pixels.shape}; expected an image with 2 or 3 axes")
    meant: Range = values if values != "auto" else ("bytes" if np.issubdtype(pixels.dtype, np.integer) else "unit")
    # One dark image is no mistake; a whole data set of them is, and the check before training finds it.
    problem = range_problem(float(pixels.min()), float(max(pixels.max(), 2 if meant == "bytes" else 0)), meant)
    if problem:
        raise ValueError(f"{place}: {problem}")
    image = stored(pixels[None], meant, layout)[0]
    if image.shape[2] > 4:
        raise ValueError(f"{place}: {image.shape[2]} channels in layout={layout}; set layout to the other order")
    return image
