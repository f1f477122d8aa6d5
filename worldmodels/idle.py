"""Fields that do nothing unless another one is set, and the refusal of those that were set in vain.

A preset may set such a field for whoever builds on it, and the first round of a loop for a later one. So only what a
user's file or command line sets is looked at, and a field acts where any round uses it.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from worldmodels.errors import RunError


class Idle(NamedTuple):
    """When fields act."""

    fields: tuple[str, ...]
    acts: Callable[[Any], bool]
    """Whether they act in the configuration of a round."""
    needs: str
    """What has to be set for it, in words."""
    loop: bool = False
    """Whether they are of the whole loop, which rounds have no part in."""


def _drives(*names: str) -> Callable[[Any], bool]:
    return lambda config: any(name in config.collect.policies for name in names)


TABLE = (
    Idle(("collect.noise", "collect.correlation_time"), _drives("agent", "perturbed-agent", "random-controller"),
         "agent, perturbed-agent or random-controller among collect.policies"),
    Idle(("collect.perturbation",), _drives("perturbed-agent", "random-controller"),
         "perturbed-agent or random-controller among collect.policies"),
    Idle(("collect.bias",), _drives("ornstein-uhlenbeck", "random-controller"),
         "ornstein-uhlenbeck or random-controller among collect.policies"),
    Idle(("collect.agent",), lambda config: bool(config.collect.needs_agent),
         "agent, perturbed-agent or random-controller among collect.policies", loop=True),
    Idle(("memory.reward.window",), lambda config: config.memory.reward.type != "raw",
         "another memory.reward.type than raw"),
    Idle(("memory.termination.off_road_steps",), lambda config: config.memory.termination.type == "off-road",
         "memory.termination.type=off-road"),
    Idle(("features.stack",), lambda config: config.features.reads == "frame-stack", "features.reads=frame-stack"),
    Idle(("features.memory",), lambda config: config.features.uses_memory, "features.reads=vision+memory"),
    Idle(("controller.layers",), lambda config: config.controller.type != "linear", "controller.type=mlp"),
    Idle(("evolve.validation.top_k_tracks",),
         lambda config: config.loop.rounds > 0 or config.evolve.validation.top_k > 1,
         "evolve.validation.top_k above 1, or a loop", loop=True),
    Idle(("loop.vision_every", "loop.warm_start"),
         lambda config: config.loop.rounds > 1, "loop.rounds above 1", loop=True),
    Idle(("loop.final",), lambda config: config.loop.rounds > config.loop.vision_every,
         "loop.rounds above loop.vision_every", loop=True),
    Idle(("accuracy.histories", "accuracy.controller_tracks", "accuracy.controller_dreams"),
         lambda config: config.accuracy.controllers > 0, "accuracy.controllers above 0"),
    Idle(("executor.address", "executor.item_timeout"),
         lambda config: config.executor.type == "ray", "executor.type=ray"),
)  # fmt: skip
"""Every field that does nothing on its own."""


def refuse_idle(given: Iterable[str], rounds: Sequence[Any], defaults: Any, where: str = "") -> None:
    """Refuse fields that are set to another value than the default and act in no round.

    Args:
        given: names of the fields that the user has set.
        rounds: the configuration, and those of later rounds in a loop.
        defaults: the default configuration.
        where: stands before the fields' names in the message.

    Raises:
        RunError: names the field, its value, and what it needs.
    """
    names = tuple(given)
    for idle in TABLE:
        acts = any(idle.acts(config) for config in (rounds[:1] if idle.loop else rounds))
        for field in idle.fields:
            value = attrgetter(field)(rounds[0])
            set_here = any(name == field or name.startswith(f"{field}.") for name in names)
            if set_here and not acts and value != attrgetter(field)(defaults):
                raise RunError(
                    f"configuration: {where}{field}={value!r} does nothing here: it needs {idle.needs}; set that too, "
                    "or leave it out"
                )
