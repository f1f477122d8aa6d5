import pytest
import torch

from generative.networks.masked import GatedLayer, MaskedConv2d, mask


def test_masks_are_those_of_the_paper():
    assert mask(1, 1, (3, 3), "A", "pixels", 1)[0, 0].tolist() == [[1, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert mask(1, 1, (3, 3), "B", "pixels", 1)[0, 0].tolist() == [[1, 1, 1], [1, 1, 0], [0, 0, 0]]
    assert mask(1, 1, (3, 3), "A", "rows", 1)[0, 0].tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0]]
    assert mask(1, 1, (3, 3), "B", "rows", 1)[0, 0].tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]
    colours = mask(3, 6, (1, 1), "A", "pixels", 3)[:, :, 0, 0]
    assert colours.tolist() == 2 * [[0, 0, 0], [1, 0, 0], [1, 1, 0]]  # green knows red, blue knows both
    assert mask(3, 3, (1, 1), "B", "pixels", 3)[:, :, 0, 0].tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_a_mask_holds_whatever_the_weights_become():
    layer = MaskedConv2d(1, 1, (3, 3), "A")
    optimiser = torch.optim.SGD(layer.parameters(), lr=1.0)
    for _ in range(3):
        layer(torch.randn(1, 1, 5, 5)).square().sum().backward()
        optimiser.step()
    with torch.no_grad():
        layer.weight.add_(1.0)
    image = torch.zeros(1, 1, 5, 5, requires_grad=True)
    layer(layer.framed(image))[0, 0, 2, 2].backward()
    assert not image.grad[0, 0, 2, 2:].any() and not image.grad[0, 0, 3:].any()
    assert image.grad[0, 0, 1, 1:4].all() and image.grad[0, 0, 2, 1]


@pytest.mark.parametrize("colours", [1, 3])
def test_two_layers_see_everything_before_a_pixel_and_nothing_after(colours):
    torch.manual_seed(0)
    width, size = 4 * colours, 7
    first, second = GatedLayer(colours, width, 7, "A", colours), GatedLayer(width, width, 7, "B", colours)
    for colour in range(colours):
        image = torch.randn(1, colours, size, size, requires_grad=True)
        rows, told = first.down(first.rows.framed(image), None)
        pixels = first.along(first.pixels.framed(image), image, told)
        _, told = second.down(second.rows.framed(rows), None)
        pixels = second.along(second.pixels.framed(pixels), pixels, told)
        pixels[0, colour, 3, 3].backward()
        reached = image.grad[0] != 0
        assert reached[:, :3].all()  # the corner above to the right too: no blind spot
        assert reached[:, 3, :3].all()
        assert reached[:, 3, 3].tolist() == [before < colour for before in range(colours)]
        assert not reached[:, 3, 4:].any() and not reached[:, 4:].any()


def test_a_condition_reaches_both_stacks():
    torch.manual_seed(0)
    layer, image = GatedLayer(1, 4, 3, "A", 1, conditions=2), torch.zeros(2, 1, 5, 5)
    rows, told = layer.down(layer.rows.framed(image), torch.eye(2))
    assert (rows[0] != rows[1]).all()
    with torch.no_grad():
        layer.link.weight.zero_()  # what the rows know of it does not reach the pixels now
    _, told = layer.down(layer.rows.framed(image), torch.eye(2))
    pixels = layer.along(layer.pixels.framed(image), image, told)
    assert (pixels[0] != pixels[1]).any(0).all()


def test_all_layers_but_the_first_add_to_what_they_get():
    layer, features = GatedLayer(4, 4, 3, "B", 1), torch.randn(1, 4, 5, 5)
    with torch.no_grad():
        layer.out.weight.zero_()
        layer.out.bias.zero_()
    _, told = layer.down(layer.rows.framed(features), None)
    torch.testing.assert_close(layer.along(layer.pixels.framed(features), features, told), features)
