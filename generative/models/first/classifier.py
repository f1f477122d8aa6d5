"""Image classifiers: the multilayer perceptron and the convolutional network of the book's second chapter.

They are systems in their own right and the extractors of the metrics: `features` is the last hidden layer. The
defaults are the book's sizes for 32 x 32 colour images and 10 classes: the CNN has 591,914 trainable numbers and
640 running statistics, 592,554 together. Its framework's own constants are kept too (LeakyReLU slope 0.3, batch
norm epsilon 0.001 and momentum 0.99, Glorot weights, biases 0); only the padding of its strided convolutions
differs, here a pixel on every side.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from generative.core.facts import Facts
from generative.data.fields import Field
from generative.data.needs import label_classes, square_image

LabelledImages = tuple[Tensor, Tensor]
"""Images (B C H W) in [0, 1] and class indices (B)."""

SLOPE = 0.3
NORM_EPSILON = 1e-3
NORM_MOMENTUM = 0.01  # torch counts what is new, the book's framework what is old


@dataclass(frozen=True)
class MLPClassifierConfig:
    """Sizes of the perceptron."""

    classes: int = 10
    """How many classes there are."""
    channels: int = 3
    """Colour channels of the images."""
    image_size: int = 32
    """Height and width in pixels."""
    hidden: tuple[int, ...] = (200, 150)
    """Units of the hidden layers, first to last."""

    def __post_init__(self) -> None:
        _check_sizes(self.classes, self.channels, self.image_size)
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden={self.hidden}: give one size of 1 or more for each hidden layer")


@dataclass(frozen=True)
class CNNClassifierConfig:
    """Sizes of the convolutional network."""

    classes: int = 10
    """How many classes there are."""
    channels: int = 3
    """Colour channels of the images."""
    image_size: int = 32
    """Height and width in pixels; at least 4."""
    widths: tuple[int, int, int, int] = (32, 32, 64, 64)
    """Channels of the four convolutions; the second and fourth halve the image."""
    hidden: int = 128
    """Units of the last hidden layer, which are the features."""
    dropout: float = 0.5
    """Probability that a feature is left out while training."""

    def __post_init__(self) -> None:
        _check_sizes(self.classes, self.channels, self.image_size)
        if self.image_size < 4:
            raise ValueError(f"image_size={self.image_size}: it is halved twice; use 4 or more")
        if min(*self.widths, self.hidden) < 1:
            raise ValueError(f"widths={self.widths}, hidden={self.hidden}: sizes; give 1 or more")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}: a probability; give 0 or more, but less than 1")


class MLPClassifier(nn.Module):
    """Flattened pixels through ReLU layers to classes."""

    type_name = "mlp-classifier"
    fixed_step = True
    seam = "model"
    Config = MLPClassifierConfig

    def __init__(self, config: MLPClassifierConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = [nn.Flatten()]
        before = config.channels * config.image_size**2
        for after in config.hidden:
            layers += [nn.Linear(before, after), nn.ReLU()]
            before = after
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(before, config.classes)
        _draw_glorot(self)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Images and their classes."""
        return ("image", "label")

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return image size, channels and number of classes; errors as of `FitsData`."""
        return {**square_image(cls, fields), **label_classes(cls, fields)}

    def features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Return the last hidden layer; raise ValueError for images of another shape."""
        _check_images(images, self.config)
        return self.body(images)

    def classify(self, obs: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        """Return a score (logit) per class of images in [0, 1]; raise ValueError for images of another shape."""
        return self(obs)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        """Return a score (logit) per class of images in [0, 1]; raise ValueError for images of another shape."""
        return self.head(self.features(images))

    def loss(
        self, batch: LabelledImages, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the cross-entropy in nats, and the accuracy; draw nothing."""
        return _cross_entropy(self(batch[0]), batch[1])


class CNNClassifier(nn.Module):
    """Four 3 x 3 convolutions with batch norm and a dense layer with dropout to classes."""

    type_name = "cnn-classifier"
    fixed_step = True
    seam = "model"
    Config = CNNClassifierConfig

    def __init__(self, config: CNNClassifierConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        before, size = config.channels, config.image_size
        for after, stride in zip(config.widths, (1, 2, 1, 2), strict=True):
            layers += [
                nn.Conv2d(before, after, 3, stride=stride, padding=1),
                nn.BatchNorm2d(after, eps=NORM_EPSILON, momentum=NORM_MOMENTUM),
                nn.LeakyReLU(SLOPE),
            ]
            before, size = after, -(-size // stride)
        layers += [nn.Flatten(), nn.Linear(before * size**2, config.hidden)]
        layers += [nn.BatchNorm1d(config.hidden, eps=NORM_EPSILON, momentum=NORM_MOMENTUM), nn.LeakyReLU(SLOPE)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(config.hidden, config.classes)
        _draw_glorot(self)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Images and their classes."""
        return ("image", "label")

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return image size, channels and number of classes; errors as of `FitsData`."""
        return {**square_image(cls, fields), **label_classes(cls, fields)}

    def features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Return the last hidden layer before dropout; raise ValueError for images of another shape."""
        _check_images(images, self.config)
        return self.body(images)

    def classify(self, obs: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        """Return a score (logit) per class of images in [0, 1]; raise ValueError for images of another shape."""
        return self(obs)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        """Return a score (logit) per class of images in [0, 1], without dropout.

        Raises:
            ValueError: images of another shape.
        """
        return self.head(self.features(images))

    def loss(
        self, batch: LabelledImages, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the cross-entropy in nats, and the accuracy; while training, dropout draws from `generator`."""
        features = self.features(batch[0])
        if self.training:
            drawn = torch.rand(features.shape, generator=generator, device=generator.device).to(features.device)
            features = features * (drawn >= self.config.dropout) / (1 - self.config.dropout)
        return _cross_entropy(self.head(features), batch[1])


def labelled_batches(
    images: Float[Tensor, "N C H W"], labels: Int[Tensor, " N"], size: int, seed: int
) -> Callable[[int], Iterator[LabelledImages]]:
    """Return the endless batches that `fit` asks for, a function of (seed, step): each epoch in a new order.

    Raises:
        ValueError: unequal numbers of images and labels, or a size outside 1 to N.
    """
    if len(images) != len(labels):
        raise ValueError(f"labels: {len(labels)} for {len(images)} images; give one for each")
    if not 1 <= size <= len(images):
        raise ValueError(f"size={size}: a batch holds 1 to {len(images)} images")
    per_epoch = len(images) // size

    def batches(step: int) -> Iterator[LabelledImages]:
        while True:
            order = torch.from_numpy(np.random.default_rng((seed, step // per_epoch)).permutation(len(images)))
            for k in range(step % per_epoch, per_epoch):
                chosen = order[k * size : (k + 1) * size]
                yield images[chosen], labels[chosen]
                step += 1

    return batches


def _check_sizes(classes: int, channels: int, image_size: int) -> None:
    if classes < 2:
        raise ValueError(f"classes={classes}: give 2 or more")
    for name, value in (("channels", channels), ("image_size", image_size)):
        if value < 1:
            raise ValueError(f"{name}={value}: a size; give 1 or more")


def _check_images(images: Tensor, config: MLPClassifierConfig | CNNClassifierConfig) -> None:
    expected = (config.channels, config.image_size, config.image_size)
    if tuple(images.shape[1:]) != expected:
        raise ValueError(
            f"images of shape {tuple(images.shape)}: expected (B, {', '.join(map(str, expected))}); "
            "set image_size and channels to those of the images"
        )


@torch.no_grad()
def _draw_glorot(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                layer.bias.zero_()


def _cross_entropy(
    scores: Float[Tensor, "B K"], labels: Int[Tensor, " B"]
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))  # half precision is too coarse to sum in
    loss = nn.functional.cross_entropy(scores, labels)
    return loss, {"accuracy": (scores.argmax(1) == labels).float().mean().detach()}
