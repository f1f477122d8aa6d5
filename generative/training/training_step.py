"""One step of a training: every objective of a component is served once, on a GPU as one replay.

A step does not wait for the device. Figures are summed there and read when somebody asks; where a loss or a gradient
is not finite, the device itself leaves out this update and all that follow, and notes the first.
"""

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from generative.core.component import Component, HasObjectives, Objective, Part, has_fixed_step
from generative.core.cuda_graphs import Replayed
from generative.core.device import seeded
from generative.core.facts import Facts
from generative.training.batches import copy_into, form, on_device, room_for
from generative.training.fit_config import FitConfig

MOST_RECORDINGS = 4
"""Forms of batches that are recorded; each takes memory of its own, so steps on further ones are plain."""

Named = tuple[tuple[str, ...], Tensor]
"""Names of figures and their values, float64 (F)."""


class TrainingDiverged(FloatingPointError):
    """Loss or gradient is no longer finite; the last checkpoint is from before that."""


class TrainingStep:
    """Carries out the steps of a training.

    Attributes:
        optimiser: what moves the weights.
        replays: whether steps are replayed on a GPU; those of a component are that declares `fixed_step`.
    """

    def __init__(
        self,
        module: nn.Module,
        config: FitConfig,
        device: torch.device,
        prepare: Callable[[Any], Any] | None = None,
    ) -> None:
        """Make the optimiser of a component that is on a device; arguments as of `fit`."""
        self.optimiser = optimiser_of(module, config, device)
        self.replays = device.type == "cuda" and has_fixed_step(module)
        self._module, self._config, self._device, self._prepare = module, config, device, prepare
        self._recorded: dict[Hashable, tuple[list[Any], Replayed[Named]]] = {}
        self._generator = torch.Generator(device)
        self._half = config.precision == "bfloat16"
        self._parts = list(module.parts) if isinstance(module, HasObjectives) else [""]
        kept = figures_device(device)
        self._number = torch.zeros((), dtype=torch.float64, device=kept)
        self._part_numbers = torch.arange(len(self._parts), dtype=torch.float64, device=kept).unbind()
        self._failure = torch.zeros(4, dtype=torch.float64, device=kept)  # step, part, loss, gradient's norm

    def __call__(self, step: int, seed: int, batches: Sequence[Any]) -> Named:
        """Serve every objective once, with noise that is a function of the seed, and return the figures.

        They are overwritten by the next step.
        """
        for group in self.optimiser.param_groups:
            rate = self._config.rate(step) * group["rate"]
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        self._number.fill_(step + 1)
        self._generator.manual_seed(seed)
        with seeded(seed, self._device):  # for dropout layers, which can only draw from the global stream
            return self._carried_out(batches)

    def check(self) -> None:
        """Wait for the device, and raise TrainingDiverged where a loss or gradient was not finite."""
        step, part, loss, norm = self._failure.tolist()
        if step:
            name = self._parts[int(part)]
            of_part = f" of the {name}" if name else ""
            raise TrainingDiverged(
                f"step {int(step)}: loss {loss}, gradient norm {norm}{of_part}; lower learning_rate="
                f"{self._config.learning_rate}, set gradient_clip or warmup, or check the data for non-finite values"
            )

    def _carried_out(self, batches: Sequence[Any]) -> Named:
        """Replay the operations where they are recorded for batches of this form; else just do them."""
        kind = tuple(map(form, batches))
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
                return tuple(found), torch.stack([_mean(values) for values in found.values()])
            names, values = self._descend(objective)
            for name, value in zip(names, values.unbind(), strict=True):
                found.setdefault(name, []).append(value)

    def _objectives(self, batches: Sequence[Any]) -> Iterator[Objective]:
        if isinstance(self._module, HasObjectives):
            yield from cast(HasObjectives, self._module).objectives(batches, self._generator)
        else:
            yield Objective("", *cast(Component, self._module).loss(batches[0], self._generator))

    def _descend(self, objective: Objective) -> Named:
        """Step down the gradient of one objective in its part's parameters and return its figures."""
        part, loss, norm_name = self._module.get_submodule(objective.part), "loss", "grad_norm"
        self.optimiser.zero_grad(set_to_none=True)
        if objective.part:  # only its parameters get a gradient, so only they move
            loss, norm_name = f"{objective.part}_loss", f"{objective.part}_gradient"
            objective.loss.backward(inputs=[each for each in part.parameters() if each.requires_grad])
        else:
            objective.loss.backward()
        norm = nn.utils.clip_grad_norm_(part.parameters(), self._config.gradient_clip or math.inf)
        if self._config.clip_value:
            nn.utils.clip_grad_value_(part.parameters(), self._config.clip_value)
        scalars = {loss: objective.loss, **objective.metrics, norm_name: norm}
        values = torch.stack([value.detach().float() for value in scalars.values()])
        values = values.to(self._failure.device).double()
        failed = self._note(objective.part, values[0], values[-1])
        optimiser: Any = self.optimiser
        if optimiser.defaults["fused"]:
            optimiser.found_inf = failed  # as a GradScaler says it: 1 leaves the update out
            optimiser.step()
        elif not failed:  # waits
            optimiser.step()
        return tuple(scalars), values

    def _note(self, part: str, loss: Tensor, norm: Tensor) -> Tensor:
        """Note the first failure of the training; return 1 from then on, and 0 before."""
        note = torch.stack([self._number, self._part_numbers[self._parts.index(part)], loss, norm])
        first = ~(loss + norm).isfinite() & (self._failure[0] == 0)
        self._failure.copy_(torch.where(first, note, self._failure))
        return (self._failure[0] > 0).float()


class Totals:
    """Sums of figures over steps, kept on the device until they are read."""

    def __init__(self, device: torch.device, sums: Mapping[str, float], count: int) -> None:
        """Go on from sums over `count` steps."""
        self._device = figures_device(device)
        self.count = count
        self._names = tuple(sums)
        self._sums = self._tensor(list(sums.values()))

    def add(self, figures: Named) -> None:
        """Add a step's figures."""
        names, values = figures
        if names != self._names:
            known = self.read()
            self._names = tuple(dict.fromkeys([*known, *names]))
            self._sums = self._tensor([known.get(name, 0.0) for name in self._names])
        if names != self._names:  # a step without some figure that others had
            place = {name: value for name, value in zip(names, values.unbind(), strict=True)}
            zero = torch.zeros_like(values[0])
            values = torch.stack([place.get(name, zero) for name in self._names])
        self._sums += values
        self.count += 1

    def read(self) -> dict[str, float]:
        """Wait for the device and return the sums."""
        return dict(zip(self._names, self._sums.tolist(), strict=True))

    def means(self) -> dict[str, float]:
        """Wait for the device and return the means; begin anew."""
        means = {name: total / self.count for name, total in self.read().items()}
        self._names, self._sums, self.count = (), self._tensor([]), 0
        return means

    def _tensor(self, values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=self._device)


def figures_device(device: torch.device) -> torch.device:
    """Return where figures of a training are summed: on its device, if that has float64."""
    return torch.device("cpu") if device.type == "mps" else device


def optimiser_of(module: nn.Module, config: FitConfig, device: torch.device) -> torch.optim.Optimizer:
    """Return Adam over the parameters of all parts; raise ValueError for a part that has none."""
    parts = module.parts if isinstance(module, HasObjectives) else {"": Part()}
    groups: list[Facts] = []
    for name, part in parts.items():
        parameters = [each for each in module.get_submodule(name).parameters() if each.requires_grad]
        if not parameters:
            raise ValueError(f"{type(module).__name__}{name and '.'}{name}: has no parameters to train")
        # A GPU reads the learning rate when it carries out the step, which may be a recorded one.
        rate = torch.tensor(config.learning_rate, device=device) if device.type == "cuda" else config.learning_rate
        groups.append({"params": parameters, "lr": rate, "rate": part.rate, "betas": part.betas})
    # One fused kernel per step; on a CPU it is several times faster than one loop per tensor.
    return torch.optim.Adam(
        groups,
        lr=config.learning_rate,
        fused=device.type in ("cpu", "cuda"),
        capturable=device.type == "cuda",
    )


def step_seed(seed: int, step: int) -> int:
    """Return the well-mixed 63-bit seed of one step of a training."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> 1)


def _mean(values: list[Tensor]) -> Tensor:
    """Return the mean of scalars, added one after the other."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total / len(values) if len(values) > 1 else total
