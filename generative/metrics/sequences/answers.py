"""What a judge says of whole sets of images: how often it gives each answer, and whether reconstructions keep it."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

Shares = Mapping[str, Float[Tensor, " A"]]
"""How common each answer is, by question."""

LEAST_SHARE = 1e-3
"""Shares count as at least so large, or the rarest answers would decide."""


def shares(said: Mapping[str, Float[Tensor, "N A"]]) -> Shares:
    """Return how common each answer is among probabilities that a judge gives."""
    return {name: each.double().mean(0) for name, each in said.items()}


def share_scores(real: Shares, made: Shares, count: int) -> dict[str, Float[Tensor, " A"]]:
    """Return how far the shares of each answer are apart, in standard errors of shares among `count` images each."""
    scores = {}
    for name, expected in real.items():
        pooled = ((expected + made[name]) / 2).clamp(LEAST_SHARE, 1 - LEAST_SHARE)
        scores[name] = (made[name] - expected) / (2 * pooled * (1 - pooled) / count).sqrt()
    return scores


def share_distance(real: Shares, made: Shares, count: int) -> float:
    """Return that of the answer whose shares are farthest apart: large where a class was lost or an attribute."""
    return max(float(each.abs().max()) for each in share_scores(real, made, count).values())


def kept_share(before: Int[Tensor, "N Q"], after: Int[Tensor, "N Q"]) -> float:
    """Return the share of answers of a judge about images that it also gives about their reconstructions."""
    return float((before == after).double().mean())


def right_answers(said: Mapping[str, Float[Tensor, "N A"]], truth: Int[Tensor, "N Q"]) -> Float[Tensor, " Q"]:
    """Return the share of images whose true answer a judge gives, by question in the order of the truth."""
    names = list(said)[: truth.shape[1]]
    return torch.stack([(said[name].argmax(1) == truth[:, k]).double().mean() for k, name in enumerate(names)])
