import pytest
import torch

from generative.networks.unet import Level, unet_generator


@pytest.mark.parametrize("halvings", [1, 2, 4])
def test_images_keep_their_size(halvings):
    network, images = unet_generator(3, 4, halvings), torch.rand(2, 3, 32, 48) * 2 - 1
    made = network(images)
    assert made.shape == images.shape and made.abs().max() < 1
    torch.testing.assert_close(network(images[:1]), made[:1])
    assert sum(isinstance(each, Level) for each in network.modules()) == halvings - 1


def test_skips_carry_fine_detail_past_the_coarse_map():
    torch.manual_seed(0)
    network, images = unet_generator(1, 4, 3), torch.rand(1, 1, 16, 16)
    whole = network(images)
    for level in (each for each in network.modules() if isinstance(each, Level)):
        level.up.register_forward_hook(lambda _, given, made: torch.zeros_like(made))  # nothing comes from below
    past = network(images)
    assert not torch.allclose(past, whole)
    assert not torch.allclose(past, network(torch.zeros_like(images)))  # the image comes through all the same
