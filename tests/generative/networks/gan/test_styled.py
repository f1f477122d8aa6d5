import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from generative.networks.gan.styled import Mapping, ModulatedConv, ResidualHalving, StyledLayer, Synthesis


def test_scaling_inputs_and_outputs_is_modulating_and_demodulating_the_weights_of_each_image():
    torch.manual_seed(0)
    conv, features, w = ModulatedConv(5, 7, 3, styles=4), torch.randn(2, 5, 6, 6), torch.randn(2, 4)
    for image, style, made in zip(features, conv.style(w), conv(features, w), strict=True):
        weights = conv.scale * conv.weight * style[None, :, None, None]  # StyleGAN2, eq. 1
        weights = weights / (weights.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()  # eqs. 2 and 3
        torch.testing.assert_close(made, conv2d(image[None], weights, padding=1)[0])


@pytest.mark.parametrize("size", [0.1, 1.0, 10.0])
def test_demodulated_outputs_have_unit_expected_variance_under_any_style(size):
    torch.manual_seed(0)
    conv, features = ModulatedConv(32, 64, 3, styles=8), torch.randn(64, 32, 8, 8)
    w = size * torch.randn(1, 8).expand(64, -1)
    assert conv(features, w)[:, :, 1:-1, 1:-1].var().item() == pytest.approx(1, abs=0.05)
    conv.demodulate = False
    assert (size != 10.0) == (conv(features, w)[:, :, 1:-1, 1:-1].var().item() < 10)


def test_adain_gives_each_map_the_mean_and_spread_that_its_style_says():
    torch.manual_seed(0)
    layer, features, w = StyledLayer(3, 5, 4, "adain"), torch.randn(2, 3, 8, 8), torch.randn(2, 4)
    made = layer(features, w, None)
    scale, shift = layer.adain(w).chunk(2, 1)
    torch.testing.assert_close(made.mean((2, 3)), shift, rtol=0, atol=1e-5)
    torch.testing.assert_close(made.std((2, 3), unbiased=False), (1 + scale).abs(), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(layer(5 * features, w, None), made, rtol=0, atol=1e-3)  # what was there before is gone


def test_noise_that_learns_slowly_is_as_much_weaker():
    layers = []
    for rate, strength in ((0.1, 1.0), (1.0, 0.1)):
        torch.manual_seed(0)
        layers.append(StyledLayer(3, 5, 4, "demodulation", rate))
        nn.init.constant_(layers[-1].noise, strength)
    given = torch.randn(2, 3, 8, 8), torch.randn(2, 4), torch.randn(2, 1, 8, 8)
    slow, plain = (layer(*given) for layer in layers)
    torch.testing.assert_close(slow, plain)
    assert not torch.allclose(slow, layers[0](*given[:2], None))


@pytest.mark.parametrize("injection", ["demodulation", "adain"])
def test_a_style_reaches_its_own_layer_and_noise_only_what_is_strong_enough(injection):
    torch.manual_seed(0)
    network = Synthesis(4, 3, [8, 8, 4], injection)
    assert network.sides == [4, 8, 8, 16, 16]
    ws = torch.randn(1, 5, 4)
    noise = [torch.randn(1, 1, side, side) for side in network.sides]
    plain = network(ws)
    assert plain.shape == (1, 3, 16, 16) and torch.equal(network(ws, noise), plain)  # nothing at the start
    for layer in network.layers:
        assert layer.noise.item() == 0
    with torch.no_grad():
        network.layers[-1].noise.fill_(1.0)
    assert not torch.equal(network(ws, noise), plain)
    for place in range(5):
        other = ws.clone()
        other[:, place] += 1
        assert not torch.equal(network(other), plain), place
    fine = ws.clone()
    fine[:, 3:] += 1  # layers of 16 pixels
    seen = []
    network.layers[2].register_forward_hook(lambda module, given, made: seen.append(made))
    network(ws), network(fine)
    assert torch.equal(*seen)  # layers before are as they were


def test_the_mapping_knows_the_direction_of_z_and_the_label():
    torch.manual_seed(0)
    mapping, z = Mapping(4, 3, 6, 2, 0.01), torch.randn(5, 4)
    labels = torch.eye(3)[[0, 1, 2, 0, 1]]
    torch.testing.assert_close(mapping(3 * z, labels), mapping(z, labels), rtol=1e-4, atol=1e-5)
    assert (mapping(z, labels) != mapping(z, labels.roll(1, 1))).any(1).all()
    assert 0.5 < Mapping(64, 0, 64, 8, 0.01)(torch.randn(99, 64), None).square().mean() < 2


def test_a_residual_halving_keeps_the_variance():
    torch.manual_seed(0)
    made = ResidualHalving(64, 64)(torch.randn(8, 64, 16, 16).repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert made.shape == (8, 64, 16, 16) and 0.3 < made.var().item() < 1.5
