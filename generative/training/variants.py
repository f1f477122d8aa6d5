"""Steps that are not all alike: which objectives a step serves, and phases with batches of their own.

A GPU replays recorded steps, in which no branch is taken anew. So what differs is decided outside the recording.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from torch import nn

from generative.training.fit_config import FitConfig


class Phase(NamedTuple):
    """A stretch of a training, up to the next phase or the end."""

    first: int
    """Its first step, counted from 0."""
    batch: int
    """Items in a batch."""
    resolution: int
    """Height of the images in a batch, in pixels."""
    rate: float = 1.0
    """Learning rate of all parts, in multiples of what it would be."""


@runtime_checkable
class HasVariants(Protocol):
    """A component whose steps differ, such as by a penalty every 16 steps or by a weight that grows."""

    def variant(self, step: int, fit: FitConfig) -> Hashable:
        """Return what tells a step's operations from those of others; called before the step, never recorded.

        Numbers that follow from the step are written into buffers here (`Tensor.fill_`). In `objectives`, a component
        with `fixed_step` may look at its step only where all steps of one variant agree.

        Args:
            step: counted from 0.
            fit: of the training, its length among others.
        """


@runtime_checkable
class HasPhases(Protocol):
    """A component that is trained in phases, such as a network that grows with its images."""

    def phases(self, fit: FitConfig) -> Sequence[Phase]:
        """Return the phases in their order, the first from step 0 on."""


def phases_of(module: nn.Module, fit: FitConfig) -> tuple[Phase, ...]:
    """Return a component's phases, none where it has none.

    Raises:
        ValueError: they do not begin at step 0, do not rise, or one has no items, no pixels or no rate.
    """
    if not isinstance(module, HasPhases):
        return ()
    phases = tuple(Phase(*phase) for phase in module.phases(fit))
    firsts = [phase.first for phase in phases]
    if firsts != sorted(set(firsts)) or firsts[:1] != [0]:
        raise ValueError(f"phases: first steps {firsts}; give rising ones, the first of them 0")
    if min(min(phase.batch, phase.resolution) for phase in phases) < 1:
        raise ValueError(f"phases: {phases}; batch and resolution must be 1 or more")
    if not all(phase.rate > 0 for phase in phases):
        raise ValueError(f"phases: {phases}; rate must be above 0")
    return phases


def phase_at(phases: Sequence[Phase], step: int) -> Phase:
    """Return the phase that a step belongs to."""
    return [phase for phase in phases if phase.first <= step][-1]
