import pytest
import torch
from torch import nn

from generative.networks.denoiser import MapAttention, TimeBlock, TimePoints, TimeUNet, waves


def test_close_times_and_far_ones_have_other_waves():
    t = torch.linspace(0, 1, 200)
    apart = torch.cdist(waves(t), waves(t)) + 10 * torch.eye(200)
    assert apart.min() > 0.1 and waves(t).abs().max() <= 1
    assert torch.cdist(waves(torch.tensor([0.5])), waves(torch.tensor([0.501]))) < 4


@pytest.mark.parametrize("image", [True, False])
def test_time_and_label_change_what_is_said(image):
    torch.manual_seed(0)
    network = TimeUNet(2, 8, (8, 16), 1, 4, 3) if image else TimePoints(2, 16, 2, 3)
    x = torch.randn(1, 2, *(8, 8) * image).expand(3, *(-1,) * (3 if image else 1))
    t, label = torch.tensor([0.1, 0.1, 0.9]), torch.tensor([0, 3, 0])
    said = network(x, t, label)
    assert said.shape == x.shape
    assert (said[0] - said[1]).abs().max() > 1e-5 < (said[0] - said[2]).abs().max()
    torch.testing.assert_close(network(x[:1], t[:1], label[:1]), said[:1])  # whatever else is in the batch


def test_only_small_maps_attend():
    def lookers(attention: int) -> int:
        network = TimeUNet(1, 16, (8, 8, 8), 2, attention, 0)
        return sum(isinstance(each, MapAttention) for each in network.modules())

    # Two blocks down, two up at each size, and one in the middle of the smallest.
    assert [lookers(side) for side in (0, 4, 8, 16)] == [0, 5, 9, 13]


def test_attention_reaches_every_position():
    torch.manual_seed(0)
    attention = MapAttention(8)
    attention.norm = nn.Identity()  # which would carry a little everywhere by itself
    x = torch.randn(1, 8, 6, 6, requires_grad=True)
    (slope,) = torch.autograd.grad(attention(x)[0, :, 0, 0].sum(), x)
    assert (slope.abs().sum(1) > 0).all()
    order = torch.randperm(36)
    shuffled = attention(x.flatten(2)[:, :, order].view_as(x)).flatten(2)
    torch.testing.assert_close(shuffled, attention(x).flatten(2)[:, :, order])


def test_a_block_begins_as_nearly_what_came_in():
    torch.manual_seed(0)
    x, told = torch.randn(2, 16, 8, 8), torch.randn(2, 4)
    assert (TimeBlock(16, 16, 4, image=True)(x, told) - x).abs().mean() < 0.15


def test_skips_carry_what_is_where_past_the_coarse_map():
    """Details of a pixel cannot pass through a map of 1 x 1; here they reach the output."""
    torch.manual_seed(0)
    network = TimeUNet(1, 4, (8, 8, 8), 1, 0, 0)
    x = torch.randn(1, 1, 4, 4, requires_grad=True)
    said = network(x, torch.tensor([0.5]), torch.zeros(1, dtype=torch.int64))
    (slope,) = torch.autograd.grad(said[0, 0, 1, 1], x)
    assert slope[0, 0, 1, 1].abs() > 3 * slope[0, 0, 3, 3].abs()
