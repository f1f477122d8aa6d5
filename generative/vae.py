"""Variational autoencoder: the vision that turns a frame into a small latent and back.

Kingma & Welling 2014 (arXiv 1312.6114) with the convolutions and the loss of Ha & Schmidhuber 2018:
`sum over pixels (x - decode(z))^2 + beta * max(KL(q(z|x) || N(0, I)), kl_floor)`, averaged over images. Both
terms are sums within an image; averaging either of them over pixels or dimensions is the classic way into
posterior collapse, which `diagnose` recognises.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.component import LatentSpec
from generative.convolutions import (
    draw_glorot,
    draw_he,
    fast_decoder,
    fast_encoder,
    paper_decoder,
    paper_encoder,
)

LOG_VARIANCE_RANGE = (-14.0, 10.0)  # standard deviations from 0.0009 to 148: exp cannot overflow
ACTIVE_VARIANCE = 0.01  # Burda et al. 2016 (arXiv 1509.00519): a unit whose mean varies less carries nothing
HEALTHY_SHARE = 0.05


@dataclass(frozen=True)
class VAEConfig:
    """Sizes and loss of the autoencoder."""

    layout: Literal["paper", "fast"] = "fast"
    """Layers: `paper` as published (64 x 64 only), `fast` for CPUs and other sizes."""
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

    def __post_init__(self) -> None:
        for name in ("latent", "image_size", "channels", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: a size; give 1 or more")
        for name in ("beta", "kl_floor"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)}: must not be negative; 0 leaves it out")
        if self.layout == "paper" and self.image_size != 64:
            raise ValueError(f"image_size={self.image_size}: layout=paper needs 64; use it, or layout=fast")
        if self.image_size % 16:
            raise ValueError(f"image_size={self.image_size}: layout=fast halves it four times; use a multiple of 16")


class VAE(nn.Module):
    """Gaussian encoder and decoder of square images in [0, 1]."""

    type = "vae"  # type: ignore[assignment]  # hides the unrelated Module.type()
    seam = "vision"
    Config = VAEConfig

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        if config.layout == "paper":
            self.encoder = paper_encoder(config.channels, config.latent)
            self.decoder = paper_decoder(config.channels, config.latent)
            draw = draw_glorot
        else:
            sizes = (config.channels, config.latent, config.image_size, config.width)
            self.encoder = fast_encoder(*sizes)
            self.decoder = fast_decoder(*sizes)
            draw = draw_he
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        draw(self.encoder)
        draw(self.decoder)

    @property
    def latent_spec(self) -> LatentSpec:
        """What `encode` returns."""
        return LatentSpec("continuous", self.config.latent)

    def encode(self, obs: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Returns mean and standard deviation of q(z|obs), obs in [0, 1].

        Raises:
            ValueError: the images do not have the configured channels and size.
        """
        mean, log_variance = self._encode(obs)
        return mean, torch.exp(0.5 * log_variance)

    def decode(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B C H W"]:
        """Returns the images in [0, 1] that latents stand for."""
        return _at_least_float32(self.decoder(z))

    def reconstruct(self, obs: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Returns what is left of images after the latent's mean."""
        return self.decode(self.encode(obs)[0])

    def sample(self, n: int, temperature: float, generator: torch.Generator) -> Float[Tensor, "n C H W"]:
        """Returns images of latents drawn from the prior, its variance times `temperature`.

        Raises:
            ValueError: the temperature is negative.
        """
        if not temperature >= 0:
            raise ValueError(f"temperature={temperature}: must be 0 or more")
        device = next(self.parameters()).device
        z = torch.randn(n, self.config.latent, generator=generator, device=generator.device).to(device)
        return self.decode(temperature**0.5 * z)

    def loss(
        self, obs: Float[Tensor, "B C H W"], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Returns the loss per image, and its squared error and KL divergence (nats, before the floor)."""
        mean, log_variance = self._encode(obs)
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean.device)
        decoded = self.decode(mean + torch.exp(0.5 * log_variance) * noise)
        squared_error = (obs - decoded).square().sum((1, 2, 3)).mean()
        kl = _kl(mean, log_variance).sum(1)  # (B)
        loss = squared_error + self.config.beta * kl.clamp(min=self.config.kl_floor).mean()
        return loss, {"squared_error": squared_error.detach(), "kl": kl.detach().mean()}

    @torch.no_grad()
    def diagnose(
        self, obs: Float[Tensor, "B C H W"], mean_frame: Float[Tensor, "C H W"] | None = None
    ) -> dict[str, Any]:
        """Tells a working autoencoder from a collapsed one.

        Args:
            obs: different images, held out from training where possible; some hundred give steady figures.
            mean_frame: mean of the training images, the best answer without a latent; the mean of `obs` by
                default.

        Returns:
            `squared_error` and `baseline_squared_error` per image, `explained` (1 - their ratio), `kl` in
            nats, `active_units` (dimensions whose mean varies over images), `verdict` "healthy" or
            "collapsed", `reason`.

        Raises:
            ValueError: all images equal the mean frame, so there is nothing to explain.
        """
        mean, log_variance = self._encode(obs)
        baseline_frame = obs.mean(0) if mean_frame is None else mean_frame.to(obs.device)
        baseline = (obs - baseline_frame).square().sum((1, 2, 3)).mean().item()
        if baseline == 0 or len(obs) < 2:
            raise ValueError("obs: all images are the same; give at least two different ones")
        error = (obs - self.decode(mean)).square().sum((1, 2, 3)).mean().item()
        active = int((mean.var(0) > ACTIVE_VARIANCE).sum())
        explained = 1 - error / baseline
        verdict, reason = _verdict(explained, active, self.config.latent)
        return {
            "squared_error": error,
            "baseline_squared_error": baseline,
            "explained": explained,
            "kl": _kl(mean, log_variance).sum(1).mean().item(),
            "active_units": active,
            "verdict": verdict,
            "reason": reason,
        }

    def _encode(self, obs: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Returns mean and clamped log-variance."""
        expected = (self.config.channels, self.config.image_size, self.config.image_size)
        if tuple(obs.shape[1:]) != expected:
            raise ValueError(
                f"obs of shape {tuple(obs.shape)}: expected (B, {', '.join(map(str, expected))}); "
                "set image_size and channels to those of the frames"
            )
        mean, log_variance = _at_least_float32(self.encoder(obs)).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)


def _at_least_float32(values: Tensor) -> Tensor:
    """What a network in half precision returns, for sums and losses."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _kl(mean: Float[Tensor, "B Z"], log_variance: Float[Tensor, "B Z"]) -> Float[Tensor, "B Z"]:
    """KL divergence in nats of N(mean, exp(log_variance)) from N(0, 1), per dimension."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def _verdict(explained: float, active: int, latent: int) -> tuple[str, str]:
    remedy = "lower beta or the learning rate, or train longer"
    if active == 0:
        return "collapsed", f"none of the {latent} latent dimensions depends on the image; {remedy}"
    if not explained >= HEALTHY_SHARE:
        return (
            "collapsed",
            f"the decoder explains {explained:.0%} of the variation, like the mean frame; {remedy}",
        )
    return (
        "healthy",
        f"{active} of {latent} latent dimensions are active, {explained:.0%} of the variation explained",
    )
