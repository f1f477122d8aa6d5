"""Conditional VAE: encoder and decoder both know the label, so z keeps what the label does not say.

Sohn, Lee & Yan 2015 ("Learning structured output representation using deep conditional generative models")
with the loss of `vae`. The encoder gets the label as one plane of ones and zeros per class, the decoder as a
one-hot vector beside z.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from generative.core.facts import Facts
from generative.data.fields import Field
from generative.data.needs import label_classes, square_image
from generative.models.autoencoders.latents import interpolate
from generative.models.checks import (
    check_image_size,
    check_not_negative,
    check_obs,
    check_sizes,
    labels_one_hot,
)
from generative.networks.convolutions import draw_he, fast_decoder, fast_encoder
from generative.objectives.variational import LOG_VARIANCE_RANGE, at_least_float32, gaussian_kl, kl_cost, squared_error
from generative.sampling.dials import PriorSampling


@dataclass(frozen=True)
class ConditionalVAEConfig:
    """Sizes and loss of the conditional autoencoder."""

    classes: int = 10
    """Labels are 0 to classes - 1."""
    latent: int = 16
    """Latent dimensions Z."""
    image_size: int = 32
    """Height and width of the images in pixels; a multiple of 16."""
    channels: int = 1
    """Colour channels of the images."""
    width: int = 32
    """Channels of the finest level; coarser levels have multiples of it."""
    beta: float = 1.0
    """Weight of the KL divergence against the summed squared error."""

    def __post_init__(self) -> None:
        check_sizes(self, "classes", "latent", "image_size", "channels", "width")
        check_not_negative(self, "beta")
        check_image_size(self)


class ConditionalVAE(nn.Module):
    """Gaussian encoder and decoder of labelled square images in [0, 1]; batches are `(images, labels)`."""

    type_name = "conditional-vae"
    fixed_step = True
    seam = "model"
    Config = ConditionalVAEConfig
    Sampling: ClassVar[type] = PriorSampling
    refusals: ClassVar[Mapping[str, str]] = {
        "log_prob": "a VAE only bounds the probability of an image; `loss` returns the terms of that bound"
    }

    def __init__(self, config: ConditionalVAEConfig) -> None:
        super().__init__()
        self.config = config
        planes, seen = config.channels + config.classes, config.latent + config.classes
        self.encoder = fast_encoder(planes, 2 * config.latent, config.image_size, config.width)
        self.decoder = fast_decoder(config.channels, seen, config.image_size, config.width)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        draw_he(self.encoder)
        draw_he(self.decoder)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Images and their classes."""
        return ("image", "label")

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return image size, channels and number of classes; errors as of `FitsData`."""
        return {**square_image(cls, fields), **label_classes(cls, fields)}

    def encode(
        self, obs: Float[Tensor, "B C H W"], labels: Int[Tensor, " B"]
    ) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Return mean and standard deviation of q(z | obs, label), obs in [0, 1].

        Raises:
            ValueError: the images do not have the configured channels and size, or a label is out of range.
        """
        mean, log_variance = self._encode(obs, labels)
        return mean, torch.exp(0.5 * log_variance)

    def decode(self, z: Float[Tensor, "B Z"], labels: Int[Tensor, " B"]) -> Float[Tensor, "B C H W"]:
        """Return the images in [0, 1] that latents stand for under labels; errors as of `encode`."""
        return at_least_float32(self.decoder(torch.cat([z, self._one_hot(labels, z)], dim=1)))  # (B Z+K) inside

    def reconstruct(self, obs: Float[Tensor, "B C H W"], labels: Int[Tensor, " B"]) -> Float[Tensor, "B C H W"]:
        """Return what is left of images after the latent's mean and the label."""
        return self.decode(self.encode(obs, labels)[0], labels)

    def interpolate(
        self, first: Float[Tensor, "B C H W"], second: Float[Tensor, "B C H W"], steps: int, labels: Int[Tensor, " B"]
    ) -> Float[Tensor, "B S C H W"]:
        """Return S images on the way between two images of one label, along the line between their means."""
        return interpolate(
            lambda obs: self.encode(obs, labels)[0],
            lambda z: self.decode(z, labels.repeat_interleave(steps)),
            first,
            second,
            steps,
        )

    def sample(
        self, n: int, sampling: PriorSampling, generator: torch.Generator, labels: Int[Tensor, " n"] | None = None
    ) -> Float[Tensor, "n C H W"]:
        """Return images of labels, by default of all classes in turn, with latents drawn from the prior.

        Raises:
            ValueError: a label is out of range.
        """
        device = next(self.parameters()).device
        if labels is None:
            labels = torch.arange(n, device=device) % self.config.classes
        z = torch.randn(n, self.config.latent, generator=generator, device=generator.device).to(device)
        return self.decode(sampling.temperature**0.5 * z, labels)

    def loss(
        self, batch: tuple[Float[Tensor, "B C H W"], Int[Tensor, " B"]], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the loss per image, and its squared error and KL divergence (nats)."""
        obs, labels = batch
        mean, log_variance = self._encode(obs, labels)
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean.device)
        error = squared_error(obs, self.decode(mean + torch.exp(0.5 * log_variance) * noise, labels))
        kl = gaussian_kl(mean, log_variance)  # (B Z)
        metrics = {"squared_error": error.detach(), "kl": kl.detach().sum(1).mean()}
        return error + self.config.beta * kl_cost(kl, 0.0), metrics

    def _encode(
        self, obs: Float[Tensor, "B C H W"], labels: Int[Tensor, " B"]
    ) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Return mean and clamped log-variance."""
        check_obs(obs, self.config)
        planes = self._one_hot(labels, obs)[:, :, None, None].expand(-1, -1, *obs.shape[2:])  # (B K H W)
        mean, log_variance = at_least_float32(self.encoder(torch.cat([obs, planes], dim=1))).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)

    def _one_hot(self, labels: Int[Tensor, " B"], like: Tensor) -> Float[Tensor, "B K"]:
        return labels_one_hot(labels, self.config.classes, like)
