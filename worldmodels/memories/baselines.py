"""What a memory has to beat: the guess that nothing changes, and itself without a view of the actions."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from worldmodels.memories import Memory, SequenceBatch, masked_mean, sample_latents

SPREAD_FLOOR = 1e-2
"""Smallest spread of the persistence guess: keeps the density of a constant latent finite."""


@torch.no_grad()
def baselines(
    memory: Memory, batch: SequenceBatch, generator: torch.Generator, persistence_std: Float[Tensor, " Z"]
) -> dict[str, float | str]:
    """Compare a memory's figures with what a useless memory would reach on the same sampled latents.

    Args:
        memory: with `forward_sequence` and `reward_explained`.
        batch: held-out episodes, where the memory is.
        generator: the source of the sampled latents and of the shuffled actions.
        persistence_std: from `fit_persistence` on training batches.

    Returns:
        In nats per dimension: `nll`; `nll_persistence`, of a Gaussian around the latent before; and
        `nll_shuffled_action`, its own when fed other episodes' actions (the same if it is blind to them).
        Then `reward_explained`, `termination_auroc` and `termination_auprc`, "n/a" where the batch cannot
        tell (a constant reward; no end, or nothing else) or the head is missing.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score  # takes a second, which few stages need to wait

    z = sample_latents(batch, generator)
    before, after, mask = z[:, :-1], z[:, 1:], batch.mask
    prediction, _ = memory.forward_sequence(before, batch.action)
    blind, _ = memory.forward_sequence(before, shuffle_actions(batch.action, mask, generator))
    persistence = torch.distributions.Normal(before, persistence_std.clamp(min=SPREAD_FLOOR))
    densities = {
        "nll": prediction.log_prob(after),
        "nll_persistence": persistence.log_prob(after),
        "nll_shuffled_action": blind.log_prob(after),
    }
    result: dict[str, float | str] = {}
    for name, density in densities.items():
        result[name] = masked_mean(-density.mean(-1), mask).item()
    explained = float(memory.reward_explained(prediction.reward, batch))
    result["reward_explained"] = explained if math.isfinite(explained) else "n/a"
    score = prediction.termination_logit[mask].numpy(force=True)
    positive = batch.termination[mask].numpy(force=True) > 0.5
    known = bool(torch.isfinite(prediction.termination_logit).all() and positive.any() and not positive.all())
    result["termination_auroc"] = float(roc_auc_score(positive, score)) if known else "n/a"
    result["termination_auprc"] = float(average_precision_score(positive, score)) if known else "n/a"
    return result


def fit_persistence(batches: Sequence[SequenceBatch]) -> Float[Tensor, " Z"]:
    """Fit the spread of the best Gaussian around "the next latent is this one", per dimension.

    The samples' noise is averaged in closed form: E[(z' - z)^2] = (mean' - mean)^2 + std'^2 + std^2.
    """
    total = torch.zeros_like(batches[0].mean[0, 0])
    for batch in batches:
        square = batch.mean.diff(dim=1).square() + batch.std[:, 1:].square() + batch.std[:, :-1].square()
        total += (square * batch.mask.unsqueeze(-1)).sum(dim=(0, 1))
    return torch.sqrt(total / sum(int(batch.mask.sum()) for batch in batches))


def shuffle_actions(
    action: Float[Tensor, "B T A"], mask: Bool[Tensor, "B T"], generator: torch.Generator
) -> Float[Tensor, "B T A"]:
    """Give each episode the actions of another, rolled by half its length: real, but not what happened.

    Episode b takes those of b + k, with k drawn for the batch; a shorter one's are repeated, not its padding.
    """
    episodes, steps = mask.shape
    lowest = min(1, episodes - 1)  # a single episode can only lend to itself
    shift = torch.randint(lowest, episodes, (), generator=generator, device=generator.device)
    donor = torch.arange(episodes, device=action.device).roll(-int(shift))
    length = mask.sum(dim=1).clamp(min=1)[donor].unsqueeze(1)  # (B 1)
    step = (torch.arange(steps, device=action.device) + length // 2) % length  # (B T)
    return action[donor.unsqueeze(1), step]
