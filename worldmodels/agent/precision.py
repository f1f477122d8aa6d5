"""The number types in which frames are encoded while an agent plays, and in which the memory dreams.

These two take most of the time of evolution. In bfloat16 they take about half as long where the processor multiplies it
natively; latents and states move by less than a hundredth of their spread, far less than a posterior's own width.
"""

import copy
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from generative import native_bfloat16
from worldmodels.dream.step import FusedStep
from worldmodels.memories import MDNRNN, Ensemble, Memory, first_state
from worldmodels.vision.contract import VisionModule

Dtype = Literal["float32", "bfloat16"]
"""What `dtype: auto` of a run is settled to."""

TOLERANCE = 0.05
"""Largest root-mean-square change that bfloat16 may cause, as a share of the spread of what it changes."""


def torch_dtype(name: str, device: torch.device | str = "cpu") -> torch.dtype:
    """Return the number type of a name on a device.

    float32 while `auto` is not settled, and on a device without bfloat16, which would emulate it slowly.
    """
    return torch.bfloat16 if name == "bfloat16" and native_bfloat16(device) else torch.float32


def resolve_dtype(chosen: str, measure: Callable[[], float], device: torch.device | str = "cpu") -> tuple[Dtype, float]:
    """Return the type that `chosen` stands for on a device, and the change that it causes.

    `auto` is bfloat16 where the device has it and the change, which `measure` returns, stays within `TOLERANCE`;
    otherwise it is float32.
    """
    if chosen == "float32" or (chosen == "auto" and not native_bfloat16(device)):
        return "float32", 0.0
    change = measure()
    if chosen == "auto" and not change <= TOLERANCE:
        return "float32", 0.0
    return "bfloat16", change


@torch.inference_mode()
def latent_change(vision: VisionModule, obs: Float[Tensor, "B C H W"]) -> float:
    """Return how much bfloat16 changes latents: RMS of the difference, over the RMS of their spread.

    `vision` is not changed; `obs` should be held-out frames, at least two different ones.
    """
    half = copy.deepcopy(vision).to(torch.bfloat16)
    return _change(half.encode(obs.to(torch.bfloat16))[0].float(), vision.encode(obs)[0])


@torch.inference_mode()
def state_change(memory: Memory, z: Float[Tensor, "S steps Z"], action: Float[Tensor, "S steps A"]) -> float:
    """Return how much bfloat16 has changed the state `h` of an MDN-RNN after some steps; 0 for other memories.

    Of an ensemble it is the largest change among the members.
    """
    if isinstance(memory, Ensemble):
        return max(state_change(member, z, action) for member in memory.each)
    if type(memory) is not MDNRNN:
        return 0.0
    states = []
    for dtype in (torch.bfloat16, torch.float32):
        step, state = FusedStep(memory, dtype), first_state(memory, torch.zeros(len(z), dtype=torch.int64).to(z.device))
        for time in range(action.shape[1]):
            state = step.advance(z[:, time], action[:, time], state)
        states.append(state[0])
    return _change(*states)


def _change(half: Tensor, exact: Tensor) -> float:
    return float((half - exact).square().mean().sqrt() / (exact - exact.mean(0)).square().mean().sqrt())
