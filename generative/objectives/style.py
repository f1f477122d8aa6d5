"""What a picture keeps of a content, and what it takes over of a style.

Gatys, Ecker & Bethge 2016 ("Image Style Transfer Using Convolutional Neural Networks", CVPR) read both off the maps F
of a fixed network: content is the maps of one layer (eq. 1), style the Gram matrices of several (eq. 3 to 5), which say
which features occur together, and not where. Their networks differ in the scale of their maps, so that a weight would
mean another thing for each of them; here each term is a share: 0 where it is met, about 1 for a picture that has
nothing of it. Johnson, Alahi & Fei-Fei 2016 (arXiv 1603.08155, section 3.2) train a network by the same terms.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def gram(maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C C"]:
    """Return `G_ij = sum_k F_ik F_jk / (H W)`: how strongly features occur together, whatever the size (eq. 3)."""
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def content_loss(made: Float[Tensor, "B C H W"], wanted: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
    """Return `|F - P|^2 / |P|^2` of the maps of a made picture and of the content, the mean of pictures (eq. 1)."""
    return _share(made, wanted)


def style_loss(made: Sequence[Float[Tensor, "B _ _ _"]], wanted: Sequence[Float[Tensor, "1 _ _"]]) -> Float[Tensor, ""]:
    """Return the mean over layers of `|G - A|^2 / |A|^2`, G of a made picture and A of the style (eq. 4, 5)."""
    shares = [_share(gram(maps), matrix.expand(len(maps), -1, -1)) for maps, matrix in zip(made, wanted, strict=True)]
    return torch.stack(shares).mean()


def total_variation(images: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
    """Return the mean absolute difference of neighbours, across plus down (Rudin, Osher & Fatemi 1992)."""
    across, down = images[..., 1:] - images[..., :-1], images[..., 1:, :] - images[..., :-1, :]
    return across.abs().mean() + down.abs().mean()


def _share(made: Tensor, wanted: Tensor) -> Float[Tensor, ""]:
    missed, whole = (made - wanted).square().flatten(1).sum(1), wanted.square().flatten(1).sum(1)
    return (missed / whole.clamp(min=1e-12)).mean()
