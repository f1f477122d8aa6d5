"""Images by number and what is known about them: the way to make data of images."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Int64, Shaped, UInt8

from generative.data.draws import split
from generative.data.fields import Data, Field, Reader
from generative.data.orders import Items
from generative.data.origin import Origin


@dataclass(frozen=True)
class ImageSource:
    """All images of a data set, by number, and what is known about them; each function takes item numbers."""

    shape: tuple[int, int, int]
    """Height, width and channels."""
    count: int
    """Number of images, held-out ones included."""
    images: Callable[[Items], UInt8[np.ndarray, "N H W C"]]
    """Return images."""
    classes: tuple[str, ...] = ()
    """Names of the classes; empty where there are none."""
    labels: Callable[[Items], Int64[np.ndarray, " N"]] | None = None
    """Return class numbers."""
    factor_names: tuple[str, ...] = ()
    """Names of the true factors of variation, a column each."""
    factors: Callable[[Items], Float32[np.ndarray, "N F"]] | None = None
    """Return true factors in their own units."""
    attribute_names: tuple[str, ...] = ()
    """Names of the yes-or-no attributes, a column each."""
    attributes: Callable[[Items], UInt8[np.ndarray, "N A"]] | None = None
    """Return attributes as 0 and 1."""
    origin: Origin = field(default_factory=Origin)
    """Where the images come from, and what was left out."""


def image_data(
    name: str,
    source: ImageSource,
    *,
    held: Int64[np.ndarray, " E"] | None = None,
    groups: Shaped[np.ndarray, " N"] | None = None,
) -> Data:
    """Return images as data with the fields "image" and, where known, "label", "factors" and "attributes".

    Args:
        name: begins error messages.
        source: all images.
        held: numbers of the images to hold out, for data that comes with a test set; about one in ten by default.
        groups: one entry per image; those of a group stay on one side. Not together with `held`.

    Raises:
        ValueError: one of the parts would be empty.
    """
    try:
        if held is None:
            training, held = split(source.count, groups)
        else:
            training = np.setdiff1d(np.arange(source.count), held)
        if not (len(training) and len(held)):
            raise ValueError(f"{len(training)} images to train on and {len(held)} to hold out; give some of both")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    fields = {"image": Field("image", source.shape, "uint8")}
    readers: dict[str, Reader] = {"image": source.images}
    if source.labels is not None:
        fields["label"] = Field("label", (), "int64", source.classes, (len(source.classes),))
        readers["label"] = source.labels
    if source.factors is not None:
        fields["factors"] = Field("factors", (len(source.factor_names),), "float32", source.factor_names)
        readers["factors"] = source.factors
    if source.attributes is not None:
        names = source.attribute_names
        fields["attributes"] = Field("attributes", (len(names),), "uint8", names, (2,))
        readers["attributes"] = source.attributes
    return Data(name, fields, readers, training, held, source.origin)
