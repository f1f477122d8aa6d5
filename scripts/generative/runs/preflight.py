"""What can be known of a training before its folder is made: whether its sizes fit into the machine's memory.

Amounts are lower bounds: what passes may still not fit, what is refused cannot.
"""

import math

import numpy as np

from generative import MODELS, offers
from generative.core.options import check_numbers
from generative.data import Data
from generative.data.registry import Counted
from generative.runs.run_folder import TrainingConfig
from worldmodels.machine import check_fits
from worldmodels.run.preflight import imagined

MANY = {"point": 4}
"""How many times as many samples are shown of a kind of items: points are small."""
SPLIT_BYTES = 48
"""Of an item while data are parted into training and held-out: numbers, what they are sorted by, the order."""


def check_data_options(config: object) -> None:
    """Refuse options of a data set that mean nothing, or more items than can be counted in memory.

    Raises:
        ValueError: a number is infinite, NaN or too large to mean anything.
        RunError: there are too many items.
    """
    check_numbers(config, "data")
    if isinstance(config, Counted):
        check_fits("data.count", config.count, SPLIT_BYTES * config.count)


def check_sizes(config: TrainingConfig, data: Data) -> None:
    """Refuse a model, a batch or a grid that cannot fit into memory, without making it.

    Raises:
        RunError: names the field.
    """
    number = 4 if data.item.kind == "image" else np.dtype(data.item.dtype).itemsize  # bytes; images become float32
    item = math.prod(data.item.shape) * number
    check_fits("data.options: the shape of an item", data.item.shape, item)
    check_fits("batch", config.batch, config.batch * item)
    module = imagined(lambda: MODELS.create(config.model.type, config.model.options, config.seed))
    if module is not None:
        weights = sum(each.numel() for each in module.parameters() if each.requires_grad)
        # With gradients and Adam's two means.
        check_fits("model.options: a network", f"of {weights:,} weights", 16 * weights)
    if module is None or offers(module, "sample"):
        check_fits("shown", config.shown, MANY.get(data.item.kind, 1) * config.shown * item)
