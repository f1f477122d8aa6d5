from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from generative import Registry, component_bytes, component_from_bytes, load_component, save_component
from generative.core.without_draws import DRAWS, WithoutDraws
from worldmodels.run.preflight import imagined


@dataclass(frozen=True)
class ToldConfig:
    """Nothing."""


class Told(nn.Module):
    """Tells whether its weights were drawn."""

    type_name, seam, Config = "told", "test", ToldConfig

    def __init__(self, config: ToldConfig) -> None:
        super().__init__()
        self.config, self.weights = config, nn.Parameter(torch.ones(3))
        nn.init.normal_(self.weights)
        with torch.no_grad():
            self.weights.uniform_(2.0, 3.0)
        self.drawn = bool((self.weights != 1).all())


def test_what_is_made_is_drawn_and_what_is_loaded_is_not(tmp_path):
    registry = Registry("test", {"told": Told})
    module = registry.create("told", {})
    assert module.drawn
    save_component(module, tmp_path / "part", {})
    for loaded in (
        load_component(tmp_path / "part", registry),
        component_from_bytes(component_bytes(module), registry),
    ):
        assert not loaded.drawn and torch.equal(loaded.weights, module.weights)
    assert registry.create("told", {}).drawn


@pytest.mark.parametrize("layer", [nn.Linear, nn.Embedding, nn.LSTM])
def test_layers_of_torch_draw_nothing_inside(layer):
    before = torch.get_rng_state()
    with WithoutDraws():
        layer(3, 4)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_imagined_draws_nothing():
    """Without memory a draw would import torch's compiler."""

    class Seen(TorchFunctionMode):
        called: list[object] = []  # noqa: RUF012

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.called.append(func)
            return func(*args, **(kwargs or {}))

    with Seen():
        assert imagined(lambda: nn.init.xavier_uniform_(nn.Linear(3, 4).weight)) is not None
    assert Seen.called and not DRAWS & set(Seen.called)
