"""A data set that a GPU keeps: its items are read once, and only their numbers travel from then on."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from generative.core.device import fits_on
from generative.data.contract import Batches, Items
from generative.training.batches import each_tensor, on_device, tensors

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
    one, count = batches.read(np.arange(1)), batches.count
    size = count * sum(part.nbytes for part in tensors(one))
    if wanted < count or not fits_on(device, size):
        return batches
    whole = each_tensor(one, lambda part: part.new_empty((count, *part.shape[1:]), device=device))
    for start in range(0, count, READ_TOGETHER):
        read = batches.read(np.arange(start, min(start + READ_TOGETHER, count)))
        for place, part in zip(tensors(whole), tensors(read), strict=True):
            place[start : start + len(part)].copy_(part)

    def gather(items: Items) -> Any:
        where = on_device(torch.from_numpy(items), device)
        return each_tensor(whole, lambda part: part.index_select(0, where))

    return replace(batches, read=gather)
