"""What a trained model shows of the known failures: its history, its samples, its codes and its images."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generative import offers
from generative.capabilities import draw
from generative.core.facts import Facts
from generative.core.run_folder import TrainingRun
from generative.data import Data, one_hot
from generative.diagnosis import Evidence, Failure, diagnose
from generative.latent.interpolation import encode_means
from generative.metrics import random_convolutions
from scripts.generative.items import take


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
        made = draw(module, min(samples, len(held.values)), torch.Generator().manual_seed(seed))
        features = _features(data, train.values)
        evidence |= {
            "train": features(train.values),
            "held_out": features(held.values),
            "samples": features(made.clamp(0, 1) if data.item.kind == "image" else made),
        }
        if data.item.kind == "image":
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


def _features(data: Data, like: Tensor) -> Callable[[Tensor], Tensor]:
    if data.item.kind == "row":
        return lambda rows: one_hot(rows, data.item.sizes).double()
    if data.item.kind != "image":
        return lambda points: points.double()
    return random_convolutions(int(np.prod(like.shape[1:2])))
