"""What can be wrong with data is found before the first step, not in a loss curve the next morning."""

from collections.abc import Iterable

import numpy as np

from generative.data.fields import Data

_SAMPLES = 64


def check_data(data: Data, *, batch: int, names: Iterable[str] = ()) -> None:
    """Raise ValueError if a training on this data cannot work; trainers call it before their first step.

    Looks at up to 64 items of either part: numbers of the right type, shape and range, items not all the same, and
    every batch can be filled.

    Args:
        data: what to train on.
        batch: items in a batch.
        names: fields that the model needs; the item itself by default.

    Raises:
        ValueError: names the data, what is wrong and what to do.
    """
    needed = tuple(names) or (data.main,)
    data.batches(batch, 0, needed)  # refuses a batch that cannot be filled, and a field that is not there
    for part, where in ((data, "training"), (data.held_out(), "held-out")):
        if len(part) == 0:
            raise ValueError(f"{data.name}: no {where} items; give more data")
        places = np.unique(np.linspace(0, len(part) - 1, _SAMPLES).astype(np.int64))
        for name, values in part.read(places, needed).items():
            problem = data.fields[name].problem(values)
            if problem is None and len(places) > 1 and name == needed[0] and (values == values[0]).all():
                problem = "all items looked at are the same; give different ones"
            if problem:
                raise ValueError(f"{data.name}, {where} part: {problem}")
