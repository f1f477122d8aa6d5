"""Layers of ProGAN: equalised learning rate, pixelwise feature norm, minibatch standard deviation.

Karras, Aila, Laine & Lehtinen 2018 (arXiv 1710.10196, sections 3 and 4). Weights are drawn from N(0, 1) and divided
while they are used, so that Adam, whose steps do not depend on a weight's scale, moves all of them equally fast.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu, linear

SLOPE = 0.2
GAIN = math.sqrt(2)
"""Of layers before a leaky rectifier; see He et al. 2015."""
SPREAD_GROUP = 4
"""Images whose spread is taken together."""


class EqualisedLinear(nn.Module):
    """A linear layer whose weights have unit variance and are scaled by `gain / sqrt(inputs)` when used."""

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0, rate: float = 1.0, bias: float = 0.0) -> None:
        """Draw the weights.

        Args:
            inputs: numbers that come in.
            outputs: numbers that go out.
            gain: standard deviation of the outputs of inputs of unit variance.
            rate: how fast it learns in multiples of other layers; the mapping network of StyleGAN has 0.01.
            bias: what is added at the start.
        """
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate * gain / math.sqrt(inputs), rate

    def forward(self, features: Float[Tensor, "B I"]) -> Float[Tensor, "B O"]:
        """Return the outputs."""
        return linear(features, self.scale * self.weight, self.rate * self.bias)


class EqualisedConv(nn.Module):
    """A convolution that keeps height and width, its weights as those of `EqualisedLinear`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, gain: float = GAIN) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.padding = gain / math.sqrt(inputs * kernel**2), kernel // 2

    def forward(self, features: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O H W"]:
        """Return the outputs."""
        return conv2d(features, self.scale * self.weight, self.bias, padding=self.padding)


class PixelNorm(nn.Module):
    """Divides the features of every position by their root mean square: `b = a / sqrt(mean(a^2) + 1e-8)`."""

    def forward(self, features: Float[Tensor, "B I *P"]) -> Float[Tensor, "B I *P"]:
        """Return the features, of unit length but for a factor."""
        return features * (features.float().square().mean(1, keepdim=True) + 1e-8).rsqrt().to(features)


class Leaky(nn.LeakyReLU):
    """The rectifier of all these networks."""

    def __init__(self) -> None:
        super().__init__(SLOPE)


class MinibatchSpread(nn.Module):
    """Appends a map with the standard deviation over a group of images, by which a critic sees a lack of variety.

    It is one number for a group: the deviation of each feature at each position over the group, averaged.
    """

    def forward(self, features: Float[Tensor, "B I H W"]) -> Float[Tensor, "B I1 H W"]:
        """Return the features with one more map; where groups of four do not fit, all images are one group."""
        group = SPREAD_GROUP if len(features) % SPREAD_GROUP == 0 else len(features)
        grouped = features.float().unflatten(0, (group, -1))  # (G N C H W)
        spread = (grouped.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))  # (N)
        plane = spread.repeat(group)[:, None, None, None].expand(-1, 1, *features.shape[2:])
        return torch.cat([features, plane.to(features)], 1)


class CriticHead(nn.Module):
    """The end of a critic: 4 x 4 features to a score, by the spread within the batch and, if told, by the label.

    What is told counts by projection (Miyato & Koyama 2018, arXiv 1802.05637): `s = psi(h) + <V y, h>`.
    """

    def __init__(self, width: int, told: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            MinibatchSpread(),
            EqualisedConv(width + 1, width, 3),
            Leaky(),
            nn.Flatten(),
            EqualisedLinear(16 * width, width, GAIN),
            Leaky(),
        )
        self.score = EqualisedLinear(width, 1)
        self.label = EqualisedLinear(told, width) if told else None

    def forward(self, features: Float[Tensor, "B I 4 4"], told: Float[Tensor, "B K"] | None) -> Float[Tensor, " B"]:
        """Return the scores; `told` is the label as zeros and ones."""
        seen = self.features(features)
        score = self.score(seen)[:, 0]
        if self.label is None or told is None:
            return score
        return score + (math.sqrt(told.shape[1]) * self.label(told) * seen).mean(1)


def leaky(features: Tensor) -> Tensor:
    """Return rectified features of the variance that came in."""
    return GAIN * leaky_relu(features, SLOPE)
