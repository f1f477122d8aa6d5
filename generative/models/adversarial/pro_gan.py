"""ProGAN: a GAN that grows with its images, from 4 x 4 pixels on.

Karras, Aila, Laine & Lehtinen 2018, "Progressive growing of GANs" (arXiv 1710.10196). A phase for each resolution: its
level fades in over the first part, in the generator, in the critic and in the real images alike, and then settles
(appendix A.1). Loss and penalty are WGAN-GP's with a drift term, `1e-3 E[D(x)^2]`. Layers are in `growing` and
`equalised`.
"""

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from generative.core.views import Film, Source, Views
from generative.models.adversarial.image_gan import ImageGAN, ImageGANConfig
from generative.models.checks import check_colours, check_not_negative, check_obs
from generative.networks.gan.growing import START, GrowingCritic, GrowingGenerator, blend, coarse, levels_of, widths_of
from generative.objectives.adversarial import GanLoss, Lipschitz
from generative.training.fit_config import FitConfig
from generative.training.variants import Phase, phase_at


@dataclass(frozen=True)
class Scaled:
    """Size and channels of the images of a level."""

    image_size: int
    channels: int


@dataclass(frozen=True)
class ProGANConfig(ImageGANConfig):
    """Sizes of a GAN that grows, and how it does."""

    gan_loss: ClassVar[GanLoss] = "wasserstein"
    lipschitz: ClassVar[Lipschitz] = "gradient-penalty"
    critic_steps: ClassVar[int] = 1
    accumulation: ClassVar[int] = 1
    penalty: float = 10.0
    """Weight of the gradient penalty."""
    drift: float = 1e-3
    """Weight of the squared scores of real images, which keeps them near 0."""
    batches: tuple[int, ...] = (64, 64, 32, 16)
    """Images in a batch at 4, 8, 16, ... pixels; the last number goes for all that follow."""
    rates: tuple[float, ...] = (1.0,)
    """Learning rate at 4, 8, 16, ... pixels in multiples of the training's; the last one goes for all that follow."""
    fade: float = 0.5
    """Part of a phase over which its level fades in; 0 switches it on at once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative(self, "penalty", "drift")
        if not self.batches or min(self.batches) < 1:
            raise ValueError(f"batches={self.batches}: give one or more numbers of 1 or more")
        if not self.rates or not min(self.rates) > 0:
            raise ValueError(f"rates={self.rates}: give one or more numbers above 0")
        if not 0 <= self.fade <= 1:
            raise ValueError(f"fade={self.fade}: a part of a phase; give 0 to 1")


@dataclass(frozen=True)
class FadeIn:
    """The image grows: level by level from 4 pixels on, each fading in."""

    makes: ClassVar = Film
    columns: int = 6
    """Latents, each with an image of its own."""
    frames: int = 12
    """Frames in which a level fades in."""
    fps: int = 12
    """Frames per second."""

    def __post_init__(self) -> None:
        for name in ("columns", "frames", "fps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 1 or more")

    @torch.no_grad()
    def show(self, model: "ProGAN", source: Source, seed: int) -> Film:
        """Return the same latents at every level; the colours of a coarse one are those of its own phase."""
        z = model._latents(self.columns, torch.Generator().manual_seed(seed))
        labels, frames, captions = model._in_turn(self.columns, None, z.device), [], []
        told = model._condition(labels, z)
        for level in range(model.levels + 1):
            for frame in range(self.frames + 1) if level else [self.frames]:
                alpha = frame / self.frames
                made = model.average(z, told, level, torch.tensor(alpha))
                frames.append(model._enlarged(model._outside(made))[None])
                captions.append(f"{START * 2**level} px, alpha {alpha:.2f}")
        return Film(torch.stack(frames), captions, self.fps)


class ProGAN(ImageGAN):
    """A generator and a critic that grow together.

    `level` and `alpha` say how far: of a component that is not being trained all the way. While it is trained they
    follow from the step, so a training that is resumed goes on in the middle of a fade.
    """

    type_name = "progan"
    fixed_step = True
    Config: ClassVar[Any] = ProGANConfig
    config: ProGANConfig
    views: ClassVar[Views] = {"fade-in": FadeIn}
    alpha: Tensor

    def __init__(self, config: ProGANConfig) -> None:
        super().__init__(config)
        self.levels = levels_of(config.image_size)
        self.level, self.fading = self.levels, False
        self.register_buffer("alpha", torch.ones(()), persistent=False)

    def _networks(self, beside: int) -> tuple[nn.Module, nn.Module]:
        config, widths = self.config, widths_of(self.config.width, levels_of(self.config.image_size))
        return (
            GrowingGenerator(config.latent, config.told, config.channels, widths),
            GrowingCritic(config.told, config.channels, widths),
        )

    def phases(self, fit: FitConfig) -> Sequence[Phase]:
        """Return a phase for each resolution; all see equally many images, the first, without a fade, half as many."""
        batches, rates = (_of_levels(each, self.levels + 1) for each in (self.config.batches, self.config.rates))
        shares = [(1 if level == 0 else 2) / batch for level, batch in enumerate(batches)]
        if fit.steps < len(batches):
            raise ValueError(f"steps={fit.steps}: each of the {len(batches)} levels needs one; give more steps")
        ends = itertools.accumulate(shares[:-1], initial=0.0)
        return [
            Phase(max(level, round(fit.steps * end / sum(shares))), batch, START * 2**level, rate)
            for level, (end, batch, rate) in enumerate(zip(ends, batches, rates, strict=True))
        ]

    def variant(self, step: int, fit: FitConfig) -> Hashable:
        """Set level and alpha of a step, and return the level and whether it is fading in."""
        phases = self.phases(fit)
        phase = phase_at(phases, step)
        self.level = [each.first for each in phases].index(phase.first)
        following = phases[self.level + 1].first if self.level < self.levels else fit.steps
        span = following - phase.first
        length = min(round(self.config.fade * span), span - 1)  # the last step of a phase is whole
        done = (step - phase.first) / length if self.level and length else 1.0
        self.fading = done < 1
        self.alpha.fill_(min(1.0, done))
        return self.level, self.fading

    @property
    def _faded(self) -> Tensor | None:
        return self.alpha if self.fading else None

    def _averaged(self, z: Tensor, told: Tensor | None) -> Tensor:
        return self._enlarged(self.average(z, told, self.level, self._faded))

    def _make(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.generator(z, self._condition(labels, z), self.level, self._faded)

    def _score(self, data: Tensor, labels: Tensor | None = None) -> Float[Tensor, " B"]:
        return self.critic(data, self._condition(labels, data), self.level, self._faded).float()

    def _inside(self, obs: Tensor) -> Tensor:
        """Return real images of the present level in [-1, 1], as coarse as that level is still fading in."""
        check_obs(obs, Scaled(START * 2**self.level, self.config.channels))
        check_colours(obs)
        images = 2 * obs - 1
        return blend(coarse(images), images, self.alpha) if self.fading else images

    def _enlarged(self, images: Tensor) -> Tensor:
        """Return images of any level in the size of the last one, each pixel repeated."""
        return interpolate(images, (self.config.image_size,) * 2, mode="nearest")


def _of_levels(numbers: tuple[Any, ...], levels: int) -> list[Any]:
    """Return a number for each level, the last given one for all that follow."""
    return [numbers[min(level, len(numbers) - 1)] for level in range(levels)]
