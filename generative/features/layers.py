"""Maps of named layers of a fixed network: what style and content are read off.

`layers_of` finds the network: fixed random filters, which need nothing (Ustyuzhaninov et al. 2017, arXiv 1606.00021:
they keep what textures are), a network that was trained here, or VGG19 from a file of yours. Whatever it is, it takes
images in [0, 1] of any size, does its own normalisation, and averages where it was trained to skip or to take the
largest, as Gatys et al. 2016 (section 2) advise: else made pictures get a pattern of the skipped places. The small
networks that are trained here see textures worse than random filters do: they are narrower, and paint noise.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.core.options import ComponentError, did_you_mean
from generative.core.storage import load_component
from generative.features.judge import JUDGES, Judge
from generative.features.vgg19 import vgg19
from generative.models import MODELS
from generative.models.first.classifier import CNNClassifier
from generative.runs.run_reference import RunReference

WIDTHS = (32, 64, 128, 128)
"""Channels of the random filters, each level of half the size of the one before."""
SLOPE = 0.2


@dataclass(frozen=True)
class LayerChoice:
    """Which layers of a network stand for what."""

    content: str = ""
    """Layer that the content is read off; the network's usual one by default."""
    style: tuple[str, ...] = ()
    """Layers that the style is read off; the network's usual ones by default."""


class Layers(nn.Module):
    """A fixed network that gives the maps of its layers by their names."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        network: nn.Sequential,
        names: Mapping[str, int],
        usual: LayerChoice,
        mean: Sequence[float] = (0.5,),
        std: Sequence[float] = (0.5,),
        reverse: bool = False,
    ) -> None:
        """Freeze the network.

        Args:
            name: what it is.
            network: modules in a row; what skips or takes the largest is made to average.
            names: place in the row after which a layer's maps are read, by the layer's name.
            usual: layers that content and style are read off where nobody says which.
            mean: of each colour, or of all, taken off images in [0, 1].
            std: what they are divided by then.
            reverse: the network wants blue, green, red.
        """
        super().__init__()
        self.name, self.names, self.usual, self.reverse = name, dict(names), usual, reverse
        self.network = network.requires_grad_(False).eval()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def chosen(self, choice: LayerChoice) -> LayerChoice:
        """Return a choice with the usual layers where it has none.

        Raises:
            ComponentError: there is no layer of such a name.
        """
        found = LayerChoice(choice.content or self.usual.content, tuple(choice.style) or self.usual.style)
        for name in (found.content, *found.style):
            if name not in self.names:
                raise ComponentError(f"{name!r}: no such layer of {self.name};{did_you_mean(name, self.names)}")
        return found

    def forward(self, images: Float[Tensor, "B C H W"], wanted: Sequence[str]) -> dict[str, Tensor]:
        """Return the maps (B F h w) of the wanted layers of images in [0, 1], and compute no further than needed."""
        places = {self.names[name]: name for name in wanted}
        first = self.network[0]
        assert isinstance(first, nn.Conv2d)
        maps = images.expand(-1, first.in_channels, -1, -1) if images.shape[1] == 1 else images
        maps = ((maps.flip(1) if self.reverse else maps) - self.mean) / self.std
        found = {}
        for place, layer in enumerate(self.network):
            maps = layer(maps)
            if place in places:
                found[places[place]] = maps
            if place == max(places):
                break
        return found


def layers_of(reference: RunReference | None = None, channels: int = 3) -> Layers:
    """Return the layers of a network: of random filters where none is named.

    Args:
        reference: a run of a `cnn-classifier`, the folder of a judge, or a file with the weights of VGG19.
        channels: colours of the images.

    Raises:
        ComponentError: there is no such network, it has changed since it was named, or it takes other colours.
    """
    if not reference:
        return random_layers(channels)
    reference.check()
    if reference.model.is_file():
        return vgg19_layers(reference)
    try:
        module = load_component(reference.model, JUDGES)
    except ComponentError:
        module = load_component(reference.model, MODELS)
    if not isinstance(module, Judge | CNNClassifier):
        raise ComponentError(
            f"{reference.path}: a {type(module).__name__} has no layers to read; name the run of a cnn-classifier, the "
            "folder of a judge, or a file with the weights of VGG19"
        )
    if module.config.channels != channels and (channels, module.config.channels) != (1, 3):
        raise ComponentError(
            f"{reference.path}: learned from images of {module.config.channels} colours, and these have {channels}"
        )
    return trained_layers(module)


def random_layers(channels: int = 3, seed: int = 0) -> Layers:
    """Return four levels of fixed random 3 x 3 filters, conv1 to conv4; the same arguments give the same everywhere."""
    generator = torch.Generator().manual_seed(seed)
    rows: list[nn.Module] = []
    names, before = {}, channels
    for number, after in enumerate(WIDTHS, 1):
        conv = nn.utils.skip_init(nn.Conv2d, before, after, 3, padding=1, padding_mode="reflect")  # draws nothing
        with torch.no_grad():
            conv.weight.copy_(torch.randn(conv.weight.shape, generator=generator) * math.sqrt(2 / (9 * before)))
            conv.bias.zero_()
        rows += [nn.AvgPool2d(2)] if number > 1 else []
        rows += [conv, nn.LeakyReLU(SLOPE)]
        names[f"conv{number}"], before = len(rows) - 1, after
    return Layers("random filters", nn.Sequential(*rows), names, LayerChoice("conv3", tuple(names)))


def trained_layers(module: Judge | CNNClassifier) -> Layers:
    """Return the convolutions of a network that learned here, conv1, conv2, ..., each behind its rectifier.

    Where it skips every other place, it now looks at all and averages.
    """
    rows: list[nn.Module] = []
    names: dict[str, int] = {}
    halve = False
    for layer in module.body:
        if isinstance(layer, nn.AdaptiveAvgPool2d | nn.Flatten):
            break
        if isinstance(layer, nn.Conv2d):
            rows += [nn.AvgPool2d(2)] if halve else []
            rows.append(_everywhere(layer))
            halve = layer.stride[0] > 1
        else:
            rows.append(layer)
        if isinstance(layer, nn.LeakyReLU):
            names[f"conv{len(names) + 1}"] = len(rows) - 1
    usual = LayerChoice(list(names)[min(2, len(names) - 1)], tuple(names))
    seen = ((0.5,), (0.5,)) if isinstance(module, Judge) else ((0.0,), (1.0,))  # what each was trained to see
    return Layers(type(module).__name__, nn.Sequential(*rows), names, usual, *seen)


def vgg19_layers(reference: RunReference) -> Layers:
    """Return VGG19 with the weights of a file; errors as of `vgg19`."""
    found = vgg19(reference.model)
    style = tuple(f"conv{block}_1" for block in range(1, 6))
    return Layers(
        "VGG19", found.network, found.names, LayerChoice("conv4_2", style), found.mean, found.std, found.reverse
    )


def _everywhere(layer: nn.Conv2d) -> nn.Conv2d:
    """Return a convolution with the same weights that skips no place and reflects the border."""
    size = layer.kernel_size[0]
    made = nn.Conv2d(layer.in_channels, layer.out_channels, size, padding=size // 2, padding_mode="reflect")
    made.load_state_dict(layer.state_dict())
    return made
