"""What only training needs is in checkpoints and not in components: non-persistent buffers."""

import itertools
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from generative import ComponentError, FitConfig, Registry, component_bytes, component_from_bytes, fit
from generative.training.checkpoint import training_state


@dataclass(frozen=True)
class RememberingConfig:
    """A number that follows what it has seen."""

    memory: int = 4
    """Batches that it remembers."""


class Remembering(nn.Module):
    """Learns the mean of the last batches, which it keeps; the newest takes the place of the oldest."""

    type_name = "remembering"
    seam = "test"
    Config = RememberingConfig

    def __init__(self, config: RememberingConfig) -> None:
        super().__init__()
        self.config = config
        self.guess = nn.Parameter(torch.zeros(1))
        self.inner = nn.Module()
        self.inner.register_buffer("kept", torch.zeros(config.memory), persistent=False)
        self.register_buffer("place", torch.zeros((), dtype=torch.int64), persistent=False)

    def loss(self, batch, generator):
        if self.training:
            with torch.no_grad():
                self.inner.kept.index_copy_(0, self.place[None], batch.mean()[None])
                self.place.add_(1).remainder_(self.config.memory)
        return (self.guess - self.inner.kept.mean()).square().sum(), {}


def batches(start: int):
    return (torch.full((3,), float(step)) for step in itertools.count(start))


def run(steps: int, checkpoint=None, memory: int = 4):
    module = Remembering(RememberingConfig(memory))
    rows = list(fit(module, batches, FitConfig(steps=steps), seed=0, checkpoint=checkpoint, log_every=1))
    return module, [{**row, "samples_per_second": 0} for row in rows]


def test_a_resumed_training_has_its_state_and_has_it_in_place(tmp_path):
    whole, rows = run(10)
    run(6, tmp_path)
    module = Remembering(RememberingConfig())
    address = module.inner.kept.data_ptr()
    later = list(fit(module, batches, FitConfig(steps=10), seed=0, checkpoint=tmp_path, log_every=1))
    assert [{**row, "samples_per_second": 0} for row in later] == rows[6:]
    assert torch.equal(module.inner.kept, whole.inner.kept) and torch.equal(module.place, whole.place)
    assert torch.equal(module.guess, whole.guess) and module.inner.kept.data_ptr() == address


def test_a_component_does_not_hold_it():
    registry = Registry("test", {"remembering": Remembering})
    module, _ = run(5)
    assert set(training_state(module)) == {"inner.kept", "place"} and module.inner.kept.any()
    assert set(module.state_dict()) == {"guess"}
    shipped = component_from_bytes(component_bytes(module), registry)
    assert torch.equal(shipped.guess, module.guess) and not shipped.inner.kept.any()


def test_a_checkpoint_without_it_or_with_another_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("generative.training.checkpoint.training_state", lambda module: {})
        run(3, tmp_path)
    with pytest.raises(ComponentError, match=r"another model \(training state place of shape \(\) is missing"):
        run(5, tmp_path)
