import torch

from generative.networks.residual import WEIGHT_STD, ResidualBlock, residual_generator


def test_a_block_adds_to_what_it_gets():
    block = ResidualBlock(3)
    features = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(block(features), features + block.change(features))
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()
    torch.testing.assert_close(block(features), features)


def test_the_generator_keeps_size_and_sees_each_image_by_itself():
    torch.manual_seed(0)
    network, images = residual_generator(3, 4, 2), torch.rand(2, 3, 16, 24) * 2 - 1
    made = network(images)
    assert made.shape == images.shape and made.abs().max() < 1
    torch.testing.assert_close(network(images[:1]), made[:1])  # no statistic of the batch
    kernels = [each.weight.std().item() for each in network.modules() if isinstance(each, torch.nn.Conv2d)]
    assert len(kernels) == 4 + 2 * 2 and all(0.8 < each / WEIGHT_STD < 1.2 for each in kernels)
