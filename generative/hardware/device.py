"""Where tensors live: the device by name, its random streams, and how much data may stay there."""

import contextlib
from collections.abc import Iterator

import torch

GPU_SHARE = 0.5
"""Of a GPU's free memory, that data may take; the rest is for networks."""
PROCESSOR_BYTES = 1 << 30
"""Of the processor's memory, that data may take which could be read from files."""


def fits_on(device: torch.device, size: int) -> bool:
    """Return whether data of `size` bytes may stay on a device that is a GPU; on any other, False."""
    return device.type == "cuda" and size <= GPU_SHARE * torch.cuda.mem_get_info(device)[0]


def home(device: torch.device, size: int) -> torch.device | None:
    """Return where data of `size` bytes may stay: on a GPU, else in the processor's memory, else nowhere."""
    if fits_on(device, size):
        return device
    return torch.device("cpu") if size <= PROCESSOR_BYTES else None


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Feed `seed` to layers that can only draw from torch's global streams; puts the streams back after."""
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield


def resolve_device(device: str) -> torch.device:
    """Return the torch device for "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1" or "mps".

    Raises:
        ValueError: the device is unknown or not available here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r}: unknown; use auto, cpu, cuda, cuda:<index> or mps") from error
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device={device!r}: torch sees {torch.cuda.device_count()} CUDA devices; use auto or cpu")
    if resolved.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"device={device!r}: not available here; use auto or cpu")
    return resolved
