"""Whether a memory goes with a vision and a dream; what does not is refused with the reason.

A memory from another package is tried with one step of zeros rather than asked: sizes that are wrong fail here, before
anything is trained.
"""

import math

import torch

from generative import LatentSpec
from worldmodels.memories.contract import NOISE, Memory, draws_of
from worldmodels.vision.contract import Vision


def check_latents(spec: LatentSpec, memory: Memory) -> None:
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


def set_codes(vision: Vision, memory: Memory) -> None:
    """Tell a memory that reads codes which latents they stand for, and refuse it where the vision has no such codes.

    Raises:
        ValueError: says which options to set.
    """
    for member in getattr(memory, "each", [memory]):
        if not hasattr(member, "set_codes"):
            continue
        table = getattr(vision, "code_table", None)
        if table is None:
            raise ValueError(
                f"this memory reads codes, and {type(vision).__name__} has none; choose vision.type vq-vae, or "
                "memory.type transformer"
            )
        with torch.no_grad():
            member.set_codes(table())


@torch.inference_mode()
def check_memory(memory: Memory, latent: int, action: int) -> None:
    """Try one step of zeros.

    Raises:
        ValueError: the memory does not keep the contract, or has other sizes than the latent and the actions.
    """
    z, taken = torch.zeros(2, latent), torch.zeros(2, action)
    try:
        prediction, state = memory.step(z, taken, memory.initial(2))
        given = [torch.full((2, latent), 0.0 if kind in draws_of(memory) else math.nan) for kind in NOISE]
        drawn = prediction.sample(1.0, *given)
        feature, size = memory.feature(state).shape, memory.feature_size
    except (RuntimeError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"the memory cannot take a step with latents of {latent} and actions of {action} numbers ({error}); see "
            "`worldmodels.memories.Memory` for what it must do"
        ) from error
    if drawn.shape != z.shape or feature != (2, size):
        raise ValueError(
            f"the memory predicts latents {tuple(drawn.shape)} and has features {tuple(feature)} for 2 rows; wanted "
            f"are {tuple(z.shape)} and its `feature_size`, {(2, size)}"
        )
    if drawn.isnan().any():
        raise ValueError(
            f"the memory says that it draws {' and '.join(draws_of(memory)) or 'nothing'} alone (`draws`), and its "
            "samples use other noise; name all kinds that they use"
        )


@torch.inference_mode()
def check_dream(memory: Memory, latent: int, action: int) -> None:
    """Refuse a memory in whose dreams no controller can evolve.

    Raises:
        ValueError: it predicts no reward.
    """
    prediction, _ = memory.step(torch.zeros(1, latent), torch.zeros(1, action), memory.initial(1))
    if math.isnan(float(prediction.reward[0])):
        raise ValueError(
            "a controller cannot evolve in the dream of a memory that predicts no reward; set its option reward: true, "
            "or evolve.world=real"
        )
