"""One step of a training: every objective of a component is served once, on a GPU as one replay.

A step does not wait for the device. Where a loss or a gradient is not finite, the device itself leaves out this update
and all that follow, and notes the first.
"""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from generative.core.component import Component, HasObjectives, Objective, has_fixed_step
from generative.hardware.cuda_graphs import Replayed
from generative.hardware.device import seeded
from generative.training.batches import copy_into, form, on_device, room_for
from generative.training.fit_config import FitConfig
from generative.training.parts import optimiser_of, parts_of, set_rate, update
from generative.training.totals import Named, figures_device
from generative.training.variants import HasVariants, phase_at, phases_of

MOST_RECORDINGS = 4
"""Kinds of steps that are recorded; each takes memory of its own, so steps of further ones are plain."""


class TrainingDiverged(FloatingPointError):
    """Loss or gradient is no longer finite; the last checkpoint is from before that."""


class TrainingStep:
    """Carries out the steps of a training.

    Attributes:
        optimisers: what moves the weights, by part.
        replays: whether steps are replayed on a GPU; those of a component are that declares `fixed_step`.
    """

    def __init__(
        self,
        module: nn.Module,
        config: FitConfig,
        device: torch.device,
        prepare: Callable[[Any], Any] | None = None,
    ) -> None:
        """Make the optimisers of a component that is on a device; arguments as of `fit`."""
        self._parts = dict(parts_of(module))
        self.optimisers = {name: optimiser_of(module, name, config, device) for name in self._parts}
        self.replays = device.type == "cuda" and has_fixed_step(module)
        self._module, self._config, self._device, self._prepare = module, config, device, prepare
        self._varied = cast(HasVariants, module) if isinstance(module, HasVariants) else None
        self._several = isinstance(module, HasObjectives)
        self._phases = phases_of(module, config)
        self._recorded: dict[Hashable, tuple[list[Any], Replayed[Named]]] = {}
        self._waiting = dict.fromkeys(self._parts, 0)  # objectives whose gradients wait for the others of an update
        self._generator = torch.Generator(device)
        self._half = config.precision == "bfloat16"
        self._step, kept = 0, figures_device(device)
        self._number = torch.zeros((), dtype=torch.float64, device=kept)
        numbers = torch.arange(len(self._parts), dtype=torch.float64, device=kept).unbind()
        self._part_numbers = dict(zip(self._parts, numbers, strict=True))
        self._failure = torch.zeros(4, dtype=torch.float64, device=kept)  # step, part, loss, gradient's norm

    def __call__(self, step: int, seed: int, batches: Sequence[Any]) -> Named:
        """Serve every objective once, with noise that is a function of the seed, and return the figures.

        They are overwritten by the next step.
        """
        share = phase_at(self._phases, step).rate if self._phases else 1.0
        for name, part in self._parts.items():
            set_rate(self.optimisers[name], self._config.rate(step, part.schedule) * part.rate * share)
        variant = None if self._varied is None else self._varied.variant(step, self._config)
        self._step = step
        self._number.fill_(step + 1)
        self._generator.manual_seed(seed)
        with seeded(seed, self._device):  # for dropout layers, which can only draw from the global stream
            return self._carried_out(variant, batches)

    def forget(self) -> None:
        """Give back the memory of recordings, whose like will not come again."""
        self._recorded.clear()

    def check(self) -> None:
        """Wait for the device, and raise TrainingDiverged where a loss or gradient was not finite."""
        step, part, loss, norm = self._failure.tolist()
        if step:
            name = list(self._parts)[int(part)]
            of_part = f" of the {name}" if name else ""
            raise TrainingDiverged(
                f"step {int(step)}: loss {loss}, gradient norm {norm}{of_part}; lower learning_rate="
                f"{self._config.learning_rate}, set gradient_clip or warmup, or check the data for non-finite values"
            )

    def _carried_out(self, variant: Hashable, batches: Sequence[Any]) -> Named:
        """Replay the operations where they are recorded for such a step and batches of this form; else do them."""
        kind = (variant, *map(form, batches))
        known = kind in self._recorded
        if not self.replays or (len(self._recorded) == MOST_RECORDINGS and not known):
            return self._serve([on_device(batch, self._device) for batch in batches])
        if not known:
            room = [room_for(batch, self._device) for batch in batches]
            self._recorded[kind] = room, Replayed(partial(self._serve, room), self._device, [self._generator])
        room, replayed = self._recorded[kind]
        for place, batch in zip(room, batches, strict=True):
            copy_into(place, batch)
        return replayed()

    def _serve(self, batches: Sequence[Any]) -> Named:
        """Do the operations of a step: the function that is recorded, so nothing in it may wait for the device."""
        if self._prepare is not None:
            batches = [self._prepare(batch) for batch in batches]
        self._module.train()
        objectives = self._objectives(batches)
        half = torch.autocast(self._device.type, torch.bfloat16, enabled=self._half)
        found: dict[str, list[Tensor]] = {}
        while True:
            with half:
                objective = next(objectives, None)
            if objective is None:
                break
            names, values = self._descend(objective)
            for name, value in zip(names, values.unbind(), strict=True):
                found.setdefault(name, []).append(value)
        for name, count in self._waiting.items():
            if count:
                raise ValueError(
                    f"accumulation={self._parts[name].accumulation}: a step ends with {count} objectives of "
                    f"{name or 'the loss'} left over; use a number that divides them"
                )
        return tuple(found), torch.stack([_mean(values) for values in found.values()])

    def _objectives(self, batches: Sequence[Any]) -> Iterator[Objective]:
        if self._several:
            yield from cast(HasObjectives, self._module).objectives(batches, self._step, self._generator)
            return
        for batch in batches:
            yield Objective("", *cast(Component, self._module).loss(batch, self._generator))

    def _descend(self, objective: Objective) -> Named:
        """Go down the gradient of one objective in its part's parameters and return its figures."""
        name, loss = objective.part, objective.loss
        part, module = self._parts[name], self._module.get_submodule(name)
        for each, optimiser in self.optimisers.items():
            if not self._waiting[each]:
                optimiser.zero_grad(set_to_none=True)
        share = loss if part.accumulation == 1 else loss / part.accumulation
        if name:  # only its parameters get a gradient, so only they move
            share.backward(inputs=[each for each in module.parameters() if each.requires_grad])
        else:
            share.backward()
        self._waiting[name] = (self._waiting[name] + 1) % part.accumulation
        label = objective.name or name
        scalars = {f"{label}_loss" if label else "loss": loss, **objective.metrics}
        norm = loss.new_zeros(())
        if not self._waiting[name]:
            norm = nn.utils.clip_grad_norm_(module.parameters(), self._config.gradient_clip or math.inf)
            if self._config.clip_value:
                nn.utils.clip_grad_value_(module.parameters(), self._config.clip_value)
            scalars[f"{label}_gradient" if label else "grad_norm"] = norm
        values = torch.stack([value.detach().float() for value in scalars.values()])
        values = values.to(self._failure.device).double()
        failed = self._note(name, values[0], norm.detach().to(values))
        if not self._waiting[name]:
            update(self.optimisers[name], failed)
        return tuple(scalars), values

    def _note(self, part: str, loss: Tensor, norm: Tensor) -> Tensor:
        """Note the first failure of the training; return 1 from then on, and 0 before."""
        note = torch.stack([self._number, self._part_numbers[part], loss, norm])
        first = ~(loss + norm).isfinite() & (self._failure[0] == 0)
        self._failure.copy_(torch.where(first, note, self._failure))
        return (self._failure[0] > 0).float()


def step_seed(seed: int, step: int) -> int:
    """Return the well-mixed 63-bit seed of one step of a training."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> 1)


def _mean(values: list[Tensor]) -> Tensor:
    """Return the mean of scalars, added one after the other."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total / len(values) if len(values) > 1 else total
