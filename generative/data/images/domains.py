"""Two sets of images as two domains, for models that translate between them: no image belongs to one of the other."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from generative.core.options import ComponentError
from generative.data.fields import Data, Reader
from generative.data.images.folder import FolderConfig
from generative.data.orders import Items
from generative.data.origin import Origin


@dataclass(frozen=True)
class DomainsConfig:
    """Two folders of images as two domains, such as trainA and trainB of published ones."""

    path_options: ClassVar[tuple[str, ...]] = ("path", "other")
    path: str
    """Folder of the first domain."""
    other: str
    """Folder of the other domain."""
    size: int = 64
    """Height and width that every image gets."""
    channels: Literal[1, 3] = 3
    """3 for colours, 1 for grey."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """How an image of another shape gets there, as of the data set `folder`."""

    def load(self) -> Data:
        """Return the fields "image" and "other"; errors as of the data set `folder`."""
        first, second = (
            FolderConfig(path, self.size, self.size, self.fit, self.channels).load() for path in (self.path, self.other)
        )
        return two_domains("domains", first, second)


def two_domains(name: str, first: Data, second: Data) -> Data:
    """Return the first field of two data sets as "image" and "other" of one.

    Where a data set is the shorter one, its items come around again. Read them `unpaired`: what stands at one place is
    no pair.

    Raises:
        ComponentError: their items are of different shapes.
    """
    if first.item != second.item:
        raise ComponentError(
            f"{name}: items of {first.item.shape} in {first.name} and of {second.item.shape} in {second.name}; "
            "give both the same size and channels"
        )
    sides = {"image": first, "other": second}
    training, held = max(len(first), len(second)), max(len(first.held_out()), len(second.held_out()))

    def reader(side: Data) -> Reader:
        trained, tested = side.items, side.held_out().items

        def read(items: Items) -> np.ndarray:
            later = items >= training
            return side.readers[side.main](
                np.where(later, tested[(items - training) % len(tested)], trained[items % len(trained)])
            )

        return read

    return Data(
        name,
        {field: side.item for field, side in sides.items()},
        {field: reader(side) for field, side in sides.items()},
        np.arange(training),
        np.arange(training, training + held),
        _origin(first, second),
    )


def _origin(first: Data, second: Data) -> Origin:
    """Return where both come from, in one; files are named by domain, so that folders may move."""
    origins = {"image": first.origin, "other": second.origin}
    return Origin(
        root=" and ".join(each.root for each in origins.values() if each.root),
        what=first.origin.what,
        used=sum(each.used for each in origins.values()),
        found=sum(each.found for each in origins.values()),
        left_out={f"{name}, {why}": names for name, each in origins.items() for why, names in each.left_out.items()},
        notes=tuple(f"{name}: {note}" for name, each in origins.items() for note in each.notes),
        files={f"{name}/{file}": digest for name, each in origins.items() for file, digest in each.files.items()},
    )
