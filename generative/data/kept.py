"""A data set that a GPU keeps: its items are read once, and only their numbers travel from then on."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from generative.data.orders import Batches, Items
from generative.hardware.device import fits_on
from generative.training.batches import on_device

READ_TOGETHER = 4096
"""Items."""


def kept_on_gpu(batches: Batches, device: torch.device, wanted: int) -> Batches:
    """Return the same batches, gathered on the GPU.

    Where the device is none, or the items do not fit, or fewer are wanted than there are, they are read one by one.

    Args:
        batches: the stream.
        device: where it is wanted.
        wanted: how many items will be taken from it.
    """
    count = batches.count
    one = [read(np.arange(1)) for read in batches.readers]
    if wanted < count or not fits_on(device, count * sum(each.nbytes for each in one)):
        return batches
    whole = [each.new_empty((count, *each.shape[1:]), device=device) for each in one]
    for start in range(0, count, READ_TOGETHER):
        items = np.arange(start, min(start + READ_TOGETHER, count))
        for place, read in zip(whole, batches.readers, strict=True):
            place[start : start + len(items)].copy_(read(items))
    return replace(batches, readers=tuple(_gatherer(each, device) for each in whole))


def _gatherer(whole: Tensor, device: torch.device) -> Callable[[Items], Tensor]:
    return lambda items: whole.index_select(0, on_device(torch.from_numpy(items), device))
