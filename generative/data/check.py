"""What can be wrong with data is found before the first step, not in a loss curve the next morning."""

from collections.abc import Sequence

import numpy as np

from generative.data.contract import Beside, Data, ImageData, PointData, RowData

_SAMPLES = 64


def check_data(
    data: Data,
    *,
    batch: int,
    shape: Sequence[int] | None = None,
    beside: Beside | None = None,
) -> None:
    """Raise ValueError if a training on this data cannot work; trainers call it before their first step.

    Looks at up to 64 items of either part: numbers of the right type, shape and range, not all the same, and every
    batch can be filled.

    Args:
        data: what to train on.
        batch: items in a batch.
        shape: what the model takes: height, width and channels, features of a row, or dimensions of a point; None if
            any.
        beside: what the model needs beside the items.

    Raises:
        ValueError: names the data, what is wrong and what to do.
    """
    if shape is not None and tuple(shape) != tuple(data.shape):
        raise ValueError(
            f"{data.name}: items of shape {tuple(data.shape)}, but the model takes {tuple(shape)}; "
            "set the size and channels of one of them to those of the other"
        )
    data.batches(batch, 0)  # refuses a batch that cannot be filled
    if beside is not None and getattr(data, f"{beside[:-1]}_names" if beside != "labels" else "classes", ()) == ():
        raise ValueError(f"{data.name}: the model needs {beside}, which this data does not have; choose other data")
    for part, where in ((data, "training"), (data.held_out(), "held-out")):
        if len(part) == 0:
            raise ValueError(f"{data.name}: no {where} items; give more data")
        places = np.unique(np.linspace(0, len(part) - 1, _SAMPLES).astype(np.int64))
        problem = _problem(part, places)
        problem = problem or (_beside_problem(part, beside, places) if isinstance(part, ImageData) and beside else None)
        if problem:
            raise ValueError(f"{data.name}, {where} part: {problem}")


def _problem(part: Data, places: np.ndarray) -> str | None:
    if isinstance(part, ImageData):
        return _image_problem(part, places)
    return _row_problem(part, places) if isinstance(part, RowData) else _point_problem(part, places)


def _image_problem(data: ImageData, places: np.ndarray) -> str | None:
    images = data.images(places)
    if images.dtype != np.uint8:
        return f"images of {images.dtype}; hand them out as uint8 from 0 to 255"
    if images.shape != (len(places), *data.shape):
        return f"images of shape {images.shape[1:]}, but the data says {data.shape}; correct its reader"
    if images.max() <= 1:
        return f"no value above {images.max()} of 255, which is black to the eye; scale the images to 0 to 255"
    if len(places) > 1 and (images == images[0]).all():
        return "all images looked at are the same; give different ones"
    return None


def _row_problem(data: RowData, places: np.ndarray) -> str | None:
    rows = data.rows(places)
    if rows.dtype != np.int64 or rows.shape != (len(places), *data.shape):
        return f"rows of {rows.dtype} {rows.shape[1:]}, but the data says int64 {data.shape}; correct its reader"
    if rows.min() < 0 or (rows >= data.categories).any():
        return f"a value below 0 or not below its feature's count {data.categories}; correct its reader"
    return None


def _point_problem(data: PointData, places: np.ndarray) -> str | None:
    points = data.points(places)
    if points.dtype != np.float32 or points.shape != (len(places), *data.shape):
        return (
            f"points of {points.dtype} {points.shape[1:]}, but the data says float32 {data.shape}; correct its reader"
        )
    if not np.isfinite(points).all():
        return "some points are NaN or infinite; leave them out"
    return None


def _beside_problem(data: ImageData, beside: Beside, places: np.ndarray) -> str | None:
    known = getattr(data, beside)(places)
    if beside == "labels":
        if known.dtype != np.int64 or known.min() < 0 or known.max() >= len(data.classes):
            return (
                f"labels of {known.dtype} from {known.min()} to {known.max()}; "
                f"expected int64 from 0 to {len(data.classes) - 1}"
            )
    elif not np.isfinite(known).all():
        return f"some {beside} are NaN or infinite; leave those images out"
    return None
