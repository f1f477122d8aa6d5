"""Which operations a training step is made of: what a GPU would record, seen on a processor."""

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode  # there is no public way to see every operation

from generative import FitConfig
from generative.hardware.cuda_graphs import WARM_UP, Replayed, as_recorded
from generative.training.parts import batches_per_step, parts_of
from generative.training.training_step import TrainingStep, step_seed

WAITS = (
    "_local_scalar_dense",  # Tensor.item
    "lift_fresh",  # torch.tensor(number): a copy from the processor
    "nonzero",
    "masked_select",
    "bincount",
    "unique",
    "repeat_interleave",
)
"""Operations for which a GPU is waited for."""
LOOKED_AT = (WARM_UP + 1, WARM_UP + 2, 12)
"""The step that a GPU records, and others, which have to be the same."""


class Operations(TorchDispatchMode):
    """Writes down every operation with the shapes and numbers that it is given."""

    def __init__(self):
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        masks = any(isinstance(each, Tensor) and each.dtype is torch.bool for each in _flat(args[1:2]))
        by_mask = "by mask" if masks and "index" in str(func) else ""
        self.seen.append(f"{func} {_said(args)} {_said(kwargs or {})} {by_mask}")
        return func(*args, **(kwargs or {}))


def _flat(part):
    return [leaf for each in part for leaf in _flat(each)] if isinstance(part, list | tuple) else [part]


def _said(part) -> object:
    if isinstance(part, Tensor):
        return f"{part.dtype}{tuple(part.shape)}"
    if isinstance(part, torch.Generator | torch.ScriptObject):
        return type(part).__name__
    if isinstance(part, dict):
        return {name: _said(each) for name, each in part.items()}
    return [_said(each) for each in part] if isinstance(part, list | tuple) else repr(part)


def operations(monkeypatch, module, stream) -> list[list[list[str]]]:
    """Train a component as on a GPU, and return the operations of the steps in `LOOKED_AT`, of each variant apart."""
    found: list[list[list[str]]] = []

    class Watched(Replayed):
        calls = 0

        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.seen: list[list[str]] = []
            found.append(self.seen)

        def __call__(self):
            self.calls += 1
            if self.calls not in LOOKED_AT:
                return super().__call__()
            with as_recorded(), Operations() as seen:
                result = super().__call__()
            self.seen.append(seen.seen)
            return result

    monkeypatch.setattr("generative.training.training_step.Replayed", Watched)
    step = TrainingStep(module, FitConfig(gradient_clip=1.0, clip_value=1.0), torch.device("cpu"))
    step.replays = True
    for number in range(max(LOOKED_AT)):
        taken = [next(stream) for _ in range(batches_per_step(module))]
        step(number, step_seed(0, number), taken)
    return found


def check_fixed(monkeypatch, module, stream) -> None:
    """Fail unless every step is the same operations, none of which waits."""
    for first, *others in operations(monkeypatch, module, stream):
        waits = [each for each in first if each.endswith("by mask") or any(wait in each.split()[0] for wait in WAITS)]
        if any(part.optimiser == "rmsprop" for part in parts_of(module).values()):  # on a CPU it reads its rate
            waits = [
                each for each in waits if not each.startswith("aten._local_scalar_dense.default ['torch.float32()']")
            ]
        assert not waits and others, (waits[:5], len(others))
        for other in others:
            assert len(other) == len(first)
            differences = [pair for pair in zip(first, other, strict=True) if pair[0] != pair[1]]
            assert not differences
