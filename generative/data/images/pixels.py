"""Images of any size, layout and range of numbers become stored images: uint8 (H W C) of one size."""

from typing import Literal

import cv2
import numpy as np
import torch
from jaxtyping import Shaped, UInt8

Range = Literal["bytes", "unit", "signed"]
"""What numbers of the user's arrays mean: 0 to 255, 0 to 1, or -1 to 1."""
Layout = Literal["HWC", "CHW"]
"""Order of the axes of one image in the user's arrays; images without a channel axis are grey in either."""
LIMITS = {"bytes": (0, 255), "unit": (0, 1), "signed": (-1, 1)}


def as_array(values: object, what: str) -> Shaped[np.ndarray, "..."]:
    """Return an array, a tensor of any device or a list of numbers as an array; arrays and memory maps themselves.

    Raises:
        ValueError: they are no array, or a masked one; `what` begins the message.
    """
    if isinstance(values, torch.Tensor):
        tensor = values.detach().cpu()
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.is_masked(values):
            raise ValueError(f"{what}: some values are masked; fill them in or leave those items out")
        return values.data
    if isinstance(values, np.ndarray):
        return values
    try:
        found = np.asarray(values)
    except ValueError as error:  # lists of unequal lengths
        raise ValueError(f"{what}: of different shapes, so no array; resize them alike") from error
    if found.dtype == object:
        raise ValueError(f"{what}: {type(values).__name__}; expected an array or a tensor")
    return found


def resized(
    image: UInt8[np.ndarray, "h w C"], height: int, width: int, fit: Literal["crop", "pad", "stretch"]
) -> UInt8[np.ndarray, "H W C"]:
    """Return the image at another size, averaged where it shrinks.

    Args:
        image: of any size.
        height: in pixels.
        width: in pixels.
        fit: crop scales the shorter side and keeps the middle, pad scales the longer side and adds the colour of the
            nearest edge, stretch scales both.
    """
    if image.shape[:2] == (height, width):
        return image
    down, across = height / image.shape[0], width / image.shape[1]
    if fit == "stretch":
        return _scaled(image, height, width)
    scale = max(down, across) if fit == "crop" else min(down, across)
    size = max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))
    image = _scaled(image, *size)
    if fit == "crop":
        top, left = (size[0] - height) // 2, (size[1] - width) // 2
        return image[top : top + height, left : left + width]
    return padded(image, height, width, "edge")


def padded(
    image: UInt8[np.ndarray, "h w C"], height: int, width: int, mode: Literal["edge", "constant"]
) -> UInt8[np.ndarray, "H W C"]:
    """Return the image in the middle of a larger one, whose rest is the nearest edge's colour or black."""
    top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    sides = (top, height - image.shape[0] - top), (left, width - image.shape[1] - left), (0, 0)
    return np.pad(image, sides, mode)


def stored(images: Shaped[np.ndarray, "N ..."], values: Range, layout: Layout) -> UInt8[np.ndarray, "N H W C"]:
    """Return images of checked range (see `range_problem`) as they are stored."""
    if images.ndim == 3:
        images = images[..., None]
    elif layout == "CHW":
        images = images.transpose(0, 2, 3, 1)
    if values == "bytes":
        return np.ascontiguousarray(images if images.dtype == np.uint8 else np.rint(images)).astype(np.uint8)
    low, high = LIMITS[values]
    return np.rint((images.astype(np.float32) - low) * (255 / (high - low))).astype(np.uint8)


def range_problem(low: float, high: float, values: Range) -> str | None:
    """Return what is wrong with numbers from `low` to `high` (NaN where one is), or None."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return "some values are NaN or infinite; repair or leave out those images"
    least, greatest = LIMITS[values]
    slack = 1e-3 * (greatest - least) if values != "bytes" else 0
    fitting = [name for name, (a, b) in LIMITS.items() if a <= low and high <= b]
    if not (least - slack <= low and high <= greatest + slack):
        remedy = f"set range={fitting[-1 if low < 0 else 0]}" if fitting else "scale them to 0 to 255"
        return f"values from {low:g} to {high:g}, but range={values} means {least} to {greatest}; {remedy}"
    if values == "bytes" and high <= 1:
        return f"values from {low:g} to {high:g} of 255 are black to the eye; set range=unit or give other images"
    return None


def _scaled(image: UInt8[np.ndarray, "h w C"], height: int, width: int) -> UInt8[np.ndarray, "H W C"]:
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=how).reshape(height, width, image.shape[2])
