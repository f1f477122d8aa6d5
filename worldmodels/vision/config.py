"""How vision learns."""

from dataclasses import dataclass, field
from typing import Any

from generative import FitConfig, VAEConfig
from generative.core.options import check_numbers


@dataclass(frozen=True)
class VisionConfig:
    """How vision (V) learns: frames -> latent."""

    type: str = "vae"
    """Name of the component: vae, beta-vae, autoencoder, vq-vae, pca, random-convolutions, frames or an installed
    package's."""
    options: Any = field(default_factory=VAEConfig)
    """The component's own fields; image size and channels follow from the environment and cannot be set."""
    start: str = ""
    """Run folder whose vision training begins at; empty for random weights."""
    batch: int = 64
    """Frames in a batch."""
    buffer: int = 16_384
    """Frames in memory at a time, shuffled together (12 kB each at 64 x 64)."""
    fit: FitConfig = field(default_factory=lambda: FitConfig(steps=6_000, learning_rate=1e-3))

    def __post_init__(self) -> None:
        for name in ("batch", "buffer"):
            if getattr(self, name) < 1:
                raise ValueError(f"vision.{name}={getattr(self, name)}: must be at least 1")
        check_numbers(self, "vision")
