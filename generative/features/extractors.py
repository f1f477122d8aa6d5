"""Feature extractors of our own, each with a hash that goes with every figure made by it.

A distance between sets of images means something only under a named extractor. None is downloaded: a judge that
learned what is known of the data (see `judge`), a classifier that we trained, the frozen encoder of a model that is not
among those compared, fixed random convolutions (random filters keep much of what textures are, Ustyuzhaninov et al.
2017, arXiv 1606.00021), or the pixels themselves. Figures of different hashes never compare.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable
from typing import Any, Protocol, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.core.facts import FactsView
from generative.core.options import ComponentError
from generative.core.storage import component_bytes
from generative.features.checks import features64, unit_images
from generative.features.judge import Judge

BATCH = 256


@dataclasses.dataclass(frozen=True)
class Extractor:
    """Images in [0, 1] to features, under a name and a hash."""

    name: str
    """What it is, such as "random-convolutions"."""
    hash: str
    """Of everything that decides its features, 64 hexadecimal digits."""
    function: Callable[[Tensor], Tensor]
    """Images (B C H W) to features (B F), each row by itself."""

    @property
    def label(self) -> str:
        """Name and the beginning of the hash, as figures show it."""
        return f"{self.name}:{self.hash[:12]}"

    @torch.no_grad()
    def __call__(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N F"]:
        """Return features in float64 on the CPU, computed in batches.

        Raises:
            ComponentError: values lie outside [0, 1], or a feature is not finite.
        """
        parts = [self.function(batch).flatten(1).cpu() for batch in unit_images("images", images).split(BATCH)]
        return features64(f"features of {self.name}", torch.cat(parts), least=1)


class Classifier(Protocol):
    """What `classifier_extractor` needs."""

    def features(self, images: Tensor) -> Tensor:
        """Return the last hidden layer (B F)."""


class Encoder(Protocol):
    """What `encoder_extractor` needs."""

    def encode(self, images: Tensor) -> Any:
        """Return codes (B Z), or a tuple that begins with their means."""


class RandomFilters(nn.Module):
    """Three levels of fixed random 3 x 3 filters, summed up by means, spreads and a coarse grid, then projected."""

    hashed_as = "RandomConvolutions"  # figures that were written compare with later ones only while this stays

    def __init__(self, channels: int, features: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        widths = (channels, 16, 32, 64)
        for level in range(3):
            fan_in = 9 * widths[level]
            kernel = torch.randn(widths[level + 1], widths[level], 3, 3, generator=generator) * math.sqrt(2 / fan_in)
            self.register_buffer(f"kernel{level}", kernel)
        raw = 2 * sum(widths[1:]) + 4 * widths[-1]  # means and spreads of each level, 2 x 2 averages of the last
        if not 1 <= features <= raw:
            raise ComponentError(f"features={features}: give 1 to {raw}; well below the number of samples")
        square = torch.randn(raw, features, generator=generator)
        self.register_buffer("projection", torch.linalg.qr(square).Q)  # orthonormal columns

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Return the features; of any size from 8 x 8 up."""
        if min(images.shape[2:]) < 8:
            raise ComponentError(f"images of {tuple(images.shape[2:])} pixels: random convolutions need 8 x 8 or more")
        maps, parts = 2 * images - 1, []
        for level in range(3):
            maps = nn.functional.conv2d(maps, self.get_buffer(f"kernel{level}"), padding=1)
            maps = nn.functional.leaky_relu(maps, 0.2)
            parts += [maps.mean((2, 3)), maps.std((2, 3))]
            maps = nn.functional.avg_pool2d(maps, 2)
        parts.append(nn.functional.adaptive_avg_pool2d(maps, 2).flatten(1))
        return torch.cat(parts, dim=1) @ self.get_buffer("projection")


def random_convolutions(channels: int, *, features: int = 64, seed: int = 0) -> Extractor:
    """Return fixed random convolutions; the same arguments give the same features and hash everywhere.

    Args:
        channels: of the images.
        features: F; keep it well below the number of samples.
        seed: of the filters. Published figures use 0.
    """
    module = RandomFilters(channels, features, seed).eval()
    return Extractor("random-convolutions", _hash(module, {"features": features, "seed": seed}), module)


def classifier_extractor(classifier: nn.Module) -> Extractor:
    """Return the last hidden layer of a trained classifier, which must have a method `features`.

    The classifier is put into evaluation mode; leave it frozen, for the hash is taken now.
    """
    if not hasattr(classifier, "features"):
        raise ComponentError(f"{type(classifier).__name__}: has no method `features`; use one of the classifiers")
    classifier.eval()
    return Extractor(
        f"classifier-{_type_name(classifier)}", _hash(classifier, {}), cast(Classifier, classifier).features
    )


def judge_extractor(judge: Judge, name: str) -> Extractor:
    """Return the last hidden layer of a judge of a data set; leave it frozen, for the hash is taken now."""
    return Extractor(f"judge-{name}", _hash(judge.eval(), {}), judge.features)


def encoder_extractor(model: nn.Module) -> Extractor:
    """Return the (mean) code of a frozen encoder: a model with `encode(images)`, not one of those compared."""
    if not hasattr(model, "encode"):
        raise ComponentError(f"{type(model).__name__}: has no method `encode`; use a model with an encoder")
    encode = cast(Encoder, model).encode
    model.eval()

    def code(images: Tensor) -> Tensor:
        encoded = encode(images)
        return encoded[0] if isinstance(encoded, tuple) else encoded

    return Extractor(f"encoder-{_type_name(model)}", _hash(model, {}), code)


def pixels(size: int | None = None) -> Extractor:
    """Return the pixels themselves, averaged down to `size` x `size` first if given."""

    def flat(images: Tensor) -> Tensor:
        return (images if size is None else nn.functional.adaptive_avg_pool2d(images, size)).flatten(1)

    name = "pixels" if size is None else f"pixels-{size}"
    return Extractor(name, hashlib.sha256(name.encode()).hexdigest(), flat)


def _type_name(module: nn.Module) -> str:
    return str(getattr(module, "type_name", type(module).__name__))


def _hash(module: nn.Module, options: FactsView) -> str:
    """SHA-256 of what a module is and of its weights and buffers, bit by bit."""
    name = getattr(module, "hashed_as", type(module).__qualname__)
    digest = hashlib.sha256(json.dumps([name, dict(options)], sort_keys=True).encode())
    if hasattr(module, "config"):
        digest.update(component_bytes(module)["config"].encode())
    for name, tensor in sorted(module.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
