"""The training loop of every component: a generator that yields metrics and can be killed at any time.

The noise of a step is a function of (seed, step) and the batches of a step are a function of the step, so a
training resumed from a checkpoint ends in exactly the numbers of an uninterrupted one (on the same CPU and
threads; a GPU's own kernels may round differently), and there is no random state to keep.

A component with one objective has `loss`; one with several, such as a GAN, has `objectives` (see `HasObjectives`),
and each of its parts steps down the gradient of its own objectives only. Moving averages of weights belong to the
component: they are among its weights, so they are saved and restored with them. Its training state, such as a replay
buffer, is in non-persistent buffers, which only checkpoints hold.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from torch import nn

from generative.core.component import Component
from generative.core.facts import Facts
from generative.core.options import config_to_mapping
from generative.hardware.device import resolve_device
from generative.training.batches import batch_size
from generative.training.checkpoint import load_checkpoint, save_checkpoint
from generative.training.fit_config import FitConfig
from generative.training.parts import batches_per_step, parts_of
from generative.training.totals import Totals
from generative.training.training_step import TrainingStep, step_seed
from generative.training.variants import HasPhases, HasVariants, Phase, phase_at, phases_of


def fit(
    module: nn.Module,
    batches: Callable[..., Iterator[object]],
    config: FitConfig,
    *,
    seed: int,
    device: str = "cpu",
    checkpoint: Path | None = None,
    log_every: int = 100,
    prepare: Callable[[Any], Any] | None = None,
) -> Iterator[dict[str, float]]:
    """Train a component in place and yield the mean metrics of every `log_every` steps.

    A row holds step, loss, the component's own metrics, grad_norm (before clipping), learning_rate and
    samples_per_second. Of a component with several objectives it holds `<name>_loss` and `<name>_gradient` for each
    objective in place of loss and grad_norm. What comes several times in a step is averaged, and what does not come in
    every step is averaged over those in which it does. Rows of steps after the last checkpoint come again after a
    resume, with the same numbers.

    Args:
        module: a component; its `loss(batch, generator)` or its `objectives` are minimised. Left in evaluation mode.
        batches: called with the number of the first batch to use (a step uses one, or `batches_per_step`), returns
            the endless stream of batches from there on: a tensor, or a tuple, list, named tuple or dict of tensors
            with the batch axis first. For a component with phases it is called with the number of a batch in its
            phase, and the phase.
        config: length, step size and clipping.
        seed: determines the noise of every step, dropout included.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        checkpoint: folder for checkpoints, such as `<component>/checkpoints`; training resumes from the
            newest there.
        log_every: steps over which metrics are averaged.
        prepare: turns a batch that is on the device into what the component takes, such as `to_float`; a part of the
            step, so a GPU replays it too.

    Raises:
        TrainingDiverged: loss or gradient became infinite or NaN; says at which step and what to do. On a GPU at the
            next row or checkpoint, with the weights from before that step.
        ValueError: the checkpoints belong to a training with other settings, or `batches` came to an end.
    """
    target = resolve_device(device)
    config = config.resolved(target)
    module.to(target)
    carry_out = TrainingStep(module, config, target, prepare)
    trained = _description(module, config, seed)
    state: Facts = {"step": 0, "totals": {}, "counts": {}}
    if checkpoint is not None:
        state = load_checkpoint(checkpoint, module, carry_out.optimisers, trained) or state
    step, totals = state["step"], Totals(target, state["totals"], state["counts"])
    if step > config.steps:
        raise ValueError(
            f"steps={config.steps}: {checkpoint} has done {step} already; raise steps or remove that folder"
        )
    each_step, phases = batches_per_step(module), phases_of(module, config)
    stream = _from(batches, phases, step, each_step)
    clock, samples = time.perf_counter(), 0
    while step < config.steps:
        if step and any(phase.first == step for phase in phases):
            stream = _from(batches, phases, step, each_step)
            carry_out.forget()
        try:
            taken = [next(stream) for _ in range(each_step)]
        except StopIteration:
            raise ValueError(f"batches: ended at step {step} of {config.steps}; the stream must be endless") from None
        totals.add(carry_out(step, step_seed(seed, step), taken))
        step, samples = step + 1, samples + sum(map(batch_size, taken))
        logs = step % log_every == 0 or step == config.steps
        saves = checkpoint is not None and (step % config.checkpoint_every == 0 or step == config.steps)
        if logs or saves or target.type != "cuda":  # a GPU is waited for only when something is read from it
            carry_out.check()
        if logs:
            row = {"step": step, **totals.means()}
            rate = samples / (time.perf_counter() - clock)
            yield {**row, "learning_rate": config.rate(step - 1), "samples_per_second": rate}
            clock, samples = time.perf_counter(), 0
        if checkpoint is not None and saves:
            state = {"step": step, "trained": trained, "totals": totals.read(), "counts": totals.counts}
            save_checkpoint(checkpoint, module, carry_out.optimisers, state)
    module.eval()


def _from(
    batches: Callable[..., Iterator[object]], phases: Sequence[Phase], step: int, each_step: int
) -> Iterator[object]:
    """Return the stream that a step takes its batches from."""
    if not phases:
        return batches(step * each_step)
    phase = phase_at(phases, step)
    return batches((step - phase.first) * each_step, phase)


def _description(module: nn.Module, config: FitConfig, seed: int) -> Facts:
    """Return everything a resumed training must share with the one it continues."""
    schedules = {config.schedule, *(part.schedule for part in parts_of(module).values())}
    depends = schedules & {"cosine", "half-linear"} or isinstance(module, HasPhases | HasVariants)
    free = set() if depends else {"steps"}
    component = cast(Component, module)
    return {
        "seed": seed,
        "component": {"type": component.type_name, **config_to_mapping(component.config)},
        "fit": {name: value for name, value in config_to_mapping(config).items() if name not in free},
    }
