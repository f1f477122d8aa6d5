"""Fine-tuning: a training that starts with the weights of another model, as far as they fit."""

from typing import NamedTuple

import torch
from torch import nn

from generative.core.options import ComponentError

_NAMED = 5  # weights that are named in a line; the others are counted


class TakenOver(NamedTuple):
    """What became of the weights of another model."""

    taken: tuple[str, ...]
    """Names of those that the new model has now."""
    drawn: tuple[str, ...]
    """Weights of the new model that are left as they were drawn, and why."""
    unused: tuple[str, ...]
    """Weights of the other model that the new one has no place for."""
    meanings: tuple[str, ...] = ()
    """Fields whose numbers stood for something else in the other model's data, so that weights mean something else."""

    def lines(self) -> list[str]:
        """Return in words what is taken over, what is not, and what is left over."""
        total = len(self.taken) + len(self.drawn)
        said = [f"{len(self.taken)} of {total} tensors taken over"]
        for names, what in ((self.drawn, "left as they were drawn"), (self.unused, "not used, as the model has none")):
            if names:
                more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
                said.append(f"{what}: {', '.join(names[:_NAMED])}{more}")
        return [*said, *(f"other meanings: {each}" for each in self.meanings)]


@torch.no_grad()
def take_over(module: nn.Module, other: nn.Module) -> TakenOver:
    """Copy every weight of `other` that has the same name and shape in `module`, and say what became of the rest.

    Raises:
        ComponentError: none fits.
    """
    mine, theirs = module.state_dict(), other.state_dict()
    taken, drawn = [], []
    for name, tensor in mine.items():
        if name in theirs and theirs[name].shape == tensor.shape:
            tensor.copy_(theirs[name])
            taken.append(name)
        elif name in theirs:
            drawn.append(f"{name} ({_shape(tensor)}, there {_shape(theirs[name])})")
        else:
            drawn.append(f"{name} (not there)")
    trained = {name for name, each in module.named_parameters() if each.requires_grad}
    if not trained & set(taken):
        raise ComponentError(
            f"start: none of its weights fits: {'; '.join(drawn[:_NAMED])}; name a run of this model, or leave it out"
        )
    return TakenOver(tuple(taken), tuple(drawn), tuple(name for name in theirs if name not in mine))


def _shape(tensor: torch.Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a number"
