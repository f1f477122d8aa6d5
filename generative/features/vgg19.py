"""VGG19 (Simonyan & Zisserman 2015, arXiv 1409.1556) with weights out of a file of yours; nothing is downloaded.

Two conventions go by the names in the file. With `features.0.weight` (torchvision) images are red, green, blue, and
normalised by ImageNet's mean and spread. With `conv1_1.weight` (Caffe and what was converted from it) they are blue,
green, red on a scale to 255, and only the mean is taken off.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from generative.core.options import ComponentError

BLOCKS = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512))
"""Channels of the convolutions; the image is halved after every block."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet in [0, 1], red, green, blue."""
CAFFE_MEAN, CAFFE_STD = (103.939 / 255, 116.779 / 255, 123.68 / 255), (1 / 255,) * 3
"""Blue, green, red."""


@dataclass(frozen=True)
class VGG19:
    """The network, and what it wants to see."""

    network: nn.Sequential
    names: Mapping[str, int]
    """Place of each convolution's rectifier, by the convolution's name, such as conv4_2."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    reverse: bool
    """It wants blue, green, red."""


def bare_vgg19() -> tuple[nn.Sequential, dict[str, int], dict[str, int]]:
    """Return the sixteen convolutions as they are drawn, with the places of their rectifiers and their own.

    Halving averages, as Gatys et al. 2016 advise for pictures that are made.
    """
    rows: list[nn.Module] = []
    rectifiers, convolutions, before = {}, {}, 3
    for block, widths in enumerate(BLOCKS, 1):
        for number, after in enumerate(widths, 1):
            convolutions[f"conv{block}_{number}"] = len(rows)
            rows += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
            rectifiers[f"conv{block}_{number}"], before = len(rows) - 1, after
        rows.append(nn.AvgPool2d(2))
    return nn.Sequential(*rows), rectifiers, convolutions


def vgg19(path: Path) -> VGG19:
    """Return VGG19 with the weights of a file: safetensors, or a state dict of torch, read without running anything.

    Raises:
        ComponentError: it is no such file, or has not the sixteen convolutions.
    """
    weights = _read(path)
    with torch.device("meta"):
        network, rectifiers, convolutions = bare_vgg19()
    caffe = "conv1_1.weight" in weights
    named = {name: name if caffe else f"features.{place}" for name, place in convolutions.items()}
    found = {}
    for name, place in convolutions.items():
        for part, own in network[place].named_parameters():
            key = f"{named[name]}.{part}"
            shape = tuple(weights[key].shape) if key in weights else None
            if shape != tuple(own.shape):
                what = "is missing" if shape is None else f"has the shape {shape}"
                raise ComponentError(
                    f"{path}: no weights of VGG19: {key} {what}, wanted is {tuple(own.shape)}; give the state dict of "
                    "torchvision's vgg19 (features.0.weight, ...) or Caffe's (conv1_1.weight, ...)"
                )
            found[f"{place}.{part}"] = weights[key].float()
    network.load_state_dict(found, assign=True)
    mean, std = (CAFFE_MEAN, CAFFE_STD) if caffe else (MEAN, STD)
    return VGG19(network, rectifiers, mean, std, caffe)


def _read(path: Path) -> dict[str, Tensor]:
    wanted = "give a file of safetensors, or a state dict that torch saved"
    try:
        return safetensors.torch.load_file(path)
    except OSError as error:
        raise ComponentError(f"{path}: cannot be read ({error.strerror or error}); {wanted}") from error
    except SafetensorError:
        pass
    try:
        weights: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of the unpickler too, which refuses whatever is no tensor
        raise ComponentError(f"{path}: neither safetensors nor a state dict of torch; {wanted}") from error
    if not (isinstance(weights, Mapping) and all(isinstance(each, Tensor) for each in weights.values())):
        raise ComponentError(f"{path}: holds more than weights by their names; {wanted}")
    return dict(weights)
