import pytest
import torch

from generative import MODELS, ComponentError
from tests.generative.models.shapes import squares, stream

OPTIONS = {"image_size": 16, "channels": 1, "latent": 8, "width": 8}


def test_nothing_is_trained_and_the_seed_is_the_weights():
    module, again = (MODELS.create("random-convolutions", OPTIONS, 1) for _ in range(2))
    assert not any(each.requires_grad for each in module.parameters())
    obs = squares(4, 0)
    assert torch.equal(module.encode(obs)[0], again.encode(obs)[0])
    assert not torch.equal(module.encode(obs)[0], MODELS.create("random-convolutions", OPTIONS, 2).encode(obs)[0])


def test_features_tell_squares_apart_and_dead_ones_are_recognised():
    module = MODELS.create("random-convolutions", OPTIONS, 0)
    module.estimate(stream(0), torch.Generator())
    facts = module.diagnose(squares(200, 10**6))
    assert facts["verdict"] == "healthy" and facts["active_units"] == 8
    assert 1.5 < facts["effective_dimensions"] <= 8 and "squared_error" not in facts

    module.encoder[-1].weight.zero_()
    assert module.diagnose(squares(50, 0))["verdict"] == "collapsed"
    with pytest.raises(ValueError, match="different"):
        module.diagnose(squares(1, 0).repeat(3, 1, 1, 1))


def test_it_says_why_it_cannot_decode():
    module = MODELS.create("random-convolutions", OPTIONS, 0)
    with pytest.raises(ComponentError, match="cannot `decode`: random convolutions are never trained"):
        module.decode(torch.zeros(1, 8))
