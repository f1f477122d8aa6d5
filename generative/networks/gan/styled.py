"""The networks of StyleGAN: a mapping network, a synthesis network that is told a style at every layer, a critic.

Karras, Laine & Aila 2019 (StyleGAN, arXiv 1812.04948) and Karras et al. 2020 (StyleGAN2, arXiv 1912.04958). How a style
reaches a layer is a choice:

- `adain`: maps are normalised each by itself, then scaled and shifted by the style, `y_s (x - mean) / std + y_b` (2019,
  eq. 1).
- `demodulation`: what comes in is scaled by the style, and each map that goes out is divided by the deviation that it
  is expected to have, `sqrt(sum (s w)^2 + eps)` (2020, eqs. 1 to 3). Scaling inputs and outputs is the same as scaling
  the weights of each image, and several times faster than a convolution in groups.

The image is the sum of what every level paints, enlarged (2020, figure 7). It has no bounds here.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, instance_norm, interpolate

from generative.networks.gan.equalised import GAIN, CriticHead, EqualisedConv, EqualisedLinear, Leaky, PixelNorm, leaky
from generative.networks.gan.growing import START

Injection = Literal["demodulation", "adain"]


class Mapping(nn.Module):
    """Latents z, and what is told beside them, to styles w, by layers that learn slowly."""

    def __init__(self, latent: int, told: int, styles: int, layers: int, rate: float) -> None:
        super().__init__()
        self.told = EqualisedLinear(told, latent) if told else None
        sizes = [2 * latent if told else latent, *[styles] * layers]
        self.layers = nn.ModuleList(EqualisedLinear(*pair, rate=rate) for pair in itertools.pairwise(sizes))
        self.norm = PixelNorm()

    def forward(self, z: Float[Tensor, "B Z"], told: Float[Tensor, "B K"] | None) -> Float[Tensor, "B W"]:
        """Return the styles."""
        w = self.norm(z)
        if self.told is not None and told is not None:
            w = torch.cat([w, self.norm(self.told(told))], 1)
        for layer in self.layers:
            w = leaky(layer(w))
        return w


class ModulatedConv(nn.Module):
    """A convolution whose inputs are scaled by a style, its outputs demodulated to unit expected variance."""

    def __init__(self, inputs: int, outputs: int, kernel: int, styles: int, demodulate: bool = True) -> None:
        super().__init__()
        self.style = EqualisedLinear(styles, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.scale, self.padding, self.demodulate = 1 / math.sqrt(inputs * kernel**2), kernel // 2, demodulate

    def forward(self, features: Float[Tensor, "B I H W"], w: Float[Tensor, "B S"]) -> Float[Tensor, "B O H W"]:
        """Return the outputs, without a bias."""
        style, weight = self.style(w), self.scale * self.weight
        made = conv2d(features * style[:, :, None, None], weight, padding=self.padding)
        if not self.demodulate:
            return made
        spread = style.float().square() @ weight.float().square().sum((2, 3)).T  # (B O)
        return made * (spread + 1e-8).rsqrt()[:, :, None, None].to(made)


class StyledLayer(nn.Module):
    """A convolution under a style, with noise at every position, a bias and a rectifier."""

    def __init__(self, inputs: int, outputs: int, styles: int, injection: Injection, noise_rate: float = 1.0) -> None:
        super().__init__()
        self.adain = EqualisedLinear(styles, 2 * outputs) if injection == "adain" else None
        self.conv: nn.Module = (
            ModulatedConv(inputs, outputs, 3, styles)
            if injection == "demodulation"
            else EqualisedConv(inputs, outputs, 3, gain=1.0)
        )
        self.noise, self.noise_rate = nn.Parameter(torch.zeros(())), noise_rate
        """How strong noise is, after a multiplication by its rate; nothing at the start."""
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(
        self, features: Float[Tensor, "B I H W"], w: Float[Tensor, "B S"], noise: Float[Tensor, "B 1 H W"] | None
    ) -> Float[Tensor, "B O H W"]:
        """Return the features; no noise is noise 0."""
        made = self.conv(features, w) if self.adain is None else self.conv(features)
        if noise is not None:
            made = made + self.noise_rate * self.noise * noise.to(made)
        made = leaky(made + self.bias[:, None, None])
        if self.adain is None:
            return made
        scale, shift = self.adain(w)[:, :, None, None].chunk(2, dim=1)
        return (1 + scale) * instance_norm(made) + shift


class Synthesis(nn.Module):
    """A learned constant of 4 x 4, then two layers a level, each under a style of its own."""

    def __init__(
        self, styles: int, channels: int, widths: Sequence[int], injection: Injection, noise_rate: float = 1.0
    ) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(widths[0], START, START))
        sizes = [(widths[0], widths[0])]
        for pair in itertools.pairwise(widths):
            sizes += [pair, (pair[1], pair[1])]
        self.layers = nn.ModuleList(StyledLayer(*pair, styles, injection, noise_rate) for pair in sizes)
        self.to_rgb = nn.ModuleList(
            ModulatedConv(width, channels, 1, styles, demodulate=False)
            if injection == "demodulation"
            else EqualisedConv(width, channels, 1, gain=1.0)
            for width in widths
        )
        self.bias = nn.Parameter(torch.zeros(channels))
        self.sides = [START * 2 ** ((layer + 1) // 2) for layer in range(len(self.layers))]
        """Height of each layer's maps."""

    def forward(
        self, ws: Float[Tensor, "B L S"], noise: Sequence[Float[Tensor, "B 1 _ _"]] | None = None
    ) -> Float[Tensor, "B C H W"]:
        """Return images of a style for each layer, with noise for each or none."""
        features = self.constant.expand(len(ws), -1, -1, -1)
        image = self.bias[:, None, None]
        for place, layer in enumerate(self.layers):
            if place % 2:
                features = interpolate(features, scale_factor=2.0, mode="bilinear")
                image = interpolate(image, scale_factor=2.0, mode="bilinear")
            features = layer(features, ws[:, place], None if noise is None else noise[place])
            if place % 2 == 0:
                paint = self.to_rgb[place // 2]
                shown = paint(features, ws[:, place]) if isinstance(paint, ModulatedConv) else paint(features)
                image = image + shown
        return image


class StyleGenerator(nn.Module):
    """Mapping and synthesis, and the mean style that truncation draws others to."""

    mean: Tensor

    def __init__(
        self, latent: int, told: int, styles: int, mapping: int, rate: float, channels: int, widths: Sequence[int],
        injection: Injection, noise_rate: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.mapping = Mapping(latent, told, styles, mapping, rate)
        self.synthesis = Synthesis(styles, channels, widths, injection, noise_rate)
        self.register_buffer("mean", torch.zeros(styles))

    @property
    def layers(self) -> int:
        """How many layers have a style."""
        return len(self.synthesis.layers)

    def styles(
        self, z: Float[Tensor, "B Z"], told: Float[Tensor, "B K"] | None, truncation: float = 1.0
    ) -> Float[Tensor, "B S"]:
        """Return the styles of latents, `mean + truncation (w - mean)`."""
        w = self.mapping(z, told)
        return w if truncation == 1 else self.mean + truncation * (w - self.mean)

    def forward(
        self, ws: Float[Tensor, "B L S"], noise: Sequence[Float[Tensor, "B 1 _ _"]] | None = None
    ) -> Float[Tensor, "B C H W"]:
        """Return images, as `Synthesis` does."""
        return self.synthesis(ws, noise)


class ResidualHalving(nn.Module):
    """Two convolutions and a halving beside a shortcut, which keep the variance of what comes in."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            EqualisedConv(inputs, inputs, 3), Leaky(), EqualisedConv(inputs, outputs, 3), Leaky()
        )
        self.shortcut = EqualisedConv(inputs, outputs, 1, gain=1.0)

    def forward(self, features: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O H2 W2"]:
        """Return features of half the size."""
        return (avg_pool2d(self.change(features), 2) + self.shortcut(avg_pool2d(features, 2))) / GAIN


class StyleCritic(nn.Module):
    """Images to scores, by residual halvings down to 4 x 4."""

    def __init__(self, told: int, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        pairs = itertools.pairwise(reversed(widths))
        self.features = nn.Sequential(
            EqualisedConv(channels, widths[-1], 1), Leaky(), *(ResidualHalving(*pair) for pair in pairs)
        )
        self.head = CriticHead(widths[0], told)

    def forward(self, images: Float[Tensor, "B C H W"], told: Float[Tensor, "B K"] | None) -> Float[Tensor, " B"]:
        """Return the scores; `told` is the label as zeros and ones."""
        return self.head(self.features(images), told)
