"""Plain and denoising autoencoder: an encoder, a decoder and nothing that says what latents are likely.

The squared error alone (Hinton & Salakhutdinov 2006); with `noise` the encoder sees damaged images and the
decoder answers for the clean ones (Vincent et al. 2008). Latents have no prior, so images of random ones
mean nothing: `sample` refuses until a density is fitted to the latents of real images.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from generative.core.facts import Facts
from generative.core.options import ComponentError
from generative.models.autoencoders.health import active_units, errors, verdict
from generative.models.autoencoders.image_autoencoder import ImageAutoencoder
from generative.models.autoencoders.latents import ESTIMATE_FRAMES, LatentScale, encode_many, take
from generative.models.checks import check_image_size, check_not_negative, check_obs, check_sizes
from generative.networks.convolutions import draw_he, fast_decoder, fast_encoder
from generative.networks.density import GaussianMixture
from generative.objectives.variational import at_least_float32, squared_error
from generative.sampling.dials import PriorSampling


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes and noise of the autoencoder."""

    latent: int = 32
    """Latent dimensions Z."""
    image_size: int = 64
    """Height and width of the frames in pixels; a multiple of 16."""
    channels: int = 3
    """Colour channels of the frames."""
    width: int = 32
    """Channels of the finest level; coarser levels have multiples of it."""
    noise: float = 0.0
    """Deviation of the noise on the images that the encoder sees while training; 0 for a plain autoencoder."""
    density: int = 8
    """Gaussians of the density that `fit_density` fits."""

    def __post_init__(self) -> None:
        check_sizes(self, "latent", "image_size", "channels", "width", "density")
        check_not_negative(self, "noise")
        check_image_size(self)


class Autoencoder(ImageAutoencoder):
    """Deterministic encoder and decoder of square images in [0, 1]."""

    type_name = "autoencoder"
    fixed_step = True
    seam = "vision"
    Config = AutoencoderConfig
    Sampling: ClassVar[type] = PriorSampling

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = fast_encoder(config.channels, config.latent, config.image_size, config.width)
        self.decoder = fast_decoder(config.channels, config.latent, config.image_size, config.width)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        draw_he(self.encoder)
        draw_he(self.decoder)
        self.scale = LatentScale(config.latent)
        self.density = GaussianMixture(config.density, config.latent)

    @property
    def refusals(self) -> Mapping[str, str]:
        """What it cannot do at present, and why."""
        found = {"log_prob": "an autoencoder is no distribution over images"}
        if not self.density.fitted:
            found["sample"] = (
                "an autoencoder does not know which latents are likely; call `fit_density` with the latents of "
                "real images first"
            )
        return found

    def encode(self, obs: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Return the latent, at unit spread once `estimate` was called, and a deviation of 0; obs in [0, 1].

        Raises:
            ValueError: the images do not have the configured channels and size.
        """
        check_obs(obs, self.config)
        z = self.scale(at_least_float32(self.encoder(obs)))
        return z, torch.zeros_like(z)

    def decode(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B C H W"]:
        """Return the images in [0, 1] that latents stand for."""
        return at_least_float32(self.decoder(self.scale.undo(z)))

    def fit_density(self, latents: Float[Tensor, "B Z"], generator: torch.Generator) -> list[float]:
        """Fit the density that `sample` draws from, and return the log-likelihood (nats per row) of every round.

        Args:
            latents: of real images, from `encode`, some hundred per Gaussian.
            generator: where the fit starts.

        Raises:
            ValueError: there are fewer latents than Gaussians, or all are the same.
        """
        return self.density.fit(latents, generator)

    def sample(self, n: int, sampling: PriorSampling, generator: torch.Generator) -> Float[Tensor, "n C H W"]:
        """Return images of latents drawn from the fitted density, the variances times `temperature`.

        Raises:
            ComponentError: no density is fitted.
        """
        if not self.density.fitted:
            raise ComponentError(f"{self.type_name} cannot `sample`: {self.refusals['sample']}")
        return self.decode(self.density.sample(n, sampling.temperature, generator))

    def loss(
        self, obs: Float[Tensor, "B C H W"], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the squared error per image; the encoder sees noise on the images where that is configured."""
        check_obs(obs, self.config)
        seen = obs
        if self.config.noise:
            noise = torch.randn(obs.shape, generator=generator, device=generator.device).to(obs)
            seen = obs + self.config.noise * noise
        error = squared_error(obs, at_least_float32(self.decoder(self.encoder(seen))))
        return error, {"squared_error": error.detach()}

    def estimate(self, batches: Iterator[Tensor], generator: torch.Generator) -> None:
        """Bring latents to unit spread over some images, (B C H W) in [0, 1]; a density fitted before is void."""
        obs = take(batches, ESTIMATE_FRAMES)
        self.scale.estimate(encode_many(lambda part: at_least_float32(self.encoder(part)), obs))
        self.density.fitted.zero_()

    @torch.no_grad()
    def diagnose(self, obs: Float[Tensor, "B C H W"], mean_frame: Float[Tensor, "C H W"] | None = None) -> Facts:
        """Tell a working autoencoder from a dead one; arguments, errors and result as of `VAE.diagnose`.

        Returns:
            `squared_error` and `baseline_squared_error` per image, `explained`, `active_units`, `verdict`,
            `reason`.
        """
        z, _ = self.encode(obs)
        facts, active = errors(obs, self.decode(z), mean_frame), active_units(z)
        judgement, reason = verdict(
            facts["explained"], active, self.config.latent, "lower the learning rate, or train longer"
        )
        return {**facts, "active_units": active, "verdict": judgement, "reason": reason}
