"""`generative diagnose`: what went wrong with a model, and what to do; nothing for a healthy one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generative import offers
from generative.data import Data, ImageData, RowData, one_hot
from generative.diagnosis import Evidence, Failure, diagnose
from generative.latent.interpolation import encode_means
from generative.metrics import random_convolutions
from generative.plain import Facts
from generative.run import TrainingRun
from scripts.generative.feed import open_run, take


@dataclass(frozen=True)
class DiagnoseOptions:
    """How much to look at."""

    samples: int = 1000
    """Samples, training items and held-out items at most, each."""
    seed: int = 0
    """Of the samples."""


def main(run: TrainingRun, options: DiagnoseOptions) -> Sequence[str]:
    """Return the verdicts, each with evidence and remedy."""
    module, data = open_run(run)
    found = verdicts(run, module, data, options.samples, options.seed)
    lines = [f"{each.problem}: {each.evidence}\n  remedy: {each.remedy}" for each in found]
    lines += own_words(module, data, options.samples)
    return lines or ["healthy: none of the known failures was found"]


@torch.no_grad()
def verdicts(run: TrainingRun, module: nn.Module, data: Data, samples: int, seed: int) -> list[Failure]:
    """Return the failures that a run's history and a model's samples, codes and images show."""
    history = [{name: float(value) for name, value in row.items()} for row in run.history()]
    curve = next((name for name in ("held_out_loss", "loss") if history and name in history[-1]), "loss")
    train, held = (take(module, part, samples) for part in (data, data.held_out()))
    evidence: Facts = {"history": history, "curve": curve}
    model: Any = module
    if offers(module, "encode"):
        evidence["means"] = encode_means(module, held.values, held.condition)
    if offers(module, "sample"):
        made = model.sample(min(samples, len(held.values)), 1.0, torch.Generator().manual_seed(seed))
        features = _features(data, train.values)
        evidence |= {
            "train": features(train.values),
            "held_out": features(held.values),
            "samples": features(made.clamp(0, 1) if isinstance(data, ImageData) else made),
        }
        if isinstance(data, ImageData):
            evidence |= {"real_images": held.values, "made_images": made.clamp(0, 1)}
    elif offers(module, "reconstruct"):
        back = model.reconstruct(held.values, *held.condition)
        evidence |= {"real_images": held.values, "made_images": back.clamp(0, 1)}
    codebook = getattr(getattr(module, "config", None), "codes", 0)
    if codebook and hasattr(module, "codes"):
        codes: Tensor = model.codes(held.values)
        if codes.numel() >= 5 * codebook:
            evidence |= {"codes": codes, "codebook": codebook}
    return diagnose(Evidence(**evidence))


def own_words(module: nn.Module, data: Data, samples: int) -> list[str]:
    """Return what a model says of itself, where it has a `diagnose`, and its verdict is not "healthy"."""
    if not (hasattr(module, "diagnose") and isinstance(data, ImageData)):
        return []
    mean = take(module, data, samples).values.mean(0)
    facts = module.diagnose(take(module, data.held_out(), samples).values, mean)  # type: ignore[operator]
    return [] if facts["verdict"] == "healthy" else [f"{facts['verdict']}: {facts['reason']}"]


def _features(data: Data, like: Tensor) -> Any:
    if isinstance(data, RowData):
        return lambda rows: one_hot(rows, data.categories).double()
    if not isinstance(data, ImageData):
        return lambda points: points.double()
    return random_convolutions(int(np.prod(like.shape[1:2])))
