"""The contract of a trainable part, its registry and its folder on disk.

A component is an `nn.Module` with a frozen dataclass `Config`, a class attribute `type_name`, an attribute
`config` and a `loss(batch, generator) -> (loss, metrics)`. In evaluation mode `loss` is that of held-out data and
changes nothing; a component where that is otherwise has `held_out_loss`, with the same arguments. A `Registry` finds
components of one seam ("vision", "memory", ...) by name; packages of third parties join through the entry-point group
`worldmodels.components`, so nobody edits this file.

A component that several objectives pull in different directions (a critic and a generator) has `objectives` in
place of `loss`: see `HasObjectives`. So may one that does something after every step, such as averaging its weights.
`parts` says how each part is trained; a component with a `loss` may have it too, its only part is called "".

What only training needs (images of earlier steps, a replay buffer, the state that a stream carries on, a mean that
follows) is a buffer that PyTorch calls non-persistent: `register_buffer(name, tensor, persistent=False)`, changed in
place. Checkpoints save and restore it; a component's folder does not hold it.

A class that says `fixed_step: ClassVar[bool] = True` has its training steps recorded and replayed on a GPU, many times
faster where networks are small. It promises that every step does the same operations on tensors of the same shapes with
the same numbers as arguments: no counter in Python, no `Tensor.item`, no branch that depends on a tensor's values. A
counter may be a tensor among the buffers. Where steps differ all the same, `HasVariants` of
`generative.training.variants` says which are alike, and each kind is recorded apart. Subclasses promise for themselves;
without the promise steps are plain.

What no gradient finds (principal components, the spread of latents) a component has from `Estimates`: a stage
calls `fit` on a component with parameters that require gradients, and then `estimate` on one that has it. A
component with nothing to train is only estimated. Before it is, its numbers are random, as untrained weights are.

A component's folder holds `config.json` (the `type` tag,
format version and options), `model.safetensors` and `metadata.json`. Nothing in it is executable.
`config.json` comes last and carries the hash of the weights, so a process killed while saving leaves either
no component or one that refuses to load, never a mixture that loads.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Component(Protocol):
    """What the toolkit asks of a trainable `nn.Module`; `seam` is optional and only improves messages."""

    type_name: ClassVar[str]
    Config: ClassVar[Any]
    config: Any

    def loss(self, batch: Any, generator: torch.Generator) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the scalar to minimise and scalars to log; every random number comes from `generator`."""


class Objective(NamedTuple):
    """What one part of a component is to step down now."""

    part: str
    """Name of the submodule whose parameters, and no others, go down the loss's gradient."""
    loss: Tensor
    """Scalar to minimise."""
    metrics: dict[str, Tensor]
    """Scalars to log."""
    name: str = ""
    """What its loss and gradient are logged as; the part's name by default. Objectives of one part have one each."""


@dataclasses.dataclass(frozen=True)
class Part:
    """How a submodule that has an objective of its own is trained."""

    rate: float = 1.0
    """Its learning rate, in multiples of the training's."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the running mean of gradients and of their squares. The first is SGD's and RMSprop's momentum, and SGD
    has no second."""
    optimiser: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    """What turns gradients into updates."""
    decay: float = 0.0
    """Weight decay: of adamw apart from the gradient, of the others added to it."""
    decays: Literal["all", "matrices"] = "all"
    """What the decay is of: all weights, or those of two axes and more, without biases and gains (as of GPT-2)."""
    schedule: Literal["", "constant", "cosine", "half-linear", "inverse-root"] = ""
    """Course of its learning rate; the training's by default."""
    accumulation: int = 1
    """Objectives whose gradients are averaged for one update; each step has a multiple of it."""

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ValueError(f"rate={self.rate}: must be above 0")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas={self.betas}: give 0 or more, but less than 1")
        if not self.decay >= 0:
            raise ValueError(f"decay={self.decay}: must not be negative; 0 turns it off")
        if self.accumulation < 1:
            raise ValueError(f"accumulation={self.accumulation}: give 1 or more; 1 updates after every objective")


@runtime_checkable
class HasObjectives(Protocol):
    """A component with several objectives, which a training step serves in turn; it needs no `loss`."""

    parts: Mapping[str, Part]
    """The submodules that are trained, by name; no parameter belongs to two."""
    batches_per_step: int
    """How many batches a training step uses."""

    def objectives(self, batches: Sequence[Any], step: int, generator: torch.Generator) -> Iterator[Objective]:
        """Yield the objectives of a step, counted from 0; while it waits at a `yield`, that part takes its update.

        So what is computed after a `yield` sees the new weights: the next loss, a clipping of the weights, a moving
        average. It always runs to its end, and every random number comes from `generator`.
        """


@runtime_checkable
class Estimates(Protocol):
    """A component with numbers that come from looking at data once, without gradients."""

    def estimate(self, batches: Iterator[Any], generator: torch.Generator) -> None:
        """Set them from as many batches as it needs; called once, after `fit` if that is.

        The batches show every item at most once, and may end.
        """


@dataclasses.dataclass(frozen=True)
class LatentSpec:
    """What an encoder's z is; checked when parts are assembled, before anything trains."""

    kind: Literal["continuous", "discrete", "spatial"]
    """Real numbers, one-hot categories, or a map of either with positions."""
    size: int
    """Entries of z when flattened (Z)."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size={self.size}: a latent needs at least one entry; raise it")


@dataclasses.dataclass(frozen=True)
class CodeSpec:
    """What a quantising encoder's codes are."""

    codes: int
    """K, how many there are; each is a number from 0 on."""
    shape: tuple[int, ...]
    """Positions, each of which has one: height and width of a map."""

    def __post_init__(self) -> None:
        if self.codes < 1 or any(side < 1 for side in self.shape):
            raise ValueError(f"codes={self.codes}, shape={self.shape}: give 1 or more each")


def has_fixed_step(module: nn.Module) -> bool:
    """Return whether a component's own class, not one that it is derived from, declares `fixed_step`."""
    return "fixed_step" in vars(type(module)) and bool(module.fixed_step)
