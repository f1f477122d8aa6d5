"""Images spoiled on purpose, as generative models spoil theirs: what a judge learns to tell from intact ones.

An image of data without labels asks nothing else, and a network that only knows classes may not care for blur.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

KINDS = ("intact", "blurred", "speckled", "painted over", "recoloured", "mixed")
"""What can have been done to an image; the first is nothing."""


def spoil(
    images: Float[Tensor, "B C H W"], generator: torch.Generator
) -> tuple[Float[Tensor, "B C H W"], Int[Tensor, " B"]]:
    """Return images in [0, 1] each spoiled in one way or left intact, and the numbers of the ways in `KINDS`.

    How much is drawn for every image, and for half of them a rectangle that alone is changed; the weakest changes can
    hardly be seen.
    """
    kind = torch.randint(len(KINDS), (len(images),), generator=generator, device=generator.device).to(images.device)
    spoiled = images.clone()
    for number, change in enumerate(_CHANGES, 1):
        chosen = (kind == number).nonzero()[:, 0]
        if len(chosen):
            spoiled[chosen] = change(images[chosen], generator).clamp(0, 1)
    inside, _, _ = _rectangles(images, generator, 0.3, 0.7)
    everywhere = torch.rand((len(images), 1, 1, 1), generator=generator, device=generator.device).to(images) < 0.5
    return torch.where(inside | everywhere, spoiled, images), kind


def _blurred(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mix an image with itself through a binomial filter, applied one to three times."""
    soft = images
    kernel = torch.tensor([1.0, 2.0, 1.0]).to(images) / 4
    for _ in range(1 + int(torch.randint(3, (), generator=generator, device=generator.device))):
        soft = _filtered(soft, kernel)
    return torch.lerp(images, soft, _drawn(images, generator, 0.4, 1.0))


def _filtered(images: Tensor, kernel: Tensor) -> Tensor:
    channels, reach = images.shape[1], len(kernel) // 2
    padded = functional.pad(images, (reach, reach, reach, reach), mode="replicate")
    across = functional.conv2d(padded, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return functional.conv2d(across, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)


def _speckled(images: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(images.shape, generator=generator, device=generator.device).to(images)
    share = _drawn(images, generator, 0.05, 1.0)
    where = torch.rand(images.shape, generator=generator, device=generator.device).to(images) < share
    return images + _drawn(images, generator, 0.03, 0.25) * noise * where


def _painted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Paint rectangles over, each in the colour of one of the image's own pixels beside its corner."""
    inside, y, x = _rectangles(images, generator, 0.1, 0.4)
    colour = images[torch.arange(len(images), device=images.device), :, y, x]
    return torch.where(inside, colour[:, :, None, None], images)


def _recoloured(images: Tensor, generator: torch.Generator) -> Tensor:
    """Move every channel by itself, in brightness and contrast."""
    shape = (*images.shape[:2], 1, 1)
    shift, scale = (2 * torch.rand(shape, generator=generator, device=generator.device).to(images) - 1 for _ in "ab")
    return images * (1 + 0.3 * scale) + 0.2 * shift


def _mixed(images: Tensor, generator: torch.Generator) -> Tensor:
    """Lay another image over it, half transparent or beyond a straight border."""
    other = images.roll(1, 0)
    place = torch.linspace(0, 1, images.shape[2]).to(images).view(1, 1, -1, 1)
    beyond = (place > _drawn(images, generator, 0.25, 0.75)).to(images)
    ghost = _drawn(images, generator, 0.15, 0.5)
    seam = torch.rand((len(images), 1, 1, 1), generator=generator, device=generator.device).to(images) < 0.5
    return torch.lerp(images, other, torch.where(seam, beyond.expand_as(images), ghost.expand_as(images)))


def _rectangles(
    images: Tensor, generator: torch.Generator, least: float, most: float
) -> tuple[Bool[Tensor, "B 1 H W"], Int[Tensor, " B"], Int[Tensor, " B"]]:
    """Return a rectangle for each image, its sides shares of the image's, and row and column of a pixel outside it."""
    covered, outside = [], []
    for side in images.shape[2:]:
        middle, length = _drawn(images, generator, 0.0, 1.0)[:, 0, 0] * side, _drawn(images, generator, least, most)
        length = length[:, 0, 0] * side
        covered.append((torch.arange(side, device=images.device) - middle).abs() < length / 2)
        outside.append(((middle + 0.6 * length).long() % side)[:, 0])
    return covered[0][:, None, :, None] & covered[1][:, None, None], outside[0], outside[1]


def _drawn(images: Tensor, generator: torch.Generator, low: float, high: float) -> Float[Tensor, "B 1 1 1"]:
    numbers = torch.rand((len(images), 1, 1, 1), generator=generator, device=generator.device)
    return (low + (high - low) * numbers).to(images)


_CHANGES: tuple[Callable[[Tensor, torch.Generator], Tensor], ...] = (
    _blurred,
    _speckled,
    _painted,
    _recoloured,
    _mixed,
)
