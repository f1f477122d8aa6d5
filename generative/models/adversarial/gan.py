"""Generative adversarial networks: DCGAN, WGAN and WGAN-GP are one model with its levers set differently.

Goodfellow et al. 2014 (arXiv 1406.2661), Radford et al. 2016 (DCGAN, arXiv 1511.06434), Arjovsky et al. 2017 (WGAN,
arXiv 1701.07875), Gulrajani et al. 2017 (WGAN-GP, arXiv 1704.00028). Loss, Lipschitz enforcement and both
normalisations are set independently; see `adversarial` and `plain`. A training step is `critic_steps` updates
of the critic, each on a batch of its own, and one of the generator. Images are in [0, 1] outside, as for every model,
and in [-1, 1] inside; points are taken as they are. Samples come from averaged weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.core.component import LatentSpec, Objective, Part
from generative.models.checks import check_latents, check_not_negative, check_sizes
from generative.models.layouts import ImagesOrPoints
from generative.networks.gan.plain import (
    Norm,
    Upsampling,
    coarse_grid,
    image_critic,
    image_generator,
    point_critic,
    point_generator,
)
from generative.objectives import adversarial
from generative.objectives.adversarial import GanLoss, Lipschitz
from generative.objectives.variational import at_least_float32
from generative.sampling.dials import PriorSampling
from generative.training.average import Average

SMOOTHED = ("non-saturating", "saturating")


@dataclass(frozen=True)
class DCGANConfig:
    """Sizes and levers of a GAN; the non-saturating loss with batch norm in both networks."""

    drift: ClassVar[float] = 0.0
    accumulation: ClassVar[int] = 1
    layout: Literal["convolutions", "points"] = "convolutions"
    """convolutions: square images in [0, 1]. points: vectors of `dimensions` numbers."""
    latent: int = 64
    """Latent dimensions Z."""
    image_size: int = 32
    """Height and width of the images in pixels: 8, 16, 28, 32, 48 or 64."""
    channels: int = 1
    """Colour channels of the images."""
    dimensions: int = 2
    """Numbers of a point."""
    width: int = 32
    """Channels of the finest level, coarser ones have up to 8 times as many; for points, units of a hidden layer."""
    gan_loss: GanLoss = "non-saturating"
    """What critic and generator minimise."""
    lipschitz: Lipschitz = "none"
    """How the critic's slope is kept in bounds."""
    penalty: float = 10.0
    """Weight of the gradient penalty or of R1."""
    clip: float = 0.01
    """Largest magnitude of the critic's weights with lipschitz=clip."""
    norm: Norm = "batch"
    """Normalisation in the generator."""
    upsampling: Upsampling = "transposed"
    """How the generator doubles an image: by transposed convolutions as in the paper, or resized and then convolved,
    which leaves no checkerboard."""
    critic_norm: Literal["none", "batch", "instance", "layer", "group"] = "batch"
    """Normalisation in the critic; lipschitz=spectral-norm is a lever of its own."""
    critic_dropout: float = 0.0
    """Probability that a unit of the critic is left out while training."""
    label_noise: float = 0.0
    """Real data's target is 1 minus up to this much, drawn for each datum; for the (non-)saturating losses."""
    critic_steps: int = 1
    """Updates of the critic for one of the generator, each on a new batch."""
    critic_rate: float = 1.0
    """The critic's learning rate in multiples of the generator's (two time scales)."""
    momentum: float = 0.5
    """Adam's decay of the mean gradient."""
    second_moment: float = 0.999
    """Adam's decay of the mean squared gradient; with momentum 0 Adam is RMSprop."""
    ema: float = 0.999
    """Decay of the average of generator weights that samples come from; 0 takes the last weights."""

    def __post_init__(self) -> None:
        check_sizes(self, "latent", "image_size", "channels", "dimensions", "width", "critic_steps")
        check_not_negative(self, "penalty")
        for name in ("critic_dropout", "momentum", "second_moment", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 0 or more, but less than 1")
        for name in ("clip", "critic_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)}: must be above 0")
        self._check_levers()

    def _check_levers(self) -> None:
        if self.layout == "convolutions":
            coarse_grid(self.image_size)
        elif "instance" in (self.norm, self.critic_norm):
            raise ValueError("norm=instance: a point has no positions to take a mean over; use layer, batch or none")
        if self.critic_norm == "batch" and self.lipschitz in ("gradient-penalty", "r1", "spectral-norm"):
            why = "divides by the batch's spread, which undoes the bound"
            if self.lipschitz != "spectral-norm":
                why = "makes a score depend on the whole batch, so there is no slope of a single datum to penalise"
            raise ValueError(
                f"critic_norm=batch: {why} of lipschitz={self.lipschitz}; use critic_norm=layer, instance or none"
            )
        if not 0 <= self.label_noise <= 1 or (self.label_noise and self.gan_loss not in SMOOTHED):
            raise ValueError(
                f"label_noise={self.label_noise}: give 0 to 1, and 0 with gan_loss={self.gan_loss} unless it is "
                f"{' or '.join(SMOOTHED)}"
            )


@dataclass(frozen=True)
class WGANConfig(DCGANConfig):
    """A Wasserstein critic kept in bounds by clipping its weights."""

    gan_loss: GanLoss = "wasserstein"
    """What critic and generator minimise."""
    lipschitz: Lipschitz = "clip"
    """How the critic's slope is kept in bounds."""
    critic_norm: Literal["none", "batch", "instance", "layer", "group"] = "none"
    """Normalisation in the critic; lipschitz=spectral-norm is a lever of its own."""
    critic_steps: int = 5
    """Updates of the critic for one of the generator, each on a new batch."""
    momentum: float = 0.0
    """Adam's decay of the mean gradient."""
    second_moment: float = 0.99
    """Adam's decay of the mean squared gradient; with momentum 0 Adam is RMSprop."""


@dataclass(frozen=True)
class WGANGPConfig(WGANConfig):
    """A Wasserstein critic whose slope is drawn to 1."""

    lipschitz: Lipschitz = "gradient-penalty"
    """How the critic's slope is kept in bounds."""
    momentum: float = 0.5
    """Adam's decay of the mean gradient."""
    second_moment: float = 0.9
    """Adam's decay of the mean squared gradient; with momentum 0 Adam is RMSprop."""


class DCGAN(ImagesOrPoints):
    """A generator and a critic of images in [0, 1] or of points, trained in turns."""

    type_name = "dcgan"
    fixed_step = True
    seam = "model"
    Config: ClassVar[Any] = DCGANConfig
    Sampling: ClassVar[type] = PriorSampling
    refusals: ClassVar[Mapping[str, str]] = {
        "encode": "a GAN has no way from data back to a latent",
        "reconstruct": "a GAN has no way from data back to a latent",
        "interpolate": "a GAN has no way from data back to a latent; `decode` latents on the way between two of them",
        "log_prob": "a GAN draws data without knowing their probability",
    }

    def __init__(self, config: Any, beside: int = 0) -> None:
        """Build the networks.

        Args:
            config: a `DCGANConfig`, or one with what the loop reads of it.
            beside: how many numbers of a condition both networks are told in addition to their input.
        """
        super().__init__()
        self.config = config
        self.generator, self.critic = self._networks(beside)
        self.average = Average(self.generator, config.ema)

    def _networks(self, beside: int) -> tuple[nn.Module, nn.Module]:
        """Return generator and critic."""
        config, norm = self.config, self.config.critic_norm
        inputs, spectral = config.latent + beside, config.lipschitz == "spectral-norm"
        if config.layout == "points":
            seen = config.dimensions + beside
            return (
                point_generator(inputs, config.dimensions, config.width, config.norm),
                point_critic(seen, config.width, norm, config.critic_dropout, spectral),
            )
        size, width, seen = config.image_size, config.width, config.channels + beside
        made = image_generator(inputs, config.channels, size, width, config.norm, config.upsampling)
        critic = image_critic(seen, size, width, norm, config.critic_dropout, spectral)
        return tuple(each.to(memory_format=torch.channels_last) for each in (made, critic))  # type: ignore[call-overload]

    @property
    def parts(self) -> Mapping[str, Part]:
        """Critic and generator, each with its own step size."""
        betas = (self.config.momentum, self.config.second_moment)
        together = self.config.accumulation
        return {
            "critic": Part(self.config.critic_rate, betas, accumulation=together),
            "generator": Part(1.0, betas, accumulation=together),
        }

    @property
    def batches_per_step(self) -> int:
        """One batch for every gradient of the critic."""
        return self.config.critic_steps * self.config.accumulation

    @property
    def latent_spec(self) -> LatentSpec:
        """What `decode` takes."""
        return LatentSpec("continuous", self.config.latent)

    def objectives(self, batches: Sequence[object], step: int, generator: torch.Generator) -> Iterator[Objective]:
        """Yield the losses of a step, and average the generator's weights after the last update."""
        yield from self._updates(batches, step, generator)
        self.average.update(self.generator)

    def _updates(self, batches: Sequence[object], step: int, generator: torch.Generator) -> Iterator[Objective]:
        """Yield the critic's losses, clipping its weights after each, then the generator's."""
        for batch in batches:
            obs, labels = self._split(batch)
            yield Objective("critic", *self.critic_loss(obs, labels, generator))
            if self.config.lipschitz == "clip":
                adversarial.clip_weights(self.critic, self.config.clip)
        for batch in batches[-self.config.accumulation :]:
            obs, labels = self._split(batch)
            yield Objective("generator", *self.generator_loss(len(obs), labels, generator))

    def critic_loss(
        self, obs: Tensor, labels: Tensor | None, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the critic's loss with its penalty, and `critic_accuracy`, `penalty` or `clip_saturation`.

        Args:
            obs: real data, images in [0, 1] or points (B ...).
            labels: their classes (B), for a conditional GAN.
            generator: for latents, mixing and label noise.
        """
        config, real = self.config, self._inside(obs)
        with torch.no_grad():
            made = self._drawn(len(real), labels, generator)
        real_scores, made_scores = self._score(real, labels), self._score(made, labels)
        target: float | Tensor = 1.0
        if config.label_noise:
            noise = torch.rand(len(real), generator=generator, device=generator.device).to(real_scores)
            target = 1 - config.label_noise * noise
        loss = adversarial.critic_loss(config.gan_loss, real_scores, made_scores, target)
        metrics = {"critic_accuracy": adversarial.accuracy(real_scores, made_scores)}
        if config.drift:
            loss = loss + config.drift * real_scores.square().mean()
        if config.lipschitz in ("gradient-penalty", "r1"):
            with torch.autocast(real.device.type, enabled=False):  # a gradient of half precision is too coarse
                penalty = self._penalty(real.float(), made.float(), labels, generator)
            loss, metrics["penalty"] = loss + config.penalty * penalty, penalty.detach()
        elif config.lipschitz == "clip":
            metrics["clip_saturation"] = adversarial.clip_saturation(self.critic, config.clip)
        return loss, metrics

    def generator_loss(
        self, n: int, labels: Tensor | None, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the generator's loss on n new samples, and `critic_slope`, the mean slope of the critic at them.

        The slope is known once the loss's gradient is, and a sample counts by its share in that: for Wasserstein and
        hinge losses all count the same.

        Args:
            n: how many samples to make.
            labels: their classes (n), for a conditional GAN.
            generator: for latents.
        """
        made = self._drawn(n, labels, generator)
        scores = self._score(made, labels)
        slope = adversarial.slope_of_descent(made, scores)
        return adversarial.generator_loss(self.config.gan_loss, scores), {"critic_slope": slope}

    def decode(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B ..."]:
        """Return the images in [0, 1], or the points, that latents stand for, by the averaged weights.

        Raises:
            ValueError: latents of another shape.
        """
        check_latents(z, self.config.latent)
        return self._outside(self.average(z))

    def sample(self, n: int, sampling: PriorSampling, generator: torch.Generator) -> Float[Tensor, "n ..."]:
        """Return images or points of latents drawn from N(0, 1), the variance times `temperature`."""
        return self.decode(sampling.temperature**0.5 * self._latents(n, generator))

    def _split(self, batch: Any) -> tuple[Tensor, Tensor | None]:
        """Return a batch's data and labels."""
        return batch, None

    def _condition(self, labels: Tensor | None, like: Tensor) -> Float[Tensor, "B K"] | None:
        """Return what both networks are told besides their input."""
        return None

    def _penalty(self, real: Tensor, made: Tensor, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        def score(points: Tensor) -> Tensor:
            return self._score(points, labels)

        if self.config.lipschitz == "r1":
            return adversarial.r1_penalty(score, real)
        return adversarial.gradient_penalty(score, real, made, generator)

    def _latents(self, n: int, generator: torch.Generator) -> Float[Tensor, "n Z"]:
        device = next(self.parameters()).device
        return torch.randn(n, self.config.latent, generator=generator, device=generator.device).to(device)

    def _drawn(self, n: int, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """Return n samples of the generator as it is now, as the critic sees them."""
        return self._make(self._latents(n, generator), labels)

    def _make(self, z: Tensor, labels: Tensor | None) -> Tensor:
        condition = self._condition(labels, z)
        return self.generator(z if condition is None else torch.cat([z, condition], 1))

    def _score(self, data: Tensor, labels: Tensor | None) -> Float[Tensor, " B"]:
        condition = self._condition(labels, data)
        if condition is not None:
            if data.ndim == 4:  # a plane for each number
                condition = condition[:, :, None, None].expand(-1, -1, *data.shape[2:])
            data = torch.cat([data, condition], 1)
        return at_least_float32(self.critic(data))[:, 0]

    def _outside(self, made: Tensor) -> Tensor:
        made = at_least_float32(made)
        return made if self.config.layout == "points" else (made + 1) / 2


class WGAN(DCGAN):
    """A GAN whose critic estimates the Wasserstein distance, its weights clipped."""

    type_name = "wgan"
    fixed_step = True
    Config: ClassVar[Any] = WGANConfig


class WGANGP(DCGAN):
    """A GAN whose critic estimates the Wasserstein distance, its slope penalised."""

    type_name = "wgan-gp"
    fixed_step = True
    Config: ClassVar[Any] = WGANGPConfig
