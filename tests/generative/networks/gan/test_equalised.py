import pytest
import torch

from generative.networks.gan.equalised import CriticHead, EqualisedConv, EqualisedLinear, MinibatchSpread, PixelNorm


@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_linear_weights_have_unit_variance_and_scaled_outputs(rate):
    torch.manual_seed(0)
    layer = EqualisedLinear(400, 300, gain=2.0, rate=rate, bias=0.5)
    assert rate * layer.weight.std().item() == pytest.approx(1, abs=0.01)
    out = layer(torch.randn(100, 400))
    assert out.std().item() == pytest.approx(2.0, abs=0.05) and out.mean().item() == pytest.approx(0.5, abs=0.05)
    with torch.no_grad():  # an update of one size moves the outputs by as much as the rate says
        before = layer(torch.ones(1, 400))
        layer.weight += 0.01
        assert (layer(torch.ones(1, 400)) - before).mean().item() == pytest.approx(rate * 2.0 * 20 * 0.01, rel=1e-2)


def test_convolutions_have_unit_variance_and_scaled_outputs():
    torch.manual_seed(0)
    layer = EqualisedConv(64, 96, 3, gain=3.0)
    assert layer.weight.std().item() == pytest.approx(1, abs=0.01)
    assert layer(torch.randn(8, 64, 12, 12))[:, :, 1:-1, 1:-1].std().item() == pytest.approx(3.0, abs=0.1)


def test_pixel_norm_leaves_each_position_of_unit_length():
    made = PixelNorm()(5 * torch.randn(2, 7, 3, 4))
    torch.testing.assert_close(made.square().mean(1), torch.ones(2, 3, 4))
    torch.testing.assert_close(PixelNorm()(torch.full((1, 3), 9.0)), torch.ones(1, 3))


def test_the_spread_is_that_of_a_group_averaged():
    features = torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    made = MinibatchSpread()(features)
    assert torch.equal(made[:, :3], features)
    for group in (0, 1):  # images 0, 2, 4, 6 and 1, 3, 5, 7
        expected = features[group::2].std(0, unbiased=False).mean()
        torch.testing.assert_close(made[group::2, 3], expected.expand(4, 2, 2))
    assert MinibatchSpread()(features[:1].expand(4, -1, -1, -1))[:, 3].max() < 1e-3  # copies have none
    assert MinibatchSpread()(features[:3]).shape == (3, 4, 2, 2)


def test_the_score_depends_on_variety_and_label():
    torch.manual_seed(0)
    head, features = CriticHead(6, told=3), torch.randn(4, 6, 4, 4)
    labels = torch.eye(3)
    one, other = head(features, labels[[0, 0, 1, 2]]), head(features, labels[[0, 1, 1, 2]])
    assert torch.equal(one[[0, 2, 3]], other[[0, 2, 3]]) and one[1] != other[1]
    copies = features.clone()
    copies[1:] = features[:1]
    assert head(copies, labels[[0, 0, 0, 0]])[0] != one[0]
