import pytest
import torch

from generative.latent import morph


def plain(z):
    return z[:, :, None, None]


def test_a_loop_passes_every_key_and_leads_back_to_the_first():
    keys = torch.tensor([[0.0], [4.0], [8.0]])
    frames = morph(plain, keys, 4)[:, 0, 0, 0]
    assert frames.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 6, 4, 2]


def test_a_way_ends_at_the_last_key():
    frames = morph(plain, torch.tensor([[0.0], [4.0], [8.0]]), 2, loop=False)[:, 0, 0, 0]
    assert frames.tolist() == [0, 2, 4, 6, 8]


def test_an_arc_keeps_the_length_between_keys():
    keys = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    arc = morph(plain, keys, 5, "spherical").flatten(1).norm(dim=1)
    torch.testing.assert_close(arc, torch.full((10,), 2.0))
    assert morph(plain, keys, 5, "linear").flatten(1).norm(dim=1).min() < 1.6


@pytest.mark.parametrize(("keys", "steps", "message"), [(1, 2, "1 latents"), (2, 0, "steps=0")])
def test_a_morph_needs_two_keys_and_a_step(keys, steps, message):
    with pytest.raises(ValueError, match=message):
        morph(plain, torch.zeros(keys, 1), steps)
