"""Pictures that turn into one another, as the frames of an animation."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from generative.latent.interpolation import Mode, between


@torch.no_grad()
def morph(
    decode: Callable[[Tensor], Tensor],
    keys: Float[Tensor, "K Z"],
    steps: int,
    mode: Mode = "linear",
    loop: bool = True,
) -> Float[Tensor, "T C H W"]:
    """Return the frames of a way through some latents, in order and, as a loop, back to the first.

    Args:
        decode: latents (B Z) to images (B C H W).
        keys: latents to pass, two or more.
        steps: frames from one to the next, 1 or more; a loop has K * steps frames, a way (K - 1) * steps + 1.
        mode: linear or spherical.
        loop: whether to go on from the last to the first; the first frame is then not repeated at the end.

    Raises:
        ValueError: fewer than two keys, or no step.
    """
    if len(keys) < 2:
        raise ValueError(f"{len(keys)} latents: a morph goes from one to another; give 2 or more")
    if steps < 1:
        raise ValueError(f"steps={steps}: give 1 or more frames from one latent to the next")
    start, end = (keys, keys.roll(-1, 0)) if loop else (keys[:-1], keys[1:])
    latents = between(start, end, steps + 1, mode)[:, :-1].flatten(0, 1)  # (K*S Z)
    return decode(latents if loop else torch.cat([latents, keys[-1:]]))
