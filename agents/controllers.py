"""Controllers: the small part of a world-model agent, evolved rather than trained by gradients.

The paper's C is linear in (z, h): a = squash(W [z, h] + b), 867 parameters for 288 features and 3 actions
(Ha and Schmidhuber 2018, section 2.3). A whole population acts at once: every row has a flat parameter vector
of its own. Its layout: layer after layer, each as its bias (out,), then its weights (in, out) row by row.

Bits: on one machine an action depends on its own features and parameters only, as long as the batch keeps its
width; matmul kernels round differently at other widths. So mask finished episodes, never drop their rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from agents.actions import ActionSpec
from agents.interfaces import Controller
from agents.lookup import choose

MOST_UNITS = 1_000_000


@dataclass(frozen=True)
class ControllerConfig:
    """Which controller, and how large."""

    type: str = "linear"
    """linear: the paper's; mlp: with tanh layers, one of 40 units in the paper's ablation; or a name of your own."""
    layers: tuple[int, ...] = (64, 64)
    """Units of each tanh layer of type "mlp", or whatever sizes one of your own has."""
    bias: tuple[float, ...] = ()
    """Biases of the outputs, before squashing, with which an evolution from scratch begins; empty for none. A negative
    one for CarRacing's brake lets it rest: noise about zero brakes half of the time."""

    def __post_init__(self) -> None:
        choose(CONTROLLERS, self.type, "controller.type", "controller")
        if not self.layers or min(self.layers) < 1:
            raise ValueError(f"layers={self.layers}: needs sizes of at least 1; for none take type=linear")
        if max(self.layers) > MOST_UNITS:
            raise ValueError(f"layers={self.layers}: a layer has at most {MOST_UNITS:,} units; take fewer")
        if not np.isfinite(self.bias).all():
            raise ValueError(f"bias={self.bias}: give finite numbers")


class MLPController:
    """A perceptron with tanh layers, batched over parameter vectors; N is the sum of out * (in + 1)."""

    def __init__(self, features: int, action_spec: ActionSpec, layers: tuple[int, ...] = (64, 64)) -> None:
        if features < 1:
            raise ValueError(f"features={features}: a controller needs at least one feature")
        self.features = features
        self.action_spec = action_spec
        self.sizes = tuple(pairwise((features, *layers, action_spec.size)))  # (in, out) of each layer

    @classmethod
    def from_config(cls, config: ControllerConfig, features: int, action_spec: ActionSpec) -> "MLPController":
        """Take what it needs from the config."""
        return cls(features, action_spec, config.layers)

    @property
    def parameters_size(self) -> int:
        """Length N of one flat parameter vector."""
        return sum(n_out * (n_in + 1) for n_in, n_out in self.sizes)

    def resting(self, bias: Sequence[float]) -> Float64[np.ndarray, " N"]:
        """Parameters of zeros but for the biases of the outputs, before squashing: the same action whatever it sees.

        Raises:
            ValueError: not one finite number for each output.
        """
        outputs = self.action_spec.size
        if len(bias) != outputs or not np.isfinite(bias).all():
            raise ValueError(f"bias={tuple(bias)}: give {outputs} finite numbers, one for each output")
        parameters = np.zeros(self.parameters_size)
        last = self.parameters_size - outputs * (self.sizes[-1][0] + 1)
        parameters[last : last + outputs] = bias
        return parameters

    def act(self, features: Float[Tensor, "B F"], parameters: Float[Tensor, "B N"]) -> Float[Tensor, "B A"]:
        """Squashed actions, row b by the controller `parameters[b]`.

        Raises:
            ValueError: shapes do not fit this controller or each other.
        """
        return self.act_population(features.unsqueeze(1), parameters).squeeze(1)

    @torch.no_grad()
    def act_population(
        self, features: Float[Tensor, "P E F"], parameters: Float[Tensor, "P N"]
    ) -> Float[Tensor, "P E A"]:
        """Squashed actions of P controllers in E episodes each, without copying any parameters.

        Raises:
            ValueError: shapes do not fit this controller or each other.
        """
        self._check(features, parameters)
        x, start = features, 0
        for layer, (n_in, n_out) in enumerate(self.sizes):
            bias = parameters[:, start : start + n_out].unsqueeze(1)  # (P 1 out)
            start += n_out
            end = start + n_in * n_out
            weight = parameters[:, start:end].unflatten(1, (n_in, n_out))  # (P in out), a view
            start = end
            x = torch.baddbmm(bias, x if layer == 0 else x.tanh(), weight)  # (P E out)
        return self.action_spec.squash_action(x)

    def _check(self, features: Tensor, parameters: Tensor) -> None:
        if features.shape[-1] != self.features:
            raise ValueError(f"got {features.shape[-1]} features, this controller reads {self.features}")
        if parameters.ndim != 2 or parameters.shape[1] != self.parameters_size:
            shape = tuple(parameters.shape)
            raise ValueError(f"parameters have shape {shape}, needs (rows, {self.parameters_size})")
        if len(parameters) != len(features):
            raise ValueError(f"{len(features)} rows of features but {len(parameters)} of parameters")


class LinearController(MLPController):
    """The paper's controller, N = A (F + 1)."""

    def __init__(self, features: int, action_spec: ActionSpec) -> None:
        super().__init__(features, action_spec, ())

    @classmethod
    def from_config(cls, config: ControllerConfig, features: int, action_spec: ActionSpec) -> "MLPController":
        """Needs nothing from the config."""
        return cls(features, action_spec)


class ControllerClass(Protocol):
    """What `CONTROLLERS` holds."""

    def from_config(self, config: ControllerConfig, features: int, action_spec: ActionSpec) -> Controller:
        """Return the controller for F features and the env's actions; takes what it needs from the config."""
        ...


CONTROLLERS: dict[str, ControllerClass] = {
    "linear": LinearController,
    "mlp": MLPController,
}
"""By name; add your own, or install a package with an entry point called `controller.<name>`."""


def make_controller(config: ControllerConfig, features: int, action_spec: ActionSpec) -> Controller:
    """Build the controller that the config names, for F features and the env's actions.

    Raises:
        ValueError: no controller has this name.
    """
    chosen = choose(CONTROLLERS, config.type, "controller.type", "controller")
    return chosen.from_config(config, features, action_spec)
