"""What the controller reads, as a run's configuration says it, and how an agent of another library is named."""

import re
from dataclasses import dataclass
from typing import Literal

from generative.core.options import check_numbers

FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""How the function is named that builds such an agent: module:function."""


def is_function(name: str) -> bool:
    """Return whether the name of an agent means a function, and not a run."""
    return FUNCTION.fullmatch(name) is not None


@dataclass(frozen=True)
class FeaturesConfig:
    """What the controller reads."""

    reads: Literal["vision+memory", "vision", "frame-stack"] = "vision+memory"
    """Latent and memory state, the latent alone, or the latents of the last frames."""
    memory: Literal["trained", "untrained", "shuffled"] = "trained"
    """Which memory is read: the trained one, or as a control one with random weights, or shuffled: what the trained one
    remembered at random moments of the rollouts, which looks the same and tells nothing of this episode."""
    latent: Literal["mean", "sample"] = "mean"
    """Whether a frame's latent is the posterior's mean or drawn from it (the paper draws)."""
    stack: int = 4
    """Latents in a frame-stack."""

    def __post_init__(self) -> None:
        if self.stack < 1:
            raise ValueError(f"features.stack={self.stack}: must be at least 1")
        check_numbers(self, "features")

    @property
    def uses_memory(self) -> bool:
        """Whether the controller reads the memory's state."""
        return self.reads == "vision+memory"
