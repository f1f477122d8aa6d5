"""Pictures that turn into one another, as the frames of an animation and as a GIF."""

import io
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
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


def gif_bytes(frames: UInt8[np.ndarray, "T H W C"], fps: float | int = 12) -> bytes:
    """Return frames as a GIF that loops for ever, with one palette for all of them.

    Raises:
        ValueError: no frames, fps not above 0 or beyond the 50 that browsers show, or not 1 or 3 channels.
    """
    if not len(frames):
        raise ValueError("frames: none; a GIF needs at least one")
    if not 0 < fps <= 50:
        raise ValueError(f"fps={fps}: GIF counts in hundredths of a second; give more than 0, up to 50")
    if frames.shape[-1] not in (1, 3):
        raise ValueError(f"frames with {frames.shape[-1]} channels: give 1 or 3")
    colour = [Image.fromarray(np.repeat(each, 3 // each.shape[-1], axis=-1)) for each in frames]
    # A palette for each frame would make still parts flicker.
    every = Image.fromarray(np.concatenate([np.asarray(each) for each in colour[:: max(1, len(colour) // 16)]]))
    palette = every.quantize(256, method=Image.Quantize.MEDIANCUT)
    indexed = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in colour]
    file = io.BytesIO()
    indexed[0].save(
        file, "GIF", save_all=True, append_images=indexed[1:], duration=round(1000 / fps), loop=0, optimize=False
    )
    return file.getvalue()
