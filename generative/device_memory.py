"""What data may stay where: a GPU trains on what lies in its own memory without waiting for the processor."""

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
