"""The residual networks of SAGAN and BigGAN, with spectral norm on every weight.

Miyato et al. 2018 (arXiv 1802.05957, appendix B.4), Zhang et al. 2019 (SAGAN, arXiv 1805.08318), Brock, Donahue &
Simonyan 2019 (BigGAN, arXiv 1809.11096, appendix B). In the generator every block is a doubling under batch norm whose
gain and bias follow from a condition; in the critic every block is a halving, without normalisation. Both have
self-attention at one size. The critic knows the label by projection (Miyato & Koyama 2018, arXiv 1802.05637).
"""

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu
from torch.nn.utils.parametrizations import spectral_norm

from generative.networks.attention.self_attention import SelfAttention
from generative.networks.gan.growing import START


def linear(inputs: int, outputs: int, bias: bool = True) -> nn.Module:
    """Return a linear layer of spectral norm 1, its weights orthogonal at the start."""
    return spectral_norm(_orthogonal(nn.Linear(inputs, outputs, bias=bias)))


def conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Module:
    """Return a convolution of spectral norm 1 that keeps the size, its weights orthogonal at the start."""
    return spectral_norm(_orthogonal(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)))


def _orthogonal(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    nn.init.orthogonal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose gain is 1 + a linear function of the condition, and whose bias is another one.

    Without a condition gain and bias are learned as usual.
    """

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=not condition)
        self.gain = linear(condition, channels, bias=False) if condition else None
        self.bias = linear(condition, channels, bias=False) if condition else None

    def forward(
        self, features: Float[Tensor, "B C H W"], condition: Float[Tensor, "B Y"] | None
    ) -> Float[Tensor, "B C H W"]:
        """Return the features, normalised, scaled and shifted."""
        normed = self.norm(features)
        if self.gain is None or self.bias is None or condition is None:
            return normed
        return normed * (1 + self.gain(condition)[:, :, None, None]) + self.bias(condition)[:, :, None, None]


class Doubling(nn.Module):
    """A residual block of the generator: twice the size."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.first, self.second = ConditionalBatchNorm(inputs, condition), ConditionalBatchNorm(outputs, condition)
        self.widen, self.mix, self.shortcut = conv(inputs, outputs), conv(outputs, outputs), conv(inputs, outputs, 1)

    def forward(
        self, features: Float[Tensor, "B I H W"], condition: Float[Tensor, "B Y"] | None
    ) -> Float[Tensor, "B O H2 W2"]:
        """Return the features in twice the size."""
        grown = interpolate(relu(self.first(features, condition)), scale_factor=2.0, mode="nearest")
        changed = self.mix(relu(self.second(self.widen(grown), condition)))
        return changed + self.shortcut(interpolate(features, scale_factor=2.0, mode="nearest"))


class ResidualGenerator(nn.Module):
    """Latents and labels to images in [-1, 1].

    With `shared` 0 each block is told the label itself, and the latent enters at the start only (SAGAN). Otherwise the
    label has one embedding of `shared` numbers for all blocks, and the latent is cut into chunks: one for the start and
    one for each block, beside the embedding (BigGAN, figure 15).
    """

    def __init__(
        self, latent: int, told: int, channels: int, widths: Sequence[int], attention: int, shared: int = 0
    ) -> None:
        super().__init__()
        blocks = len(widths) - 1
        self.chunks = [latent] if not shared else _chunks(latent, blocks + 1)
        self.embedding = linear(told, shared, bias=False) if shared and told else None
        label = shared if self.embedding is not None else told
        conditions = [label + chunk for chunk in self.chunks[1:]] or [label] * blocks
        self.start = linear(self.chunks[0], widths[0] * START**2)
        self.blocks = nn.ModuleList(
            Doubling(*pair, condition) for pair, condition in zip(itertools.pairwise(widths), conditions, strict=True)
        )
        self.place = _place(attention, blocks)
        self.attention = SelfAttention(widths[self.place + 1]) if self.place is not None else None
        self.last, self.paint = nn.BatchNorm2d(widths[-1]), conv(widths[-1], channels)

    def forward(self, z: Float[Tensor, "B Z"], told: Float[Tensor, "B K"] | None) -> Float[Tensor, "B C H W"]:
        """Return the images; `told` is the label as zeros and ones."""
        first, *others = z.split(self.chunks, 1)
        label = told if self.embedding is None or told is None else self.embedding(told)
        features = self.start(first).unflatten(1, (-1, START, START))
        for place, block in enumerate(self.blocks):
            parts = [each for each in (label, others[place] if others else None) if each is not None]
            features = block(features, torch.cat(parts, 1) if parts else None)
            if self.attention is not None and place == self.place:
                features = self.attention(features)
        return self.paint(relu(self.last(features))).tanh()


class Halving(nn.Module):
    """A residual block of the critic: half the size. The first one gets an image and does not rectify it."""

    def __init__(self, inputs: int, outputs: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.widen, self.mix, self.shortcut = conv(inputs, outputs), conv(outputs, outputs), conv(inputs, outputs, 1)

    def forward(self, features: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O H2 W2"]:
        """Return the features in half the size."""
        changed = self.mix(relu(self.widen(features if self.first else relu(features))))
        return avg_pool2d(changed + self.shortcut(features), 2)


class ResidualCritic(nn.Module):
    """Images to scores, `psi(h) + <V y, h>` with h summed over positions."""

    def __init__(self, told: int, channels: int, widths: Sequence[int], attention: int) -> None:
        super().__init__()
        sizes = [channels, *reversed(widths)]
        self.blocks = nn.ModuleList(
            Halving(*pair, first=place == 0) for place, pair in enumerate(itertools.pairwise(sizes[:-1]))
        )
        self.place = _place(attention, len(self.blocks))
        at = None if self.place is None else len(self.blocks) - 1 - self.place
        """The block after which maps are of the size of attention: one that halves to it."""
        self.after = None if at is None else max(0, at - 1)
        self.attention = SelfAttention(sizes[self.after + 1]) if self.after is not None else None
        self.score = linear(sizes[-2], 1)
        self.label = linear(told, sizes[-2], bias=False) if told else None

    def forward(self, images: Float[Tensor, "B C H W"], told: Float[Tensor, "B K"] | None) -> Float[Tensor, " B"]:
        """Return the scores; `told` is the label as zeros and ones."""
        features = images
        for place, block in enumerate(self.blocks):
            features = block(features)
            if self.attention is not None and place == self.after:
                features = self.attention(features)
        seen = relu(features).sum((2, 3))
        score = self.score(seen)[:, 0]
        return score if self.label is None or told is None else score + (self.label(told) * seen).sum(1)


def _chunks(latent: int, count: int) -> list[int]:
    """Return how many numbers of a latent each part gets, the first ones one more where it does not come out even."""
    return [latent // count + (place < latent % count) for place in range(count)]


def _place(attention: int, blocks: int) -> int | None:
    """Return after which doubling maps have the size of attention, None for none."""
    sizes = [START * 2 ** (place + 1) for place in range(blocks)]
    return sizes.index(attention) if attention in sizes else None
