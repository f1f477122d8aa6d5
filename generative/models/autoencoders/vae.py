"""Variational autoencoder: the vision that turns a frame into a small latent and back.

Kingma & Welling 2014 (arXiv 1312.6114) with the convolutions and the loss of Ha & Schmidhuber 2018:
`sum over pixels (x - decode(z))^2 + beta * max(KL(q(z|x) || N(0, I)), kl_floor)`, averaged over images. Both
terms are sums within an image; averaging either of them over pixels or dimensions is the classic way into
posterior collapse, which `diagnose` recognises. `BetaVAE` is the same with the defaults of Higgins et al. 2017.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from generative.core.facts import Facts
from generative.models.autoencoders.health import active_units, errors, verdict
from generative.models.autoencoders.image_autoencoder import ImageAutoencoder
from generative.models.checks import check_image_size, check_not_negative, check_obs, check_sizes
from generative.networks.convolutions import (
    LEAK,
    draw_glorot,
    draw_he,
    fast_decoder,
    fast_encoder,
    paper_decoder,
    paper_encoder,
)
from generative.objectives.variational import (
    LOG_VARIANCE_RANGE,
    at_least_float32,
    beta_from_r_loss_factor,
    edge_error,
    gaussian_kl,
    kl_cost,
    r_loss_factor_from_beta,
    squared_error,
)
from generative.sampling.dials import PriorSampling


@dataclass(frozen=True)
class VAEConfig:
    """Sizes and loss of the autoencoder."""

    layout: Literal["paper", "fast", "fast-relu"] = "fast"
    """Layers: `paper` as published (64 x 64 only), `fast` for CPUs and other sizes, `fast-relu` as `fast` with plain
    rectifiers, as the shipped agent has them."""
    latent: int = 32
    """Latent dimensions Z."""
    image_size: int = 64
    """Height and width of the frames in pixels; a multiple of 16 (paper: 64)."""
    channels: int = 3
    """Colour channels of the frames."""
    width: int = 32
    """Channels of the fast layout's finest level; coarser levels have multiples of it."""
    beta: float = 1.0
    """Weight of the KL divergence."""
    kl_floor: float = 16.0
    """Nats per frame below which KL costs nothing more (paper: half a nat per latent); 0 turns it off."""
    edges: float = 0.0
    """Weight of the squared error of differences between neighbouring pixels: for what is small and sharp."""
    r_loss_factor: float = 0.0
    """The book's weight of the mean squared error, instead of beta: beta is numbers per image / this. 0: see beta."""

    def __post_init__(self) -> None:
        check_sizes(self, "latent", "image_size", "channels", "width")
        check_not_negative(self, "beta", "kl_floor", "edges", "r_loss_factor")
        if self.layout == "paper" and self.image_size != 64:
            raise ValueError(f"image_size={self.image_size}: layout=paper needs 64; use it, or layout=fast")
        check_image_size(self)
        if self.r_loss_factor and self.beta != type(self).beta:
            raise ValueError(
                f"r_loss_factor={self.r_loss_factor}: the same knob as beta={self.beta} in another notation; give one"
            )

    @property
    def numbers(self) -> int:
        """How many numbers an image has."""
        return self.channels * self.image_size**2

    @property
    def kl_weight(self) -> float:
        """The weight of the KL divergence, whichever notation it was given in."""
        return beta_from_r_loss_factor(self.r_loss_factor, self.numbers) if self.r_loss_factor else self.beta


class VAE(ImageAutoencoder):
    """Gaussian encoder and decoder of square images in [0, 1]."""

    type_name = "vae"
    fixed_step = True
    seam = "vision"
    Config = VAEConfig
    Sampling: ClassVar[type] = PriorSampling
    refusals: ClassVar[Mapping[str, str]] = {
        "log_prob": "a VAE only bounds the probability of an image; `loss` returns the terms of that bound"
    }

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        if config.layout == "paper":
            self.encoder = paper_encoder(config.channels, config.latent)
            self.decoder = paper_decoder(config.channels, config.latent)
            draw = draw_glorot
        else:
            leak = LEAK if config.layout == "fast" else 0.0
            self.encoder = fast_encoder(config.channels, 2 * config.latent, config.image_size, config.width, leak)
            self.decoder = fast_decoder(config.channels, config.latent, config.image_size, config.width, leak)
            draw = draw_he
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        draw(self.encoder)
        draw(self.decoder)

    def encode(self, obs: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Return mean and standard deviation of q(z|obs), obs in [0, 1].

        Raises:
            ValueError: the images do not have the configured channels and size.
        """
        mean, log_variance = self._encode(obs)
        return mean, torch.exp(0.5 * log_variance)

    def decode(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B C H W"]:
        """Return the images in [0, 1] that latents stand for."""
        return at_least_float32(self.decoder(z))

    def sample(self, n: int, sampling: PriorSampling, generator: torch.Generator) -> Float[Tensor, "n C H W"]:
        """Return images of latents drawn from the prior, its variance times `temperature`."""
        device = next(self.parameters()).device
        z = torch.randn(n, self.config.latent, generator=generator, device=generator.device).to(device)
        return self.decode(sampling.temperature**0.5 * z)

    def loss(
        self, obs: Float[Tensor, "B C H W"], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the loss per image, and its squared error and KL divergence (nats, before the floor)."""
        mean, log_variance = self._encode(obs)
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean.device)
        decoded = self.decode(mean + torch.exp(0.5 * log_variance) * noise)
        error, kl = squared_error(obs, decoded), gaussian_kl(mean, log_variance)
        metrics = {"squared_error": error.detach(), "kl": kl.detach().sum(1).mean()}
        loss = error + self.config.kl_weight * kl_cost(kl, self.config.kl_floor)
        if self.config.edges:
            sharp = edge_error(obs, decoded)
            loss, metrics = loss + self.config.edges * sharp, {**metrics, "edge_error": sharp.detach()}
        return loss, metrics

    @torch.no_grad()
    def diagnose(self, obs: Float[Tensor, "B C H W"], mean_frame: Float[Tensor, "C H W"] | None = None) -> Facts:
        """Tell a working autoencoder from a collapsed one.

        Args:
            obs: different images, held out from training where possible; some hundred give steady figures.
            mean_frame: mean of the training images, the best answer without a latent; the mean of `obs` by
                default.

        Returns:
            `squared_error` and `baseline_squared_error` per image, `explained` (1 - their ratio), `kl` in
            nats, `active_units` (dimensions whose mean varies over images), the weight of the KL as `beta` and
            as the book's `r_loss_factor` (None for beta=0), `verdict` "healthy" or "collapsed", `reason`.

        Raises:
            ValueError: all images equal the mean frame, so there is nothing to explain.
        """
        mean, log_variance = self._encode(obs)
        facts = errors(obs, self.decode(mean), mean_frame)
        active, beta = active_units(mean), self.config.kl_weight
        remedy = "lower beta or the learning rate, or train longer"
        judgement, reason = verdict(facts["explained"], active, self.config.latent, remedy)
        return {
            **facts,
            "kl": gaussian_kl(mean, log_variance).sum(1).mean().item(),
            "active_units": active,
            "beta": beta,
            "r_loss_factor": r_loss_factor_from_beta(beta, self.config.numbers) if beta else None,
            "verdict": judgement,
            "reason": reason,
        }

    def _encode(self, obs: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Return mean and clamped log-variance."""
        check_obs(obs, self.config)
        mean, log_variance = at_least_float32(self.encoder(obs)).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)


@dataclass(frozen=True)
class BetaVAEConfig(VAEConfig):
    """A VAE whose KL weighs more, for latents that vary one thing each."""

    beta: float = 4.0
    """Weight of the KL divergence against the summed squared error."""
    kl_floor: float = 0.0
    """Nats per frame below which KL costs nothing more; 0 turns it off."""


class BetaVAE(VAE):
    """A VAE with beta above 1 and no floor (Higgins et al. 2017, "beta-VAE", ICLR)."""

    type_name = "beta-vae"
    fixed_step = True
    Config = BetaVAEConfig
