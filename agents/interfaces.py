"""The seams of this package on one page: what a controller, an optimiser and a policy must offer.

Implementations live in `agents.controllers`, `agents.optimisers` and `agents.policies`; each of these holds
one dict from name to class, and `agents.lookup.choose` looks a name up in it.

Axes: B rows, P population, N parameters, E episodes, F features, A action, W slots of a vector env.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, UInt8
from torch import Tensor

from agents.actions import ActionSpec

LogEntry = dict[str, Any]
"""What JSON holds of a generation."""


@runtime_checkable
class Controller(Protocol):
    """Features to actions, where every row brings its own flat parameter vector (C of Ha and Schmidhuber)."""

    action_spec: ActionSpec
    """What its actions are."""

    @property
    def parameters_size(self) -> int:
        """Length N of the flat parameter vector of one controller."""
        ...

    def resting(self, bias: Sequence[float]) -> Float64[np.ndarray, " N"]:
        """Parameters of zeros but for the biases of the outputs, before squashing."""
        ...

    def act(self, features: Float[Tensor, "B F"], parameters: Float[Tensor, "B N"]) -> Float[Tensor, "B A"]:
        """Squashed actions, row b by the controller `parameters[b]`."""
        ...

    def act_population(
        self, features: Float[Tensor, "P E F"], parameters: Float[Tensor, "P N"]
    ) -> Float[Tensor, "P E A"]:
        """Squashed actions of P controllers in E episodes each."""
        ...


class Best(NamedTuple):
    """The candidate with the highest raw score ever told, and where it was met."""

    score: float
    parameters: Float64[np.ndarray, " N"]
    generation: int
    candidate: int


@runtime_checkable
class Optimiser(Protocol):
    """A black-box MAXIMISER by ask and tell; its whole state follows from config, seed, start and scores."""

    @property
    def generation(self) -> int:
        """How many generations have been told."""
        ...

    @property
    def mean(self) -> Float64[np.ndarray, " N"]:
        """The centre of the search distribution: the parameters to report when scores are noisy."""
        ...

    @property
    def sigma(self) -> float:
        """The overall step size."""
        ...

    @property
    def best(self) -> Best | None:
        """The best candidate so far by raw score, None before the first `tell`."""
        ...

    def ask(self) -> Float64[np.ndarray, "P N"]:
        """The candidates of this generation; the same ones until they are told."""
        ...

    def tell(self, parameters: Float64[np.ndarray, "P N"], scores: Float64[np.ndarray, " P"]) -> None:
        """Take the scores (higher is better) of exactly the candidates that `ask` returned."""
        ...

    def log(self) -> list[LogEntry]:
        """One JSON-able entry per generation told; their `scores` are all that a replay needs."""
        ...


@runtime_checkable
class Policy(Protocol):
    """Frames to actions for W slots, where every slot has its own stream of random numbers."""

    def begin(self, slot: int, seed: int) -> None:
        """Start an episode in one slot."""
        ...

    def act(
        self, obs: UInt8[np.ndarray, "W height width channels"], active: Bool[np.ndarray, " W"]
    ) -> Float32[np.ndarray, "W A"]:
        """Actions in the convention of `ActionSpec`; rows of inactive slots carry no meaning."""
        ...
