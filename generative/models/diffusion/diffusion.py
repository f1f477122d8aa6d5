"""Diffusion: a network learns to tell noise from data at every mixture of both, and noise becomes data step by step.

Ho, Jain & Abbeel 2020 (DDPM, arXiv 2006.11239) in continuous time, as in Foster's book (2nd ed., ch. 8): with x_t =
signal(t) x + noise(t) e at a random time t, the network goes down

    E | network(x_t, t) - target(x, e, t) |^2                                                             (eq. 14)

`objectives.diffusion` has schedules and targets, `sampling.denoising` the steps back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from generative.models.diffusion.denoiser import Denoiser, DenoiserConfig
from generative.objectives.diffusion import LEAST_SIGNAL, linear, offset_cosine
from generative.sampling.denoising import DiffusionSampling, Stage, denoise


@dataclass(frozen=True)
class DiffusionConfig(DenoiserConfig):
    """Sizes of the network, and what it learns."""

    schedule: Literal["offset-cosine", "linear"] = "offset-cosine"
    """How data fade into noise. offset-cosine: at an even turn, as in the book. linear: as in DDPM."""
    prediction: Literal["noise", "velocity"] = "velocity"
    """What the network says: the noise, or the noise less the data, weighed so that no step divides by little."""
    most_signal: float = 0.995
    """Factor of the data at the last step of offset-cosine; the book's 0.95 leaves noise that takes details along."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not LEAST_SIGNAL < self.most_signal < 1:
            raise ValueError(f"most_signal={self.most_signal}: give more than {LEAST_SIGNAL}, but less than 1")
        if self.schedule == "linear" and self.most_signal != type(self).most_signal:
            raise ValueError(f"most_signal={self.most_signal}: is of offset-cosine; leave it out with schedule=linear")


class Diffusion(Denoiser):
    """Images in [0, 1], or points, out of noise by denoising."""

    type_name = "diffusion"
    fixed_step = True
    Config: ClassVar[type] = DiffusionConfig
    Sampling: ClassVar[type] = DiffusionSampling

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__(config)
        self.prediction = config.prediction
        self.schedule = linear if config.schedule == "linear" else partial(offset_cosine, most=config.most_signal)

    def stages(
        self,
        mixture: Float[Tensor, "B ..."],
        sampling: DiffusionSampling,
        generator: torch.Generator,
        labels: Int[Tensor, " B"],
        start: float = 1.0,
    ) -> Iterator[Stage]:
        """Yield the stages from a mixture at a time to data, both as the network sees them."""
        said = partial(self._within, labels=labels, guidance=sampling.guidance)
        return denoise(said, self.schedule, mixture, sampling.steps, sampling.eta, generator, start)

    def _within(self, mixture: Tensor, t: Tensor, labels: Tensor, guidance: float) -> tuple[Tensor, Tensor]:
        """Return data and noise of mixtures; of images, data within their colours and the noise that goes with them."""
        data, noise = self.parted(mixture, t, labels, guidance)
        if self.config.layout == "points":
            return data, noise
        data, rates = data.clamp(-1, 1), self.schedule(t.view(-1, 1, 1, 1))
        return data, (mixture - rates.signal * data) / rates.noise
