"""What codes of images show: an encoder that says nothing, a codebook without use, reconstructions too poor."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from generative.core.options import ComponentError
from generative.diagnosis.failure import Failure
from generative.diagnosis.histories import History, column, late
from generative.metrics.images.representation import active_units

LEAST_KL = 0.1  # nats per image: less than a seventh of a bit about what is seen


def posterior_collapse(history: History, means: Float[Tensor, "N Z"] | None = None) -> Failure | None:
    """Find an encoder that says nothing: no active unit, or a KL divergence of less than 0.1 nats.

    Unused dimensions beside used ones are healthy.
    """
    if means is not None and active_units(means) == 0:
        evidence = f"none of {means.shape[1]} dimensions of the posterior mean varies over images (variance > 0.01)"
        return Failure("posterior collapse", evidence)
    kl = late(column(history, "kl"))
    if kl is not None and kl < LEAST_KL:
        return Failure("posterior collapse", f"KL of {kl:.2g} nats at the end (limit {LEAST_KL})")
    return None


def worse_than_components(error: float, components_error: float) -> Failure | None:
    """Find reconstructions with a larger squared error than as many principal components as the model has latents."""
    if error <= components_error:
        return None
    return Failure(
        "worse than principal components",
        f"squared error {error:.4g} of held-out images, {components_error:.4g} of as many principal components",
    )


def dead_codes(codes: Int[Tensor, "..."], codebook: int) -> Failure | None:
    """Find a codebook of which more than a quarter is never used.

    Raises:
        ComponentError: an index outside the codebook, or fewer than 5 codes per entry, too few to tell.
    """
    if codes.numel() < 5 * max(codebook, 1):
        raise ComponentError(f"codes: {codes.numel()} for {codebook} entries; encode more images, 5 codes per entry")
    if int(codes.min()) < 0 or int(codes.max()) >= codebook:
        raise ComponentError(f"codes: {int(codes.min())} to {int(codes.max())}, outside a codebook of {codebook}")
    share = torch.bincount(codes.flatten(), minlength=codebook).double() / codes.numel()
    dead = int((share == 0).sum())
    if dead <= codebook / 4:
        return None
    perplexity = torch.special.entr(share).sum().exp().item()
    return Failure(
        "dead codes",
        f"{dead} of {codebook} codes are never used (limit: a quarter), perplexity {perplexity:.1f}",
    )
