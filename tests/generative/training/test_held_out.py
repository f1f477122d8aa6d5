"""The held-out loss: what a component says of data that it does not train on, and nothing changes by it."""

import pytest
import torch
from torch import nn

from generative.training.held_out import held_out_loss
from tests.generative.small_models import SMALL, batch, make


def everything(module) -> dict[str, torch.Tensor]:
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {name: each.detach().clone() for name, each in tensors.items()}


@pytest.mark.parametrize("case", SMALL)
@pytest.mark.parametrize("mode", [True, False])
def test_it_changes_nothing_of_any_model(case, mode):
    module = make(case).train(mode)
    before, modes = everything(module), [each.training for each in module.modules()]
    state = torch.get_rng_state()
    first, again = (held_out_loss(module, batch(module, 6), torch.Generator().manual_seed(1)) for _ in range(2))
    after = everything(module)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert [each.training for each in module.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert (first is None) == ("gan" in case or case.startswith("energy"))
    if first is not None and again is not None:
        assert torch.equal(first[0], again[0]) and not first[0].requires_grad


class Streaming(nn.Module):
    """Carries on a state where it trains; held-out data begin anew."""

    def __init__(self, own: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.register_buffer("carried", torch.full((), 5.0), persistent=False)
        if own:
            self.held_out_loss = self.begun_anew

    def loss(self, obs, generator):
        return (self.weight * obs + self.carried).sum(), {"training": torch.tensor(float(self.training))}

    def begun_anew(self, obs, generator):
        return (self.weight * obs).sum(), {}


def test_a_component_may_have_its_own_and_else_it_is_its_loss_in_evaluation_mode():
    obs = torch.ones(2)
    found = held_out_loss(Streaming(True), obs, torch.Generator())
    assert found is not None and found[0] == 2.0
    found = held_out_loss(Streaming(False).train(), obs, torch.Generator())
    assert found is not None and found[0] == 12.0 and found[1]["training"] == 0.0


def test_the_mode_is_restored_where_it_fails():
    module = make("vae").train()
    with pytest.raises(ValueError, match="obs of shape"):
        held_out_loss(module, torch.zeros(1, 3, 3, 3), torch.Generator())
    assert module.training
