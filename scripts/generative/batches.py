"""The batches that a model is trained on: kept on a GPU where they fit, and for each phase those of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from generative import resolve_device
from generative.core.run_folder import TrainingConfig
from generative.data import Data
from generative.data.kept import kept_on_gpu
from generative.training.batches import each_tensor
from generative.training.parts import batches_per_step
from generative.training.variants import Phase, phases_of
from scripts.generative.items import stream


def training_batches(module: nn.Module, data: Data, config: TrainingConfig) -> Callable[..., Iterator[Any]]:
    """Return what `fit` calls for the batches of a run; images of a phase have its resolution.

    The order is a function of the run's seed and, of a model with phases, of the phase.
    """
    if phases_of(module, config.fit):

        def of_phase(start: int, phase: Phase) -> Iterator[Any]:
            found = stream(module, data, phase.batch, config.seed + phase.first)(start)
            return (each_tensor(batch, lambda part: _shrunk(part, phase.resolution)) for batch in found)

        return of_phase
    taken = config.fit.steps * config.batch * batches_per_step(module)
    return kept_on_gpu(stream(module, data, config.batch, config.seed), resolve_device(config.device), taken)


def _shrunk(part: Tensor, resolution: int) -> Tensor:
    """Return stored images (B H W C) with this height, each pixel the mean of those that it stands for."""
    if part.dtype != torch.uint8 or part.shape[1] == resolution:
        return part
    size = (resolution, max(1, round(resolution * part.shape[2] / part.shape[1])))
    return interpolate(part.permute(0, 3, 1, 2).float(), size, mode="area").round().byte().permute(0, 2, 3, 1)
