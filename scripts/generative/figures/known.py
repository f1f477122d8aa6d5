"""What is known of images in yes and no: attributes, and true factors halved at their medians."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8

from generative.data import Data
from generative.features.questions import CLASSES
from scripts.generative.runs.items import places

Middles = Mapping[str, float]
"""Where each factor is halved."""


@dataclass(frozen=True)
class Known:
    """What is known of some images in yes and no, and their classes."""

    names: tuple[str, ...]
    """Of the columns: the attributes, then the factors that are not among them."""
    table: UInt8[np.ndarray, "N A"]
    """0 and 1; of a factor, whether it is above the middle."""
    classes: Int[np.ndarray, " N"] | None
    """Class numbers."""

    def target(self, name: str) -> Int[np.ndarray, " N"]:
        """Return a column, or the classes under their name; raise ValueError where it is unknown."""
        if name == CLASSES and self.classes is not None:
            return self.classes
        if name not in self.names:
            raise ValueError(f"{name!r}: these images are not known by that; they are by {', '.join(self.names)}")
        return self.table[:, self.names.index(name)].astype(np.int64)


def middles(data: Data) -> dict[str, float]:
    """Return where factors are halved: at the medians of the training part."""
    if not data.names("factors"):
        return {}
    middle = np.median(data.get("factors", places(data, 4000)), axis=0)
    return dict(zip(data.names("factors"), middle.tolist(), strict=True))


def look_up(data: Data, where: Int[np.ndarray, " N"], halved_at: Middles) -> Known:
    """Return what is known of images at some places; raise ValueError for data without attributes and factors."""
    names = list(data.names("attributes"))
    columns = [data.get("attributes", where)] if names else []
    extra = [name for name in data.names("factors") if name not in names]
    if extra:
        factors = data.get("factors", where)
        halves = [factors[:, data.names("factors").index(name)] > halved_at[name] for name in extra]
        columns.append(np.stack(halves, 1).astype(np.uint8))
    if not columns:
        raise ValueError(f"{data.name}: this data has neither attributes nor factors; use faces, shapes or car-racing")
    return Known(
        (*names, *extra), np.concatenate(columns, 1), data.get("label", where) if data.names("label") else None
    )
