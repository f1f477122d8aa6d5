"""What holds two translators between unpaired domains together, and the history that steadies their critics.

Zhu et al. 2017 (CycleGAN, arXiv 1703.10593): translated and translated back, an image is itself again (eq. 2); an image
that is in the target domain already stays as it is (section 5.2). Critics see made images of earlier steps beside new
ones (Shrivastava et al. 2017, arXiv 1612.07828, section 2.3), so that translators cannot run in circles around them.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

Translate = Callable[[Tensor], Tensor]


def cycle_loss(
    first: Float[Tensor, "B C H W"],
    second: Float[Tensor, "B C H W"],
    back_first: Float[Tensor, "B C H W"],
    back_second: Float[Tensor, "B C H W"],
) -> Float[Tensor, ""]:
    """Return the mean absolute error of images of both domains after the way there and back, summed over domains."""
    return (back_first - first).abs().mean() + (back_second - second).abs().mean()


def identity_loss(
    forward: Translate, backward: Translate, first: Float[Tensor, "B C H W"], second: Float[Tensor, "B C H W"]
) -> Float[Tensor, ""]:
    """Return how much translators change what is in their target domain already, summed over domains.

    Args:
        forward: from the first domain to the second.
        backward: from the second domain to the first.
        first: images of the first domain.
        second: images of the second domain.
    """
    return (forward(second) - second).abs().mean() + (backward(first) - first).abs().mean()


class ImageHistory(nn.Module):
    """Images that were made in earlier steps; part of the training alone, so no saved model holds them."""

    images: Tensor
    count: Tensor

    def __init__(self, capacity: int, shape: tuple[int, int, int]) -> None:
        """Make room for so many images (C H W); with none, every image is passed on as it is."""
        super().__init__()
        self.register_buffer("images", torch.zeros(capacity, *shape), persistent=False)
        self.register_buffer("count", torch.zeros((), dtype=torch.int64), persistent=False)

    @torch.no_grad()
    def exchange(self, made: Float[Tensor, "B C H W"], generator: torch.Generator) -> Float[Tensor, "B C H W"]:
        """Return new images, or old ones in their place with probability 1/2, which they then replace.

        Until the history is full, images are passed on and kept. Nothing here looks at a number, so a GPU can record
        it.

        Raises:
            ValueError: there are more images than the history holds.
        """
        made, capacity, number = made.detach(), len(self.images), len(made)
        if not capacity:
            return made
        if number > capacity:
            raise ValueError(f"history={capacity}: a batch has {number} images; raise history or lower batch")
        draws = torch.rand(capacity + number, generator=generator, device=generator.device).to(made.device)
        filling = self.count < capacity
        in_turn = (self.count + torch.arange(number, device=made.device)) % capacity
        places = torch.where(filling, in_turn, draws[:capacity].argsort()[:number])
        old = self.images[places].to(made.dtype)
        replaced = (draws[capacity:] < 0.5) & ~filling
        self.images[places] = torch.where((replaced | filling)[:, None, None, None], made, old).to(self.images.dtype)
        self.count += number
        return torch.where(replaced[:, None, None, None], old, made)
