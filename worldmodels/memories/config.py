"""How the memory learns."""

from dataclasses import dataclass, field
from typing import Any, Literal

from generative import FitConfig
from generative.core.options import check_numbers
from worldmodels.memories.models.mdn_rnn import MDNRNNConfig
from worldmodels.memories.targets import RewardTargetConfig, TerminationTargetConfig


@dataclass(frozen=True)
class MemoryConfig:
    """How memory (M) learns: latent, action -> distribution of the next latent, reward, termination."""

    type: str = "mdn-rnn"
    """Name of the component: mdn-rnn, lstm, feed-forward, transformer, diffusion, frame-diffusion, gpt, ensemble, or
    one of another package."""
    options: Any = field(default_factory=MDNRNNConfig)
    """The component's own fields; latent and action sizes follow from vision and environment and cannot be set."""
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
