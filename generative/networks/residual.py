"""The residual generator of CycleGAN: two halvings, blocks that add to what they get, two doublings.

Johnson, Alahi & Fei-Fei 2016 (arXiv 1603.08155), as in Zhu et al. 2017 (CycleGAN, arXiv 1703.10593, appendix 7.2):
`c7s1-w, d2w, d4w, R4w ... R4w, u2w, uw, c7s1`, borders reflected, every map normalised by itself (instance norm,
Ulyanov et al. 2016, arXiv 1607.08022). Images are in [-1, 1] here.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

WEIGHT_STD = 0.02
"""Of the normal distribution that weights of image-to-image networks are drawn from."""


class ResidualBlock(nn.Module):
    """Two convolutions whose result is added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, kernel_size=3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, kernel_size=3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return the features, changed."""
        return features + self.change(features)


def residual_generator(channels: int, width: int, blocks: int, more: int = 0) -> nn.Sequential:
    """Return images (B channels H W) in [-1, 1] -> images alike; H and W are multiples of 4, at least 8.

    It takes `more` channels besides.
    """
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(channels + more, width, kernel_size=7)]
    layers += [nn.InstanceNorm2d(width), nn.ReLU()]
    for before in (width, 2 * width):
        layers += [nn.Conv2d(before, 2 * before, kernel_size=3, stride=2, padding=1)]
        layers += [nn.InstanceNorm2d(2 * before), nn.ReLU()]
    layers += [ResidualBlock(4 * width) for _ in range(blocks)]
    for before in (4 * width, 2 * width):
        layers += [nn.ConvTranspose2d(before, before // 2, kernel_size=3, stride=2, padding=1, output_padding=1)]
        layers += [nn.InstanceNorm2d(before // 2), nn.ReLU()]
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, channels, kernel_size=7), nn.Tanh()]
    return drawn(nn.Sequential(*layers))


@torch.no_grad()
def drawn(network: nn.Sequential) -> nn.Sequential:
    """Draw the weights from N(0, 0.02^2), biases are 0 (Zhu et al. 2017, appendix 7.2)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.weight.normal_(0.0, WEIGHT_STD)
            if layer.bias is not None:
                layer.bias.zero_()
    return network
