"""From one latent to another: the straight line (lerp) and the arc (slerp), as latents and as images.

Latents of a normal prior in many dimensions lie near a sphere of radius sqrt(Z). A straight line cuts through it and
passes places that hardly any latent of the prior comes near; the arc keeps the length (White 2016, arXiv 1609.04468).
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.capabilities import require
from generative.metrics.images.continuity import walk

Mode = Literal["linear", "spherical"]
"""linear: lerp. spherical: slerp (Shoemake 1985), which turns at an even rate and goes evenly from length to length."""


def between(
    start: Float[Tensor, "B Z"], end: Float[Tensor, "B Z"], steps: int, mode: Mode = "linear"
) -> Float[Tensor, "B S Z"]:
    """Return S latents on the way from each start to its end, both ends included.

    Raises:
        ValueError: there are fewer than two steps.
    """
    if steps < 2:
        raise ValueError(f"steps={steps}: a way has at least its two ends; give 2 or more")
    if steps == 2:
        return torch.stack([start, end], dim=1)
    if mode == "linear":
        return walk(start, end, steps - 1)
    from_length, to_length = start.norm(dim=1, keepdim=True), end.norm(dim=1, keepdim=True)
    tiny = torch.finfo(start.dtype).tiny
    directions = walk(start / from_length.clamp(min=tiny), end / to_length.clamp(min=tiny), steps - 1, mode)
    share = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device)
    return directions * ((1 - share) * from_length + share * to_length)[:, :, None]


@torch.no_grad()
def encode_means(
    model: nn.Module, images: Float[Tensor, "N C H W"], condition: Sequence[Tensor] = (), batch: int = 256
) -> Float[Tensor, "N Z"]:
    """Return the (mean) codes of images, some at a time; raise ComponentError where the model has none."""
    require(model, "encode")
    encode: Callable[..., tuple[Tensor, Tensor]] = model.encode  # type: ignore[assignment]
    parts = zip(images.split(batch), *(each.split(batch) for each in condition), strict=True)
    return torch.cat([encode(*part)[0] for part in parts])


def decoder(model: nn.Module, condition: Sequence[Tensor] = ()) -> Callable[[Tensor], Tensor]:
    """Return a model's decoder; what it takes besides latents is that of the first item, for all of them."""
    decode: Callable[..., Tensor] = model.decode  # type: ignore[assignment]
    return lambda z: decode(z, *(each[:1].expand(len(z)) for each in condition))
