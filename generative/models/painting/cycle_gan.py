"""CycleGAN: two translators between two domains of images, learnt without a single pair.

Zhu, Park, Isola & Efros 2017 (arXiv 1703.10593). A generator translates each way, a critic of patches judges each
domain. With F to the second domain, G to the first and least-squares scores D (section 4), the generators go down

    E (D2(F(x)) - 1)^2 + E (D1(G(y)) - 1)^2 + cycle (E |G(F(x)) - x| + E |F(G(y)) - y|)
    + identity (E |F(y) - y| + E |G(x) - x|)                                                      (eq. 3, section 5.2)

and each critic half of `E (D(real) - 1)^2 + E D(made)^2`, on made images out of a history. Images are in [0, 1]
outside, as for every model, and in [-1, 1] inside.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.core.component import Objective, Part
from generative.core.facts import Facts
from generative.core.options import ComponentError
from generative.data.fields import Field
from generative.data.needs import square_image
from generative.data.orders import Order
from generative.models.checks import check_colours, check_not_negative, check_obs, check_sizes
from generative.networks.gan.plain import patch_critic
from generative.networks.residual import residual_generator
from generative.networks.unet import unet_generator
from generative.objectives import adversarial
from generative.objectives.cycle import ImageHistory, cycle_loss, identity_loss
from generative.objectives.variational import at_least_float32

DIRECTIONS = {"forward": "second", "backward": "first"}
"""The domain that a direction leads to."""
LOSS: Literal["least-squares"] = "least-squares"


@dataclass(frozen=True)
class CycleGANConfig:
    """Sizes and weights of the two translators and their critics."""

    domains: tuple[str, str] = ("image", "other")
    """Fields of the data with the images of the first and of the second domain."""
    image_size: int = 64
    """Height and width of the images in pixels."""
    channels: int = 3
    """Colour channels of the images."""
    generator: Literal["resnet", "unet"] = "resnet"
    """resnet: residual blocks on a map a quarter as wide. unet: halvings and doublings with skip connections."""
    width: int = 32
    """Channels of the generators' finest level."""
    blocks: int = 6
    """Residual blocks, for resnet."""
    halvings: int = 4
    """Halvings, for unet."""
    critic_width: int = 32
    """Channels of the critics' finest level."""
    critic_halvings: int = 2
    """Halvings in a critic; 1, 2, 3 judge patches of 16, 34, 70 pixels."""
    cycle: float = 10.0
    """Weight of the way there and back."""
    identity: float = 5.0
    """Weight of leaving alone what is in the target domain already; 0 lets colours drift."""
    history: int = 50
    """Made images of earlier steps that each critic may be shown; 0 shows it new ones only."""
    momentum: float = 0.5
    """Adam's decay of the mean gradient."""

    def __post_init__(self) -> None:
        names = ("image_size", "channels", "width", "blocks", "halvings", "critic_width", "critic_halvings")
        check_sizes(self, *names)
        check_not_negative(self, "cycle", "identity", "history")
        if len(set(self.domains)) != 2:
            raise ValueError(f"domains={self.domains}: give the names of two different fields")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum={self.momentum}: give 0 or more, but less than 1")
        times, what = (4, "resnet halves it twice") if self.generator == "resnet" else (2**self.halvings, "halvings")
        if self.image_size % times or self.image_size < 2 * times:
            raise ValueError(f"image_size={self.image_size}: {what}; give a multiple of {times}, at least {2 * times}")
        if self.image_size < 3 * 2**self.critic_halvings:
            raise ValueError(
                f"critic_halvings={self.critic_halvings}: leaves no patch of {self.image_size} pixels; lower it"
            )


class CycleGAN(nn.Module):
    """Translators between two domains of square images in [0, 1], and their critics."""

    type_name = "cycle-gan"
    fixed_step = True
    seam = "model"
    Config = CycleGANConfig
    order: ClassVar[Order] = "unpaired"
    batches_per_step: ClassVar[int] = 1
    refusals: ClassVar[Mapping[str, str]] = {
        **{
            name: "a CycleGAN has no latents; `translate` turns images of one domain into the other"
            for name in ("encode", "decode", "reconstruct", "interpolate")
        },
        "sample": "a CycleGAN draws nothing: it translates images that there are",
        "log_prob": "a CycleGAN translates images without knowing their probability",
    }

    def __init__(self, config: CycleGANConfig) -> None:
        super().__init__()
        self.config = config

        def generator() -> nn.Sequential:
            if config.generator == "unet":
                return unet_generator(config.channels, config.width, config.halvings)
            return residual_generator(config.channels, config.width, config.blocks)

        def critic() -> nn.Sequential:
            return patch_critic(config.channels, config.critic_width, config.critic_halvings)

        # Each by the domain that it makes or judges images of.
        self.generators = nn.ModuleDict({domain: generator() for domain in ("first", "second")})
        self.critics = nn.ModuleDict({domain: critic() for domain in ("first", "second")})
        shape = (config.channels, config.image_size, config.image_size)
        self.history = nn.ModuleDict({domain: ImageHistory(config.history, shape) for domain in self.critics})

    @property
    def inputs(self) -> tuple[str, ...]:
        """The fields of the two domains."""
        return self.config.domains

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return the first two fields of images as domains, their size and channels; errors as of `FitsData`."""
        images = [name for name, field in fields.items() if field.kind == "image"]
        if len(images) < 2:
            raise ComponentError(
                f"{cls.type_name} needs two fields of images, and the data has {', '.join(fields)}; "
                "choose data of two domains, or another model"
            )
        first, second = (square_image(cls, fields, name) for name in images[:2])
        if first != second:
            raise ComponentError(
                f"{cls.type_name} takes images of one size and number of channels, and those of {images[0]} and "
                f"{images[1]} differ; resize them, or make all grey"
            )
        return {"domains": images[:2], **first}

    @property
    def parts(self) -> Mapping[str, Part]:
        """Both generators together, both critics together."""
        part = Part(betas=(self.config.momentum, 0.999))
        return {"generators": part, "critics": part}

    def objectives(self, batches: Sequence[Any], step: int, generator: torch.Generator) -> Iterator[Objective]:
        """Yield the generators' loss, then the critics' on images that were made before the generators moved."""
        first, second = map(self._inside, batches[0])
        made_first, made_second = self._make("first", second), self._make("second", first)
        yield Objective("generators", *self._generators_loss(first, second, made_first, made_second))
        loss, metrics = first.new_zeros(()), {}
        for domain, real, made in (("first", first, made_first), ("second", second, made_second)):
            shown = self.history[domain].exchange(made, generator)  # type: ignore[operator]
            real_scores, made_scores = self._score(domain, real), self._score(domain, shown)
            loss = loss + adversarial.critic_loss(LOSS, real_scores, made_scores)
            metrics[f"{domain}_accuracy"] = (
                (real_scores > 0.5).float().mean() + (made_scores < 0.5).float().mean()
            ) / 2
        yield Objective("critics", loss, metrics)

    def translate(self, obs: Float[Tensor, "B C H W"], direction: str) -> Float[Tensor, "B C H W"]:
        """Return images in [0, 1] of the other domain.

        Args:
            obs: images in [0, 1].
            direction: forward takes images of the first domain to the second, backward those of the second to the
                first.

        Raises:
            ValueError: another direction, or images of another size.
        """
        if direction not in DIRECTIONS:
            raise ValueError(f"direction={direction!r}: give {' or '.join(DIRECTIONS)}")
        return (self._make(DIRECTIONS[direction], self._inside(obs)) + 1) / 2

    def _generators_loss(
        self, first: Tensor, second: Tensor, made_first: Tensor, made_second: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        config, forward, backward = self.config, partial(self._make, "second"), partial(self._make, "first")
        scores = self._score("first", made_first), self._score("second", made_second)
        fooled = sum((2 * adversarial.generator_loss(LOSS, each) for each in scores), first.new_zeros(()))
        cycle = cycle_loss(first, second, backward(made_second), forward(made_first))
        metrics = {"adversarial": fooled.detach(), "cycle": cycle.detach()}
        loss = fooled + config.cycle * cycle
        if config.identity:
            identity = identity_loss(forward, backward, first, second)
            loss, metrics["identity"] = loss + config.identity * identity, identity.detach()
        return loss, metrics

    def _make(self, domain: str, images: Tensor) -> Tensor:
        """Return images of a domain, made of those of the other one."""
        return at_least_float32(self.generators[domain](images))

    def _score(self, domain: str, images: Tensor) -> Float[Tensor, " P"]:
        """Return the scores of all patches of all images."""
        return at_least_float32(self.critics[domain](images)).flatten()

    def _inside(self, obs: Tensor) -> Tensor:
        """Return checked images as the networks see them."""
        check_obs(obs, self.config)
        check_colours(obs)
        return 2 * obs - 1
