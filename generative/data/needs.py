"""What a model says of the data that it can be trained on, so that sizes follow from the data."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from generative.core.facts import Facts
from generative.core.options import ComponentError
from generative.data.fields import Field


@runtime_checkable
class FitsData(Protocol):
    """A component that a data set decides the sizes of.

    A class may say in `order: ClassVar[Order]` which batches it is trained on; shuffled ones by default.
    """

    @property
    def inputs(self) -> tuple[str, ...]:
        """Fields of a batch in their order: a batch is one tensor for one field, else a tuple."""

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return the options that the data decide.

        Raises:
            ComponentError: a field is missing, or is not what the model takes.
        """


def needed(model: type, fields: Mapping[str, Field], name: str) -> Field:
    """Return a field that a model cannot do without; raise ComponentError where it is missing."""
    if name not in fields:
        raise ComponentError(
            f"{_called(model)} needs the field {name!r}, and the data has {', '.join(fields)}; "
            "choose other data, or another model"
        )
    return fields[name]


def square_image(model: type, fields: Mapping[str, Field], name: str = "image") -> Facts:
    """Return `image_size` and `channels` for a model of square images; raise ComponentError for data of others."""
    height, width, channels = needed(model, fields, name).shape
    if height != width:
        raise ComponentError(
            f"{_called(model)} takes square images, and these have {height} x {width} pixels; "
            "crop or pad them, or choose another model"
        )
    return {"image_size": height, "channels": channels}


def label_classes(model: type, fields: Mapping[str, Field]) -> Facts:
    """Return `classes` for a model of labels."""
    return {"classes": len(needed(model, fields, "label").names)}


def _called(model: type) -> str:
    return str(getattr(model, "type_name", model.__name__))
