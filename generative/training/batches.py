"""Batches as a training step takes them: a tensor, or a tuple, list, named tuple or dict of such."""

from collections.abc import Callable, Hashable, Iterator
from typing import Any

import torch
from torch import Tensor


def each_tensor(batch: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Return a batch of the same make with every tensor put through a function."""
    if isinstance(batch, Tensor):
        return function(batch)
    if isinstance(batch, dict):
        return {name: each_tensor(part, function) for name, part in batch.items()}
    made = [each_tensor(part, function) for part in batch]
    return type(batch)(*made) if hasattr(batch, "_fields") else type(batch)(made)


def tensors(batch: Any) -> Iterator[Tensor]:
    """Yield the tensors of a batch in their order."""
    if isinstance(batch, Tensor):
        yield batch
        return
    for part in batch.values() if isinstance(batch, dict) else batch:
        yield from tensors(part)


def batch_size(batch: Any) -> int:
    """Return how many items a batch has."""
    return next(tensors(batch)).shape[0]


def form(batch: Any) -> Hashable:
    """Return what two batches have in common that the same operations fit: make, shapes and types."""
    if isinstance(batch, Tensor):
        return tuple(batch.shape), batch.dtype
    if isinstance(batch, dict):
        return tuple((name, form(part)) for name, part in batch.items())
    return type(batch), tuple(form(part) for part in batch)


def on_device(batch: Any, device: torch.device) -> Any:
    """Return a batch on a device, without waiting until it is there."""
    return each_tensor(batch, lambda tensor: _pinned(tensor, device).to(device, non_blocking=True))


def room_for(batch: Any, device: torch.device) -> Any:
    """Return a batch of the same form on a device, its numbers undefined."""
    return each_tensor(batch, lambda tensor: torch.empty_like(tensor, device=device))


def copy_into(room: Any, batch: Any) -> None:
    """Copy a batch into one of the same form, without waiting until it is there."""
    for place, tensor in zip(tensors(room), tensors(batch), strict=True):
        place.copy_(_pinned(tensor, place.device), non_blocking=True)


def _pinned(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor in memory that a GPU reads by itself, where one is to read it."""
    return tensor.pin_memory() if device.type == "cuda" and tensor.device.type == "cpu" else tensor
