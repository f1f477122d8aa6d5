import pytest
import torch
from torch import nn

from generative.metrics import lipschitz_upper
from generative.networks.gan.plain import (
    coarse_grid,
    image_critic,
    image_generator,
    patch_critic,
    point_critic,
    point_generator,
)


@pytest.mark.parametrize(
    ("size", "grid"), [(8, (4, 1)), (16, (4, 2)), (28, (7, 2)), (32, (4, 3)), (48, (6, 3)), (64, (4, 4))]
)
def test_images_are_halved_to_a_small_map(size, grid):
    assert coarse_grid(size) == grid
    assert image_generator(3, 2, size, 4, "none", "bilinear")(torch.randn(2, 3)).shape == (2, 2, size, size)
    generator = image_generator(3, 2, size, 4, "none")
    critic = image_critic(2, size, 4, "none", 0.0, False)
    images = generator(torch.randn(2, 3))
    assert images.shape == (2, 2, size, size) and images.abs().max() <= 1
    assert critic(images).shape == (2, 1)


@pytest.mark.parametrize("size", [1, 2, 17, 30])
def test_sizes_that_cannot_be_halved_are_refused(size):
    with pytest.raises(ValueError, match=f"image_size={size}.*use 8, 16"):
        coarse_grid(size)


@pytest.mark.parametrize(
    ("norm", "kind"),
    [("batch", nn.BatchNorm2d), ("instance", nn.InstanceNorm2d), ("layer", nn.GroupNorm), ("group", nn.GroupNorm)],
)
def test_output_and_input_are_not_normalised(norm, kind):
    generator = list(image_generator(3, 1, 32, 8, norm))
    critic = list(image_critic(1, 32, 8, norm, 0.0, False))
    assert sum(isinstance(each, kind) for each in generator) == 3  # after the linear layer and all but the last
    assert isinstance(generator[-1], nn.Tanh) and isinstance(generator[-2], nn.ConvTranspose2d)
    assert sum(isinstance(each, kind) for each in critic) == 2
    assert isinstance(critic[0], nn.Conv2d) and isinstance(critic[1], nn.LeakyReLU)
    plain = [type(each) for each in image_generator(3, 1, 32, 8, "none")]
    assert kind not in plain


def test_layer_and_group_norm_are_not_the_same():
    layer = [each.num_groups for each in image_generator(3, 1, 32, 8, "layer") if isinstance(each, nn.GroupNorm)]
    group = [each.num_groups for each in image_generator(3, 1, 32, 8, "group") if isinstance(each, nn.GroupNorm)]
    assert set(layer) == {1} and set(group) == {8}


def test_spectral_norm_bounds_the_slope_by_1():
    plain = point_critic(2, 32, "none", 0.0, False)
    bounded = point_critic(2, 32, "none", 0.0, True).train()
    for _ in range(50):  # a power iteration each
        bounded(torch.randn(4, 2, generator=torch.Generator().manual_seed(0)))
    assert lipschitz_upper(bounded, (2,)) == pytest.approx(1.0, abs=0.02)
    assert lipschitz_upper(plain, (2,)) > 2


def test_the_generator_can_have_spectral_norm_too():
    generator = point_generator(3, 2, 16, "spectral").train()
    for _ in range(200):  # close singular values part slowly
        generator(torch.zeros(2, 3))
    norms = [torch.linalg.matrix_norm(each.weight, 2).item() for each in generator if isinstance(each, nn.Linear)]
    assert norms == pytest.approx([1.0] * 4, abs=0.02)


def test_dropout_is_where_it_is_asked_for():
    assert not any(isinstance(each, nn.Dropout) for each in image_critic(1, 16, 4, "none", 0.0, False))
    found = [each.p for each in image_critic(1, 16, 4, "none", 0.3, False) if isinstance(each, nn.Dropout)]
    assert found == [0.3, 0.3]


@pytest.mark.parametrize(
    ("upsampling", "last", "even"), [("transposed", 2, False), ("nearest", 5, True), ("bilinear", 5, True)]
)
def test_only_transposed_convolutions_leave_a_checkerboard(upsampling, last, even):
    torch.manual_seed(0)
    doubling = image_generator(3, 1, 64, 4, "none", upsampling)[-last:]
    image = doubling(torch.ones(1, 4, 32, 32))[0, 0, 4:-4, 4:-4]  # away from the border
    assert image.shape == (56, 56)
    assert ((image - image.mean()).abs().max() < 1e-6) == even


def test_a_resized_image_has_a_layer_at_its_own_size():
    layers = [type(layer) for layer in image_generator(3, 1, 64, 4, "none", "bilinear")]
    assert layers[-5:] == [nn.Upsample, nn.Conv2d, nn.ReLU, nn.Conv2d, nn.Tanh]


@pytest.mark.parametrize("upsampling", ["transposed", "nearest", "bilinear"])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_signals_keep_their_size_in_narrow_networks(norm, upsampling):
    noise = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
    images = image_generator(16, 3, 64, 8, norm, upsampling)(noise)
    assert 0.2 < images.std() < 0.9
    scores = image_critic(3, 64, 8, "none", 0.0, False)(images)
    assert 0.1 < scores.std() < 3


@pytest.mark.parametrize(("halvings", "patch"), [(1, 16), (2, 34), (3, 70)])
def test_a_score_of_the_patch_critic_sees_a_patch(halvings, patch):
    torch.manual_seed(0)
    critic = patch_critic(1, 4, halvings)
    for place, layer in enumerate(critic):  # a norm lets every pixel of its map have its share
        critic[place] = nn.Identity() if isinstance(layer, nn.InstanceNorm2d) else layer
    image = torch.rand(1, 1, 128, 128, requires_grad=True)
    scores = critic(image)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    rows, columns = image.grad[0, 0].nonzero().T
    assert int(rows.max() - rows.min()) + 1 == int(columns.max() - columns.min()) + 1 == patch
    assert sum(isinstance(layer, nn.InstanceNorm2d) for layer in patch_critic(1, 4, halvings)) == halvings
