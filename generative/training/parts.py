"""The parts of a component, each with an optimiser of its own."""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from generative.core.component import HasObjectives, Part
from generative.training.fit_config import FitConfig


def parts_of(module: nn.Module) -> Mapping[str, Part]:
    """Return how a component's parts are trained; one with a `loss` is a single part, called ""."""
    return cast(Mapping[str, Part], getattr(module, "parts", {"": Part()}))


def batches_per_step(module: nn.Module) -> int:
    """Return how many batches a training step uses."""
    return module.batches_per_step if isinstance(module, HasObjectives) else parts_of(module)[""].accumulation


def optimiser_of(module: nn.Module, name: str, config: FitConfig, device: torch.device) -> torch.optim.Optimizer:
    """Return the optimiser of a part; raise ValueError where it has nothing to train."""
    part = parts_of(module)[name]
    parameters: list[Any] = [each for each in module.get_submodule(name).parameters() if each.requires_grad]
    if not parameters:
        raise ValueError(f"{type(module).__name__}{name and '.'}{name}: has no parameters to train")
    if part.decays == "matrices":
        apart = [[each for each in parameters if (each.ndim >= 2) == matrix] for matrix in (True, False)]
        decays = zip(apart, (part.decay, 0.0), strict=True)
        parameters = [{"params": each, "weight_decay": decay} for each, decay in decays if each]
    on_gpu = device.type == "cuda"
    # A GPU reads the learning rate when it carries out the step, which may be a recorded one.
    rate: Any = torch.tensor(config.learning_rate, device=device) if on_gpu else config.learning_rate
    # One fused kernel per step; on a CPU it is several times faster than one loop per tensor.
    fused = device.type in ("cpu", "cuda")
    if part.optimiser == "sgd":
        return torch.optim.SGD(parameters, rate, momentum=part.betas[0], weight_decay=part.decay, fused=fused)
    if part.optimiser == "rmsprop":
        options: Any = {"capturable": on_gpu, "foreach": on_gpu or None}
        alpha, momentum = part.betas[1], part.betas[0]
        return torch.optim.RMSprop(parameters, rate, alpha, weight_decay=part.decay, momentum=momentum, **options)
    kind = torch.optim.Adam if part.optimiser == "adam" else torch.optim.AdamW
    return kind(parameters, rate, part.betas, weight_decay=part.decay, fused=fused, capturable=on_gpu)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the next updates."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def update(optimiser: torch.optim.Optimizer, failed: Tensor) -> None:
    """Move the parameters, unless `failed` is 1 in place of 0; no GPU waits for that."""
    if optimiser.defaults.get("fused"):
        cast(Any, optimiser).found_inf = failed  # as a GradScaler says it: 1 leaves the update out
    elif failed.is_cuda:
        _hold(optimiser, failed)
    elif failed:  # waits
        return
    optimiser.step()


def _hold(optimiser: torch.optim.Optimizer, failed: Tensor) -> None:
    """Make an update change no parameter where `failed` is 1."""
    for group in optimiser.param_groups:
        group["lr"].mul_(1 - failed)
        for each in group["params"]:
            if each.grad is not None:
                each.grad.copy_(torch.where(failed > 0, 0.0, each.grad))
