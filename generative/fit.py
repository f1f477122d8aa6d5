"""The training loop of every component: a generator that yields metrics and can be killed at any time.

The noise of a step is a function of (seed, step) and the batches of a step are a function of the step, so a
training resumed from a checkpoint ends in exactly the numbers of an uninterrupted one (on the same CPU and
threads; a GPU's own kernels may round differently), and there is no random state to keep.

A component with one objective has `loss`; one with several, such as a GAN, has `objectives` (see `HasObjectives`),
and each of its parts steps down the gradient of its own objective only. Moving averages of weights belong to the
component: they are among its weights, so they are saved and restored with them.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from generative.checkpoint import load_checkpoint, save_checkpoint
from generative.component import Component, HasObjectives, Objective, Part, resolve_device, seeded
from generative.facts import Facts
from generative.options import check_numbers, config_to_mapping
from generative.precision import native_bfloat16


@dataclass(frozen=True)
class FitConfig:
    """How long and how fast to train, with Adam."""

    steps: int = 10_000
    """Optimiser steps in total, those before a resume included."""
    learning_rate: float = 1e-3
    """Step size of Adam after the warm-up."""
    warmup: int = 0
    """Steps over which the learning rate rises linearly to its full value."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate after the warm-up: constant, or half a cosine down to 0 at the last step."""
    gradient_clip: float = 0.0
    """Largest norm of the whole gradient; 0 turns it off."""
    clip_value: float = 0.0
    """Largest magnitude of a gradient's entries, as in the World Models code (1.0); 0 turns it off."""
    precision: Literal["float32", "bfloat16", "auto"] = "float32"
    """Number type of products and convolutions; weights, sums and losses stay float32. auto: bfloat16 where the device
    has it."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps={self.steps}: must be at least 1")
        if not 0 < self.learning_rate <= 100:
            raise ValueError(f"learning_rate={self.learning_rate}: must be above 0, at most 100; 0.001 is usual")
        for name in ("warmup", "gradient_clip", "clip_value"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)}: must not be negative; 0 turns it off")
        check_numbers(self)

    def log_every(self, rows: int) -> int:
        """Return the steps over which metrics are averaged: 100, or fewer for at least `rows` rows."""
        return max(1, min(100, self.steps // rows))

    @property
    def checkpoint_every(self) -> int:
        """Steps between checkpoints, which are lost where a training is killed; one is written at the end too."""
        return max(1, min(1_000, self.steps // 10))

    def resolved(self, device: torch.device) -> "FitConfig":
        """Return this configuration with `precision` settled for a device."""
        if self.precision != "auto":
            return self
        return replace(self, precision="bfloat16" if native_bfloat16(device) else "float32")

    def rate(self, step: int) -> float:
        """Return the learning rate of `step`, counted from 0."""
        rate = self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup))
        if self.schedule == "cosine" and step >= self.warmup:
            rate *= 0.5 + 0.5 * math.cos(math.pi * (step - self.warmup) / max(1, self.steps - self.warmup))
        return rate


class TrainingDiverged(FloatingPointError):
    """Loss or gradient is no longer finite; the last checkpoint is from before that."""


def fit(
    module: nn.Module,
    batches: Callable[[int], Iterator[object]],
    config: FitConfig,
    *,
    seed: int,
    device: str = "cpu",
    checkpoint: Path | None = None,
    log_every: int = 100,
) -> Iterator[dict[str, float]]:
    """Train a component in place and yield the mean metrics of every `log_every` steps.

    A row holds step, loss, the component's own metrics, grad_norm (before clipping), learning_rate and
    samples_per_second. Of a component with several objectives it holds `<part>_loss` and `<part>_gradient` for each
    part in place of loss and grad_norm; what a part does several times in a step is averaged. Rows of steps after
    the last checkpoint come again after a resume, with the same numbers.

    Args:
        module: a component; its `loss(batch, generator)` or its `objectives` are minimised. Left in evaluation mode.
        batches: called with the number of the first batch to use (a step uses one, or `batches_per_step`), returns
            the endless stream of batches from there on: a tensor, or a tuple, list, named tuple or dict of tensors
            with the batch axis first.
        config: length, step size and clipping.
        seed: determines the noise of every step, dropout included.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        checkpoint: folder for checkpoints, such as `<component>/checkpoints`; training resumes from the
            newest there.
        log_every: steps over which metrics are averaged.

    Raises:
        TrainingDiverged: loss or gradient became infinite or NaN; says at which step and what to do.
        ValueError: the checkpoints belong to a training with other settings, or `batches` came to an end.
    """
    target = resolve_device(device)
    config = config.resolved(target)
    module.to(target)
    optimiser = _optimiser(module, config)
    trained = _description(module, config, seed)
    state: Facts = {"step": 0, "totals": {}, "count": 0}
    if checkpoint is not None:
        state = load_checkpoint(checkpoint, module, optimiser, trained) or state
    step, totals, count = state["step"], state["totals"], state["count"]
    if step > config.steps:
        raise ValueError(
            f"steps={config.steps}: {checkpoint} has done {step} already; raise steps or remove that folder"
        )
    each_step = module.batches_per_step if isinstance(module, HasObjectives) else 1
    stream = batches(step * each_step)
    clock, samples = time.perf_counter(), 0
    while step < config.steps:
        try:
            taken = [_to_device(next(stream), target) for _ in range(each_step)]
        except StopIteration:
            raise ValueError(f"batches: ended at step {step} of {config.steps}; the stream must be endless") from None
        metrics = _step(module, optimiser, taken, config, step, step_seed(seed, step))
        step, count, samples = step + 1, count + 1, samples + sum(map(_batch_size, taken))
        for name, value in metrics.items():
            totals[name] = totals.get(name, 0.0) + value
        if step % log_every == 0 or step == config.steps:
            row = {"step": step, **{name: total / count for name, total in totals.items()}}
            rate = samples / (time.perf_counter() - clock)
            yield {**row, "learning_rate": config.rate(step - 1), "samples_per_second": rate}
            totals, count, clock, samples = {}, 0, time.perf_counter(), 0
        if checkpoint is not None and (step % config.checkpoint_every == 0 or step == config.steps):
            state = {"step": step, "trained": trained, "totals": totals, "count": count}
            save_checkpoint(checkpoint, module, optimiser, state)
    module.eval()


def step_seed(seed: int, step: int) -> int:
    """Return the well-mixed 63-bit seed of one step of a training."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> 1)


def _step(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    batches: Sequence[object],
    config: FitConfig,
    step: int,
    noise_seed: int,
) -> dict[str, float]:
    """Serve every objective once and return the metrics; never let the weights become NaN."""
    device = next(module.parameters()).device
    generator = torch.Generator(device).manual_seed(noise_seed)
    for group in optimiser.param_groups:
        group["lr"] = config.rate(step) * group["rate"]
    module.train()
    objectives = _objectives(module, batches, generator)
    half = torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16")
    found: dict[str, list[float]] = {}
    with seeded(noise_seed, device):  # for dropout layers, which can only draw from the global stream
        while True:
            with half:
                objective = next(objectives, None)
            if objective is None:
                return {name: sum(values) / len(values) for name, values in found.items()}
            for name, value in _descend(module, optimiser, objective, config, step).items():
                found.setdefault(name, []).append(value)


def _objectives(module: nn.Module, batches: Sequence[object], generator: torch.Generator) -> Iterator[Objective]:
    if isinstance(module, HasObjectives):
        yield from cast(HasObjectives, module).objectives(batches, generator)
    else:
        yield Objective("", *cast(Component, module).loss(batches[0], generator))


def _descend(
    module: nn.Module, optimiser: torch.optim.Optimizer, objective: Objective, config: FitConfig, step: int
) -> dict[str, float]:
    """Step down the gradient of one objective in its part's parameters and return its metrics."""
    part, loss, norm_name = module.get_submodule(objective.part), "loss", "grad_norm"
    optimiser.zero_grad(set_to_none=True)
    if objective.part:  # only its parameters get a gradient, so only they move
        loss, norm_name = f"{objective.part}_loss", f"{objective.part}_gradient"
        objective.loss.backward(inputs=[each for each in part.parameters() if each.requires_grad])
    else:
        objective.loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(part.parameters(), config.gradient_clip or math.inf)
    if config.clip_value:
        torch.nn.utils.clip_grad_value_(part.parameters(), config.clip_value)
    scalars = {loss: objective.loss.detach(), **objective.metrics, norm_name: norm}
    stacked = torch.stack([value.float() for value in scalars.values()])
    values = stacked.tolist()  # the one place of an objective that waits for the device
    row = dict(zip(scalars, values, strict=True))
    if not (math.isfinite(row[loss]) and math.isfinite(row[norm_name])):
        of_part = f" of the {objective.part}" if objective.part else ""
        raise TrainingDiverged(
            f"step {step + 1}: loss {row[loss]}, gradient norm {row[norm_name]}{of_part}; lower learning_rate="
            f"{config.learning_rate}, set gradient_clip or warmup, or check the data for non-finite values"
        )
    optimiser.step()
    return row


def _optimiser(module: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    parts = module.parts if isinstance(module, HasObjectives) else {"": Part()}
    groups: list[Facts] = []
    for name, part in parts.items():
        parameters = [each for each in module.get_submodule(name).parameters() if each.requires_grad]
        if not parameters:
            raise ValueError(f"{type(module).__name__}{name and '.'}{name}: has no parameters to train")
        groups.append({"params": parameters, "rate": part.rate, "betas": part.betas})
    # One fused kernel per step; on a CPU it is several times faster than one loop per tensor.
    fused = next(module.parameters()).device.type in ("cpu", "cuda")
    return torch.optim.Adam(groups, lr=config.learning_rate, fused=fused)


def _description(module: nn.Module, config: FitConfig, seed: int) -> Facts:
    """Return everything a resumed training must share with the one it continues."""
    free = set() if config.schedule == "cosine" else {"steps"}
    component = cast(Component, module)
    return {
        "seed": seed,
        "component": {"type": component.type_name, **config_to_mapping(component.config)},
        "fit": {name: value for name, value in config_to_mapping(config).items() if name not in free},
    }


def _batch_size(batch: object) -> int:
    first = batch
    while not isinstance(first, Tensor):
        assert isinstance(first, Iterable)
        first = next(iter(first.values() if isinstance(first, dict) else first))
    return first.shape[0]


def _to_device(batch: object, device: torch.device) -> object:
    """Move a tensor, or a tuple, list, named tuple or dict of them."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {name: _to_device(each, device) for name, each in batch.items()}
    assert isinstance(batch, (tuple, list))
    moved = [_to_device(each, device) for each in batch]
    kind: Callable[..., object] = type(batch)
    return kind(*moved) if hasattr(batch, "_fields") else kind(moved)
