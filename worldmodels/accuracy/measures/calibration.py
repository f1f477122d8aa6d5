"""Whether the memory's densities mean what they say: where the truth falls in them.

The probability integral transform u = F(z') of a true value under its predicted distribution is uniform on [0, 1] if
predictions are calibrated (Dawid 1984; Gneiting, Balabdaoui and Raftery 2007). A heap in the middle says that
predictions are too wide, heaps at both ends that they are too narrow.
"""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from generative.core.facts import Facts
from generative.networks.mixture import Mixture
from worldmodels.accuracy.data import HeldOut, pad
from worldmodels.memories import Memory
from worldmodels.statistics import estimate_mean

BINS = 20
INTERVALS = (0.5, 0.9)
"""Central intervals whose coverage is measured."""


def mixture_cdf(mixture: Mixture, z: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B Z"]:
    """Return the probability that a mixture gives to values of at most `z`, per dimension."""
    share = torch.softmax(mixture.logits, dim=-1)  # (*B Z K)
    return (share * torch.special.ndtr((z.unsqueeze(-1) - mixture.mean) * torch.exp(-mixture.log_std))).sum(-1)


@torch.inference_mode()
def calibration(memory: Memory, episodes: Sequence[HeldOut], seed: int) -> Facts:
    """Measure the calibration of the next latent's distribution, over all steps and dimensions of sampled latents.

    Returns:
        `pit`: the share of values in each of `BINS` equal bins; `ks`: the largest distance of their distribution
        function from the uniform one, 0 if calibrated; `coverage`: of central 50 and 90 % intervals, with intervals
        over episodes.
    """
    from scipy.stats import kstest  # takes long to import

    z, action, _ = pad([item.sampled(seed + row) for row, item in enumerate(episodes)],
                          [item.action for item in episodes])  # fmt: skip
    prediction, _ = memory.forward_sequence(z[:, :-1], action)
    if not hasattr(prediction, "mixture"):
        return {"skipped": f"{type(memory).__name__} predicts no mixture, whose distribution function would be known"}
    level = mixture_cdf(prediction.mixture, z[:, 1:])  # (B T Z)
    rows = [level[row, : item.steps].double().cpu().numpy().ravel() for row, item in enumerate(episodes)]
    values = np.concatenate(rows)
    counts, _ = np.histogram(values, bins=BINS, range=(0.0, 1.0))
    coverage = {}
    for share in INTERVALS:
        inside = [float((np.abs(row - 0.5) <= share / 2).mean()) for row in rows]
        coverage[f"{100 * share:.0f}"] = asdict(estimate_mean(np.array(inside), seed))
    return {
        "pit": [float(count) for count in counts / counts.sum()],
        "ks": float(kstest(values, "uniform", method="asymp").statistic),
        "coverage": coverage,
    }
