"""Conditional GAN: generator and critic both know the label (Mirza & Osindero 2014, arXiv 1411.1784).

The generator gets it one-hot beside the latent, the critic as one plane per class beside the image (or as numbers
beside a point), so a datum under a wrong label scores badly. Loss and critic are WGAN-GP's by default, as in the
book's second edition; mixed data keep the label of both ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from generative.core.facts import Facts
from generative.data.fields import Field
from generative.data.needs import label_classes
from generative.models.adversarial.gan import DCGAN, WGANGPConfig
from generative.models.checks import check_sizes, labels_one_hot
from generative.sampling.dials import PriorSampling


@dataclass(frozen=True)
class ConditionalGANConfig(WGANGPConfig):
    """Sizes and levers of a conditional GAN."""

    classes: int = 10
    """Labels are 0 to classes - 1."""
    latent: int = 32
    """Latent dimensions Z."""
    critic_steps: int = 3
    """Updates of the critic for one of the generator, each on a new batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "classes")


class ConditionalGAN(DCGAN):
    """A generator and a critic of labelled data; batches are `(data, labels)`."""

    type_name = "conditional-gan"
    fixed_step = True
    Config: ClassVar[Any] = ConditionalGANConfig
    config: ConditionalGANConfig

    def __init__(self, config: ConditionalGANConfig) -> None:
        super().__init__(config, beside=config.classes)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Points or images, and their classes."""
        return (*super().inputs, "label")

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return what a GAN's data decide, and the number of classes; errors as of `FitsData`."""
        return {**super().sizes(fields), **label_classes(cls, fields)}

    def decode(  # type: ignore[override]
        self, z: Float[Tensor, "B Z"], labels: Int[Tensor, " B"]
    ) -> Float[Tensor, "B ..."]:
        """Return the images in [0, 1], or the points, that latents stand for under labels.

        Raises:
            ValueError: a label is out of range.
        """
        return self._outside(self.average(torch.cat([z, self._condition(labels, z)], 1)))

    def sample(
        self, n: int, sampling: PriorSampling, generator: torch.Generator, labels: Int[Tensor, " n"] | None = None
    ) -> Float[Tensor, "n ..."]:
        """Return data of labels, by default of all classes in turn, with latents drawn from N(0, temperature).

        Raises:
            ValueError: a label is out of range.
        """
        z = self._latents(n, generator)
        if labels is None:
            labels = torch.arange(n, device=z.device) % self.config.classes
        return self.decode(sampling.temperature**0.5 * z, labels)

    def _split(self, batch: object) -> tuple[Tensor, Tensor | None]:
        if not (isinstance(batch, tuple | list) and len(batch) == 2):
            raise ValueError("batch: expected (data, labels); give labels beside the data")
        return batch[0], batch[1]

    def _condition(self, labels: Tensor | None, like: Tensor) -> Tensor:
        if labels is None:
            raise ValueError("labels: missing; give one for each datum")
        return labels_one_hot(labels, self.config.classes, like)
