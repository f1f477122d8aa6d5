"""Whether a memory goes with a vision, a dream and a run's sequences; what does not is refused with the reason.

A memory from another package is tried with one step of zeros rather than asked: sizes that are wrong fail here, before
anything is trained.
"""

import math
from typing import Any

import torch
from torch import nn

from generative import LatentSpec
from worldmodels.memories.ensemble import Ensemble


def check_latents(spec: LatentSpec, memory: nn.Module) -> None:
    """Refuse latents that a memory cannot predict; it may name other kinds in a class attribute `latent_kinds`.

    Raises:
        ValueError: their kind is another one.
    """
    kinds = getattr(memory, "latent_kinds", ("continuous",))
    if spec.kind not in kinds:
        raise ValueError(
            f"this vision's latent is {spec.kind}, this memory predicts {' or '.join(kinds)} ones, a flat vector of "
            "real numbers if continuous; choose a vision that encodes to one, or a memory made for its latents"
        )


@torch.inference_mode()
def check_memory(memory: nn.Module, latent: int, action: int) -> None:
    """Try one step of zeros.

    Raises:
        ValueError: the memory does not keep the contract, or has other sizes than the latent and the actions.
    """
    module: Any = memory
    z, taken = torch.zeros(2, latent), torch.zeros(2, action)
    try:
        prediction, state = module.step(z, taken, module.initial(2))
        found = prediction.sample(1.0, torch.zeros(2, latent), torch.zeros(2, latent)).shape
        feature, size = module.feature(state).shape, module.feature_size
    except (RuntimeError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"the memory cannot take a step with latents of {latent} and actions of {action} numbers ({error}); see "
            "`worldmodels.memories.Memory` for what it must do"
        ) from error
    if found != z.shape or feature != (2, size):
        raise ValueError(
            f"the memory predicts latents {tuple(found)} and has features {tuple(feature)} for 2 rows; wanted are "
            f"{tuple(z.shape)} and its `feature_size`, {(2, size)}"
        )


@torch.inference_mode()
def check_dream(memory: nn.Module, latent: int, action: int, penalty: float, dropout: float) -> None:
    """Refuse dreams that a memory cannot have.

    Raises:
        ValueError: it predicts no reward, or cannot be charged for disagreement or thinned out though that is asked.
    """
    module: Any = memory
    prediction, _ = module.step(torch.zeros(1, latent), torch.zeros(1, action), module.initial(1))
    if math.isnan(float(prediction.reward[0])):
        raise ValueError(
            "a controller cannot evolve in the dream of a memory that predicts no reward; set its option reward: true, "
            "or evolve.world=real"
        )
    check_variants(memory, penalty, dropout)


def check_variants(memory: nn.Module, penalty: float, dropout: float) -> None:
    """Refuse charges and thinning that a memory cannot have, as a ValueError that says which."""
    if penalty > 0 and not isinstance(memory, Ensemble):
        raise ValueError(
            f"dream.penalty={penalty} charges disagreement, and a single memory has nobody to disagree with; take "
            "memory.type=ensemble, or dream.penalty=0"
        )
    thinned = memory.members[0] if isinstance(memory, Ensemble) else memory
    if dropout > 0 and not (hasattr(thinned, "predict") and hasattr(thinned, "with_feature")):
        raise ValueError(
            f"dream.dropout={dropout} needs a memory with `predict` and `with_feature`, which "
            f"{type(thinned).__name__} has not; set dream.dropout=0"
        )


def check_sequences(options: Any, steps: int) -> None:
    """Refuse sequences in which no rollout has room.

    Args:
        options: a memory's config, or an ensemble's.
        steps: T, of the sequences it learns from.

    Raises:
        ValueError: they are too short.
    """
    rollout = getattr(options.member_config() if hasattr(options, "member_config") else options, "rollout", 0)
    if rollout and rollout + 1 > steps:
        raise ValueError(
            f"rollout={rollout}: sequences have {steps} steps; lower it, or raise memory.sequence above it"
        )
