"""The parts that can be swapped, and the sections of the configuration that choose and train them."""

from dataclasses import dataclass, field
from typing import Any, Literal

from generative import PCA, VAE, VQVAE, Autoencoder, BetaVAE, FitConfig, RandomConvolutions, Registry, VAEConfig
from generative.options import check_numbers
from worldmodels.memories import BUILT_IN, Ensemble, MDNRNNConfig
from worldmodels.memories.targets import RewardTargetConfig, TerminationTargetConfig

VISIONS = Registry(
    "vision",
    {
        "vae": VAE,
        "beta-vae": BetaVAE,
        "autoencoder": Autoencoder,
        "vq-vae": VQVAE,
        "pca": PCA,
        "random-convolutions": RandomConvolutions,
    },
)
MEMORIES = Registry("memory", {**BUILT_IN, "ensemble": Ensemble})


@dataclass(frozen=True)
class VisionConfig:
    """How vision (V) learns: frames -> latent."""

    type: str = "vae"
    """Name of the component: vae, beta-vae, autoencoder, vq-vae, pca, random-convolutions or an installed package's."""
    options: Any = field(default_factory=VAEConfig)
    """The component's own fields; image size and channels follow the environment."""
    start: str = ""
    """Run folder whose vision training begins at; empty for random weights."""
    batch: int = 64
    """Frames in a batch."""
    buffer: int = 16_384
    """Frames in memory at a time, shuffled together (12 kB each at 64 x 64)."""
    attempts: int = 3
    """Trainings before giving up when the posterior collapses; each new one has a third of the learning rate."""
    gate: bool = True
    """Stop the run when every attempt collapsed; without it the run goes on with what there is; the report says so."""
    fit: FitConfig = field(default_factory=lambda: FitConfig(steps=6_000, learning_rate=1e-3))

    def __post_init__(self) -> None:
        for name in ("batch", "buffer", "attempts"):
            if getattr(self, name) < 1:
                raise ValueError(f"vision.{name}={getattr(self, name)}: must be at least 1")
        check_numbers(self, "vision")


@dataclass(frozen=True)
class MemoryConfig:
    """How memory (M) learns: latent, action -> distribution of the next latent, reward, termination."""

    type: str = "mdn-rnn"
    """Name of the component: mdn-rnn, lstm, feed-forward, transformer, ensemble, or one of another package."""
    options: Any = field(default_factory=MDNRNNConfig)
    """The component's own fields; its latent and action sizes follow vision and environment."""
    start: str = ""
    """Run folder whose memory training begins at; empty for random weights."""
    batch: int = 32
    """Sequences in a batch."""
    sequence: int = 256
    """Steps in a sequence; longer episodes are cut at random places."""
    latent: Literal["sample", "mean"] = "sample"
    """What stands for a frame: drawn from the posterior anew in every batch (the paper), or its mean, which is also
    what the controller reads in the real environment."""
    reward: RewardTargetConfig = field(default_factory=RewardTargetConfig)
    termination: TerminationTargetConfig = field(default_factory=TerminationTargetConfig)
    fit: FitConfig = field(default_factory=lambda: FitConfig(steps=2_000, learning_rate=1e-3))

    def __post_init__(self) -> None:
        for name in ("batch", "sequence"):
            if getattr(self, name) < 1:
                raise ValueError(f"memory.{name}={getattr(self, name)}: must be at least 1")
        check_numbers(self, "memory")
