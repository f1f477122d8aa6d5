"""The number type in which frames are encoded while an agent plays.

Encoding takes most of the time of a played frame. In bfloat16 it takes about half as long where the processor
multiplies it natively, and latents move by a hundredth of their spread, far less than a posterior's own width.
"""

import copy
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from generative import native_bfloat16

Dtype = Literal["float32", "bfloat16"]

TOLERANCE = 0.05
"""Largest root-mean-square change of the latents that bfloat16 may cause, as a share of their spread."""


@torch.inference_mode()
def latent_change(vision: Any, obs: Float[Tensor, "B C H W"]) -> float:
    """Return how much bfloat16 changes latents: RMS of the difference, over the RMS of their spread.

    `vision` is not changed; `obs` should be held-out frames, at least two different ones.
    """
    exact = vision.encode(obs)[0]
    half = _in_bfloat16(vision).encode(obs.to(torch.bfloat16))[0].float()
    return float((half - exact).square().mean().sqrt() / (exact - exact.mean(0)).square().mean().sqrt())


def resolve_dtype(chosen: str, vision: Any, obs: Float[Tensor, "B C H W"]) -> tuple[Dtype, float]:
    """Return the type that `auto` stands for here, and the change of the latents that it causes.

    bfloat16 where the processor has it and the change stays within `TOLERANCE`; otherwise float32.
    """
    if chosen == "float32" or (chosen == "auto" and not native_bfloat16()):
        return "float32", 0.0
    change = latent_change(vision, obs)
    if chosen == "auto" and not change <= TOLERANCE:
        return "float32", 0.0
    return "bfloat16", change


def _in_bfloat16(vision: Any) -> Any:
    return copy.deepcopy(vision).to(torch.bfloat16)
