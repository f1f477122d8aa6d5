"""The loss of data that a component is not trained on."""

from typing import Any, cast

import torch
from torch import Tensor, nn


@torch.no_grad()
def held_out_loss(module: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]] | None:
    """Return a component's loss and metrics of held-out data, and leave the component as it was.

    It is what the component's own `held_out_loss(batch, generator)` says, else its `loss` in evaluation mode, which
    changes no weight and no buffer. None where it has neither, as a GAN, whose losses say nothing by themselves.

    Args:
        module: the component; it is in the same mode afterwards.
        batch: as `loss` takes it, on the component's device.
        generator: for noise; give the same one to compare.
    """
    if not hasattr(module, "held_out_loss") and not hasattr(module, "loss"):
        return None
    training, component = module.training, cast(Any, module)
    module.eval()
    try:
        measure = component.held_out_loss if hasattr(module, "held_out_loss") else component.loss
        found: tuple[Tensor, dict[str, Tensor]] = measure(batch, generator)
        return found
    finally:
        module.train(training)
