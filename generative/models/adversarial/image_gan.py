"""What the image GANs after DCGAN share: the loop of `gan`, labels where the data have them, no other layout."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from generative.core.facts import Facts
from generative.data.fields import Field
from generative.data.needs import label_classes, square_image
from generative.models.adversarial.gan import DCGAN
from generative.models.checks import check_latents, check_sizes, labels_one_hot
from generative.networks.gan.growing import levels_of
from generative.objectives.adversarial import GanLoss, Lipschitz
from generative.objectives.variational import at_least_float32


@dataclass(frozen=True)
class ImageGANConfig:
    """Sizes of an image GAN, and how it is trained."""

    layout: ClassVar[str] = "convolutions"
    gan_loss: ClassVar[GanLoss] = "non-saturating"
    lipschitz: ClassVar[Lipschitz] = "none"
    label_noise: ClassVar[float] = 0.0
    latent: int = 64
    """Latent dimensions Z."""
    image_size: int = 32
    """Height and width of the images in pixels: 8, 16, 32, 64, 128 or 256."""
    channels: int = 3
    """Colour channels of the images."""
    width: int = 16
    """Channels of the finest level; coarser ones have up to four times as many."""
    conditional: bool = False
    """Whether both networks are told the label."""
    classes: int = 10
    """Number of classes, for conditional."""
    critic_rate: float = 1.0
    """The critic's learning rate in multiples of the generator's (two time scales)."""
    momentum: float = 0.0
    """Adam's decay of the mean gradient."""
    second_moment: float = 0.99
    """Adam's decay of the mean squared gradient."""
    ema: float = 0.999
    """Decay of the average of generator weights that samples come from; 0 takes the last weights."""

    def __post_init__(self) -> None:
        check_sizes(self, "latent", "image_size", "channels", "width", "classes")
        levels_of(self.image_size)
        for name in ("momentum", "second_moment", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 0 or more, but less than 1")
        if not self.critic_rate > 0:
            raise ValueError(f"critic_rate={self.critic_rate}: must be above 0")

    @property
    def told(self) -> int:
        """How many numbers say what the label is."""
        return self.classes if self.conditional else 0


class ImageGAN(DCGAN):
    """A generator and a critic of square images, which may be told the label; the networks are those of a subclass."""

    config: ImageGANConfig

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Images, and their classes where it is told them."""
        return ("image", "label") if self.config.conditional else ("image",)

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return size and channels of images and, where there are labels, the number of classes."""
        return {**square_image(cls, fields), **(label_classes(cls, fields) if "label" in fields else {})}

    def decode(self, z: Float[Tensor, "B Z"], labels: Int[Tensor, " B"] | None = None) -> Float[Tensor, "B C H W"]:
        """Return the images in [0, 1] that latents stand for, under labels where it is told them.

        Raises:
            ValueError: latents of another shape; a label is out of range, missing, or of a model that is told none.
        """
        check_latents(z, self.config.latent)
        return self._outside(self._averaged(z, self._condition(labels, z)))

    def sample(
        self, n: int, sampling: Any, generator: torch.Generator, labels: Int[Tensor, " n"] | None = None
    ) -> Float[Tensor, "n C H W"]:
        """Return images of latents drawn from N(0, temperature); of labels, by default of all classes in turn.

        Raises:
            ValueError: a label is out of range.
        """
        z = self._latents(n, generator)
        return self.decode(sampling.temperature**0.5 * z, self._in_turn(n, labels, z.device))

    def _in_turn(self, n: int, labels: Tensor | None, device: torch.device) -> Tensor | None:
        if labels is None and self.config.conditional:
            return torch.arange(n, device=device) % self.config.classes
        return labels

    def _averaged(self, z: Tensor, told: Tensor | None) -> Tensor:
        return self.average(z, told)

    def _split(self, batch: Any) -> tuple[Tensor, Tensor | None]:
        if not self.config.conditional:
            return batch, None
        if not (isinstance(batch, tuple | list) and len(batch) == 2):
            raise ValueError("batch: expected (images, labels); give labels beside the images")
        return batch[0], batch[1]

    def _condition(self, labels: Tensor | None, like: Tensor) -> Tensor | None:
        """Return what both networks are told, zeros and ones (B K)."""
        if not self.config.conditional:
            if labels is not None:
                raise ValueError("labels: the model is told no classes; train it with conditional=true, or give none")
            return None
        if labels is None or len(labels) != len(like):
            what = "missing" if labels is None else f"{len(labels)} for {len(like)}"
            raise ValueError(f"labels: {what}; a model with conditional=true needs one for each image")
        return labels_one_hot(labels, self.config.classes, like)

    def _make(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.generator(z, self._condition(labels, z))

    def _score(self, data: Tensor, labels: Tensor | None = None) -> Float[Tensor, " B"]:
        return at_least_float32(self.critic(data, self._condition(labels, data)))

    def _outside(self, made: Tensor) -> Tensor:
        """Return images as the outside sees them; some networks have no bounds of their own."""
        return ((at_least_float32(made) + 1) / 2).clamp(0, 1)
