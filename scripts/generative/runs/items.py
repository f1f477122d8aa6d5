"""Items of a data set as a model takes them: the values, what goes beside them, and the codes that they get."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Int, Int64
from torch import Tensor, nn
from torch.nn.functional import interpolate

from generative import ComponentError, offers, require, resolve_device
from generative.core.facts import Facts
from generative.data import Batches, Data, as_input
from generative.data.identity import fields_of
from generative.data.kept import kept_on_gpu
from generative.latent.interpolation import encode_means
from generative.runs.run_folder import TrainingConfig
from generative.training.batches import each_tensor
from generative.training.parts import batches_per_step
from generative.training.variants import Phase, phases_of


@dataclass(frozen=True)
class Items:
    """Some items of a data set as a model takes them."""

    values: Tensor
    """The first of the model's inputs: images (N C H W) in [0, 1], rows of categories (N F), points (N D), ..."""
    condition: tuple[Tensor, ...] = ()
    """The other inputs, such as class numbers (N)."""

    def first(self, count: int) -> "Items":
        """Return the first items."""
        return Items(self.values[:count], tuple(each[:count] for each in self.condition))

    def to(self, device: torch.device) -> "Items":
        """Return the items on a device."""
        return Items(self.values.to(device), tuple(each.to(device) for each in self.condition))

    @property
    def batch(self) -> Any:
        """All of them as one batch: a tensor, or a tuple where there are several inputs."""
        return (self.values, *self.condition) if self.condition else self.values


def inputs(module: nn.Module) -> tuple[str, ...]:
    """Return the fields that a model takes, in their order."""
    return tuple(cast(Any, module).inputs)


def stream(module: nn.Module, data: Data, batch: int, seed: int) -> Batches:
    """Return the batches that a model trains on, as they are stored; see `preparation`."""
    return data.batches(batch, seed, inputs(module), getattr(module, "order", "shuffled"), stored=True)


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


def preparation(module: nn.Module, data: Data) -> Callable[[Any], Any]:
    """Return what makes a batch of `stream` one that the model takes: images in [0, 1], all else as it is."""
    fields = [data.fields[name] for name in inputs(module)]

    def prepare(batch: Any) -> Any:
        if len(fields) == 1:
            return as_input(batch, fields[0])
        return tuple(as_input(part, field) for part, field in zip(batch, fields, strict=True))

    return prepare


def once(module: nn.Module, data: Data, batch: int, seed: int) -> Iterator[Any]:
    """Return batches of every item once, as `estimate` takes them."""
    return data.batches(min(batch, len(data)), seed, inputs(module)).once()


def places(data: Data, count: int) -> Int64[np.ndarray, " N"]:
    """Return positions at even distances over a part of the data, at most `count`."""
    return np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).astype(np.int64))


def take(module: nn.Module, data: Data, count: int) -> Items:
    """Return the items at `places`."""
    where = places(data, count)
    values, *condition = (data.tensor(name, where) for name in inputs(module))
    return Items(values, tuple(condition))


def field_of(module: nn.Module, items: Items, name: str) -> Tensor:
    """Return one of the fields that a model takes."""
    return (items.values, *items.condition)[inputs(module).index(name)]


@torch.no_grad()
def answered(module: nn.Module, items: Items, sampling: Any, seed: int) -> Int[Tensor, "N S"]:
    """Return a model's answers to items; their targets are not looked at."""
    given = [field_of(module, items, name) for name in inputs(module) if not name.startswith("target")]
    generator, found = torch.Generator(items.values.device).manual_seed(seed), []
    for part in zip(*(each.split(256) for each in given), strict=True):
        found.append(cast(Any, module).answer(*part, sampling=sampling, generator=generator))
    longest = max(each.shape[1] for each in found)
    return torch.cat([nn.functional.pad(each, (0, longest - each.shape[1])) for each in found])


@torch.no_grad()
def codes(module: nn.Module, data: Data, count: int, seed: int) -> Items:
    """Return latents to start from, with the labels they stand for: of held-out items, in an order by seed.

    Of a model that cannot encode they are drawn from its prior N(0, 1).

    Raises:
        ComponentError: the model cannot decode, so that nothing could be seen of them; says which models can.
    """
    require(module, "decode")
    generator = torch.Generator().manual_seed(seed)
    items = take(module, data.held_out(), max(1024, count))
    order = torch.randperm(len(items.values), generator=generator)[:count]
    condition = tuple(each[order] for each in items.condition)
    if not offers(module, "encode"):
        return Items(torch.randn(len(order), cast(Any, module).latent_spec.size, generator=generator), condition)
    return Items(encode_means(module, items.values[order], condition), condition)


def require_images(data: Data, command: str) -> Data:
    """Return data of images; raise ComponentError for all else."""
    if data.item.kind != "image":
        raise ComponentError(no_images(command, data.name, data.main))
    return data


def require_images_of(facts: Facts, command: str) -> None:
    """Raise ComponentError where a run's data are no images."""
    main, item = next(iter(fields_of(facts).items()))
    if item.kind != "image":
        raise ComponentError(no_images(command, facts["name"], main))


def no_images(command: str, name: str, field: str) -> str:
    """Say that a command shows images, and what these data are instead."""
    return f"`{command}` shows images, and {name} has {field}s; use `evaluate` or `report`"
