"""The convolutional encoders and decoders of the autoencoders, and the one conversion of stored to model images.

"paper" is the ConvVAE of Ha & Schmidhuber 2018 (arXiv 1803.10122, appendix A.1), layer by layer. "fast"
trains several times as many frames per second on a CPU: it never convolves at full or half resolution, where
most positions and few channels are, but turns each patch of 4 x 4 pixels into one position at once. "grid" is
"fast" without its linear layers, for latents that keep their place in the image.

With rectifiers that leak (`LEAK`) a VAE of the fast layout loses no more than the paper's; with plain ones its held-out
loss is a twentieth higher.
"""

import itertools
import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

PATCH = 4
LEAK = 0.1
"""Slope below 0 of a VAE's rectifiers."""


def to_float(obs: UInt8[Tensor, "B H W C"]) -> Float[Tensor, "B C H W"]:
    """Return stored images as model input in [0, 1], in channels-last memory as they are stored."""
    if obs.dtype != torch.uint8:
        raise ValueError(f"obs of {obs.dtype}: expected uint8 images (B H W C) with values 0 to 255")
    return obs.permute(0, 3, 1, 2).to(torch.float32).div_(255)  # (B C H W)


def to_uint8(obs: Float[Tensor, "B C H W"]) -> UInt8[Tensor, "B H W C"]:
    """Return model images as stored images, rounded and clipped; undoes `to_float` exactly."""
    return obs.permute(0, 2, 3, 1).mul(255).round().clamp(0, 255).to(torch.uint8).contiguous()  # (B H W C)


def paper_encoder(channels: int, latent: int) -> nn.Sequential:
    """Four valid 4 x 4 convolutions of stride 2, 64 x 64 -> 2 x 2 x 256; mean and log-variance (B 2Z)."""
    layers: list[nn.Module] = []
    for before, after in ((channels, 32), (32, 64), (64, 128), (128, 256)):
        layers += [nn.Conv2d(before, after, kernel_size=4, stride=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2 * 2 * 256, 2 * latent))


def paper_decoder(channels: int, latent: int) -> nn.Sequential:
    """A linear layer to 1 x 1 x 1024, then transposed convolutions of stride 2 to 5, 13, 30 and 64 pixels."""
    layers: list[nn.Module] = [nn.Linear(latent, 1024), nn.Unflatten(1, (1024, 1, 1))]
    for before, after, kernel in ((1024, 128, 5), (128, 64, 5), (64, 32, 6)):
        layers += [nn.ConvTranspose2d(before, after, kernel, stride=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(32, channels, kernel_size=6, stride=2), nn.Sigmoid())


def fast_encoder(channels: int, outputs: int, image_size: int, width: int, leak: float = 0.0) -> nn.Sequential:
    """Patch of 4 x 4 pixels to `width` channels, two halvings with doubled channels, then (B outputs).

    `leak` is the slope of the rectifiers below 0.
    """
    grid = image_size // (4 * PATCH)
    return nn.Sequential(
        *_halvings(channels, width, 2, leak), nn.Flatten(), nn.Linear(4 * width * grid**2, outputs)
    )  # (B outputs)


def grid_encoder(channels: int, outputs: int, halvings: int, width: int) -> nn.Sequential:
    """Patch of 4 x 4 pixels, then `halvings` halvings with doubled channels: a map (B outputs H/4/2^n W/4/2^n)."""
    deep = width * 2**halvings
    mix = [nn.Conv2d(deep, deep, kernel_size=3, padding=1), nn.ReLU()]
    return nn.Sequential(*_halvings(channels, width, halvings), *mix, nn.Conv2d(deep, outputs, kernel_size=1))


def grid_decoder(channels: int, inputs: int, halvings: int, width: int) -> nn.Sequential:
    """Undo `grid_encoder`: a map of `inputs` channels, doubled, then overlapping patches of 8 x 8 pixels."""
    deep = width * 2**halvings
    layers: list[nn.Module] = [nn.Conv2d(inputs, 2 * deep, kernel_size=3, padding=1), nn.ReLU()]
    layers += [nn.Conv2d(2 * deep, deep, kernel_size=3, padding=1), nn.ReLU()]
    for step in range(halvings):
        before = deep // 2**step
        layers += [nn.ConvTranspose2d(before, before // 2, kernel_size=4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, _patches(width, channels), nn.Sigmoid())


def _halvings(channels: int, width: int, halvings: int, leak: float = 0.0) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Conv2d(channels, width, kernel_size=PATCH, stride=PATCH), _rectifier(leak)]
    for step in range(halvings):
        before = width * 2**step
        layers += [nn.Conv2d(before, 2 * before, kernel_size=4, stride=2, padding=1), _rectifier(leak)]
    return layers


def _rectifier(leak: float) -> nn.Module:
    return nn.LeakyReLU(leak) if leak else nn.ReLU()


def _patches(width: int, channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(width, channels, kernel_size=2 * PATCH, stride=PATCH, padding=PATCH // 2)


def fast_decoder(channels: int, latent: int, image_size: int, width: int, leak: float = 0.0) -> nn.Sequential:
    """Two linear layers to a coarse grid, two doublings, then overlapping patches of 8 x 8 pixels, without seams.

    Capacity sits where positions are few and so computing is cheap: in the linear layers and the coarse grid. `leak` is
    the slope of the rectifiers below 0.
    """
    grid = image_size // (4 * PATCH)
    layers: list[nn.Module] = [nn.Linear(latent, 16 * width), _rectifier(leak)]
    layers += [nn.Linear(16 * width, 8 * width * grid**2), _rectifier(leak), nn.Unflatten(1, (8 * width, grid, grid))]
    for before, after in ((8 * width, 2 * width), (2 * width, width)):
        layers += [nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1), _rectifier(leak)]
    return nn.Sequential(*layers, _patches(width, channels), nn.Sigmoid())


@torch.no_grad()
def draw_glorot(layers: nn.Sequential) -> None:
    """Draw weights as the paper's framework does by default (Glorot & Bengio 2010); biases are 0."""
    for layer in layers:
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                layer.bias.zero_()


@torch.no_grad()
def draw_he(layers: nn.Sequential) -> None:
    """Draw weights that keep the signal's size through rectifiers, leaky or not (He et al. 2015); biases are 0.

    With torch's own, smaller weights the latent reaches the image so faintly that training starts on the
    plateau of posterior collapse and may stay there.
    """
    for layer, following in itertools.pairwise([*layers, nn.Identity()]):
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            inputs = layer.weight[0].numel()
            if isinstance(layer, nn.ConvTranspose2d):  # a pixel is reached by the kernel once per stride
                inputs = layer.in_channels * math.prod(layer.kernel_size) // math.prod(layer.stride)
            layer.weight.normal_(0.0, math.sqrt(_gain(following) / inputs))
            if layer.bias is not None:
                layer.bias.zero_()


def _gain(following: nn.Module) -> float:
    """Return the factor on a layer's variance that makes up for what the module after it takes away."""
    leak = following.negative_slope if isinstance(following, nn.LeakyReLU) else 0.0
    return 2 / (1 + leak**2) if isinstance(following, nn.ReLU | nn.LeakyReLU) else 1.0
