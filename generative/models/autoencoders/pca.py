"""Principal components of images: the linear vision, with a density of its own.

Whitened principal components (Jolliffe 2002) and the probabilistic model that they maximise the likelihood
of: Gaussian latents, a linear map, isotropic noise (Tipping & Bishop 1999). No gradient is involved: `estimate`
looks at some images once.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from generative.core.facts import Facts
from generative.models.autoencoders.health import active_units, errors, verdict
from generative.models.autoencoders.image_autoencoder import ImageAutoencoder
from generative.models.autoencoders.latents import take
from generative.models.checks import check_obs, check_sizes
from generative.objectives.variational import at_least_float32, squared_error
from generative.sampling.dials import PriorSampling

LEAST_SHARE = 1e-4
"""A component's variance counts as at least this share of the largest, or rounding errors would be blown up."""


@dataclass(frozen=True)
class PCAConfig:
    """Sizes of the linear vision."""

    latent: int = 32
    """Principal components Z."""
    image_size: int = 64
    """Height and width of the frames in pixels."""
    channels: int = 3
    """Colour channels of the frames."""
    frames: int = 2048
    """Frames to estimate the components from, at most; time and memory grow with them (100 MB for 64 x 64 x 3)."""

    def __post_init__(self) -> None:
        check_sizes(self, "latent", "image_size", "channels", "frames")
        if self.latent >= self.numbers:
            raise ValueError(f"latent={self.latent}: an image has only {self.numbers} numbers; use fewer components")
        if self.frames <= self.latent:
            raise ValueError(f"frames={self.frames}: must exceed latent={self.latent}; use some dozens per component")

    @property
    def numbers(self) -> int:
        """D, how many numbers an image has."""
        return self.channels * self.image_size**2


class PCA(ImageAutoencoder):
    """Whitened principal components of square images in [0, 1]; random directions before `estimate`."""

    type_name = "pca"
    seam = "vision"
    Config = PCAConfig
    Sampling: ClassVar[type] = PriorSampling
    mean: Tensor
    components: Tensor
    spread: Tensor
    residual: Tensor

    def __init__(self, config: PCAConfig) -> None:
        super().__init__()
        self.config = config
        directions, _ = torch.linalg.qr(torch.randn(config.numbers, config.latent))  # (D Z)
        self.register_buffer("mean", torch.full((config.numbers,), 0.5))
        self.register_buffer("components", directions.T.contiguous())  # (Z D), orthonormal rows
        self.register_buffer("spread", torch.ones(config.latent))  # standard deviations
        self.register_buffer("residual", torch.ones(()))  # variance per number that the components leave

    def encode(self, obs: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Return the components, each of unit spread over the frames estimated from, and a deviation of 0.

        Raises:
            ValueError: the images do not have the configured channels and size.
        """
        check_obs(obs, self.config)
        z = at_least_float32((obs.flatten(1) - self.mean) @ self.components.T) / self.spread
        return z, torch.zeros_like(z)

    def decode(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B C H W"]:
        """Return the images that latents stand for, clipped to [0, 1]."""
        shape = (self.config.channels, self.config.image_size, self.config.image_size)
        flat = self.mean + at_least_float32((z * self.spread) @ self.components)
        return flat.clamp(0, 1).unflatten(1, shape)

    def sample(self, n: int, sampling: PriorSampling, generator: torch.Generator) -> Float[Tensor, "n C H W"]:
        """Return images of Gaussian latents, their variance times `temperature`, without the isotropic noise."""
        z = torch.randn(n, self.config.latent, generator=generator, device=generator.device).to(self.mean)
        return self.decode(sampling.temperature**0.5 * z)

    def log_prob(self, obs: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
        """Return the log-density in nats of images under the probabilistic model (Tipping & Bishop 1999, eq. 4).

        The covariance is `W^T diag(spread^2) W + residual (I - W^T W)` with the components as rows of W.
        """
        z, _ = self.encode(obs)
        centred = obs.flatten(1) - self.mean
        outside = centred.square().sum(1) - (z * self.spread).square().sum(1)  # squared distance from the plane
        left = self.config.numbers - self.config.latent
        log_scale = self.spread.log().sum() + 0.5 * left * self.residual.log()
        distance = z.square().sum(1) + outside / self.residual
        return -0.5 * distance - log_scale - 0.5 * self.config.numbers * math.log(2 * math.pi)

    def loss(
        self, obs: Float[Tensor, "B C H W"], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the squared error per image; it has no gradient, `estimate` brings it down."""
        error = squared_error(obs, self.reconstruct(obs))
        return error, {"squared_error": error.detach()}

    @torch.no_grad()
    def estimate(self, batches: Iterator[Tensor], generator: torch.Generator) -> None:
        """Set mean, components and spreads from `frames` images at most, (B C H W) in [0, 1].

        The smaller of the two Gram matrices is diagonalised, of pixels or of frames: scikit-learn's exact solver does
        not choose, and has other signs than the published components.
        """
        frames = take(batches, self.config.frames).flatten(1)  # (N D)
        if len(frames) <= self.config.latent:
            raise ValueError(f"latent={self.config.latent}: there are only {len(frames)} frames; use fewer components")
        mean = frames.mean(0)
        centred = frames - mean
        gram = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
        values, vectors = torch.linalg.eigh(gram.double())  # ascending
        values, vectors = values.flip(0)[: self.config.latent], vectors.flip(1)[:, : self.config.latent]
        values = values.clamp(min=max(LEAST_SHARE * float(values[0]), 1e-9))
        if len(centred) < centred.shape[1]:
            vectors, _ = torch.linalg.qr(centred.double().T @ vectors / values.sqrt())  # (D Z)
        variances = values / len(centred)
        left = centred.double().square().sum() / len(centred) - variances.sum()
        self.mean.copy_(mean)
        self.components.copy_(vectors.T)
        self.spread.copy_(variances.sqrt())
        self.residual.copy_((left / (self.config.numbers - self.config.latent)).clamp(min=1e-8))

    @torch.no_grad()
    def diagnose(self, obs: Float[Tensor, "B C H W"], mean_frame: Float[Tensor, "C H W"] | None = None) -> Facts:
        """Say how much the components keep; arguments, errors and result as of `Autoencoder.diagnose`."""
        z, _ = self.encode(obs)
        facts, active = errors(obs, self.decode(z), mean_frame), active_units(z)
        remedy = "estimate it from more, different frames"
        judgement, reason = verdict(facts["explained"], active, self.config.latent, remedy)
        return {**facts, "active_units": active, "verdict": judgement, "reason": reason}
