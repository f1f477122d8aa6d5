"""White squares at random places, for tests of models that must learn something."""

import torch


def squares(n: int, seed: int) -> torch.Tensor:
    """White squares of 6 pixels at random places: two factors, float (n 1 16 16) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.zeros(n, 1, 16, 16)
    for image, (top, left) in zip(images, torch.randint(0, 11, (n, 2), generator=generator).tolist(), strict=True):
        image[:, top : top + 6, left : left + 6] = 1.0
    return images


def stream(start: int):
    """Endless batches of squares, from number `start` on."""
    while True:
        yield squares(32, seed=start)
        start += 1
