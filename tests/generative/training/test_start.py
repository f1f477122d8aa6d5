import pytest
import torch

from generative import MODELS, ComponentError
from generative.training.start import take_over


def vae(kind="vae", seed=0, **options):
    return MODELS.create(kind, {"image_size": 16, "channels": 1, "latent": 4, "width": 8, **options}, seed)


def test_all_weights_of_the_same_architecture_are_taken_over():
    module, other = vae(seed=0), vae(seed=1)
    found = take_over(module, other)
    assert set(found.taken) == set(other.state_dict()) and not found.drawn and not found.unused
    assert all(torch.equal(each, other.state_dict()[name]) for name, each in module.state_dict().items())
    assert found.lines() == [f"{len(found.taken)} of {len(found.taken)} tensors taken over"]


def test_of_another_size_what_fits_is_and_the_rest_is_named():
    module, other, fresh = vae(seed=0, latent=3), vae(seed=1), vae(seed=0, latent=3)
    found = take_over(module, other)
    state, theirs, drawn = module.state_dict(), other.state_dict(), fresh.state_dict()
    assert found.taken and found.drawn
    assert all(torch.equal(state[name], theirs[name]) for name in found.taken)
    left = [line.partition(" (")[0] for line in found.drawn]
    assert set(found.taken) | set(left) == set(state) and all(torch.equal(state[name], drawn[name]) for name in left)
    assert any("3" in line and "there" in line for line in found.drawn)
    assert any(line.startswith("left as they were drawn: ") for line in found.lines())


def test_what_there_is_no_place_for_is_named_and_a_start_that_fits_nothing_is_refused():
    other = vae("conditional-vae", classes=3)
    assert take_over(vae(), other).unused or take_over(vae(), other).drawn
    with pytest.raises(ComponentError, match="start: none of its weights fits"):
        take_over(vae(), MODELS.create("lstm", {"vocabulary": 5, "embedding": 4, "hidden": 4}, 0))
