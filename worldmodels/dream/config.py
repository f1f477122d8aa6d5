"""How dreams go."""

from dataclasses import dataclass
from typing import Literal

from generative.core.options import check_numbers


@dataclass(frozen=True)
class DreamConfig:
    """How dreams begin, go on and end when controllers are evolved in them."""

    horizon: int = 100
    """Steps in a dream."""
    temperature: float = 1.0
    """Scale of the noise; above 1 dreams are more random, which makes them harder to exploit."""
    noise: Literal["mixture", "residual"] = "mixture"
    """What is added to the expected latent. mixture: a draw from the memory's own distribution. residual: the memory's
    error at a similar recorded step, so that bends come into sight as they do on real roads."""
    initial_state_fraction: float = 0.3
    """Fraction of dreams that start at an episode's first frame; the others start inside one."""
    warmup: int = 20
    """Real steps that the memory sees before a dream that starts inside an episode."""
    no_reward_limit: int = 0
    """Steps in a row without a reward above 0 after which a dream ends, at the cost of a termination; 0 for never.
    Without it, a driver who fears the end brakes before a bend and stays there."""
    termination_penalty: float = 100.0
    """What an end costs, in steps of what the recorded drivers gained or lost per step. The default is the default
    horizon: an end costs what a whole dream is worth. A free end teaches to die where rewards are negative."""
    recent_episodes: int = 0
    """Newest episodes inside which dreams start; in a loop those are the newest drivers' episodes. 0 for all."""
    min_steps_to_end: int = 0
    """Steps that a recorded episode must still go on where a dream starts inside it: a car that has left the road
    already teaches nothing."""
    memory: Literal["trained", "untrained"] = "trained"
    """Which memory dreams: the trained one, or as a control one with random weights and the trained one's scales."""

    def __post_init__(self) -> None:
        check_numbers(self, "dream")
        if self.horizon < 1:
            raise ValueError(f"dream.horizon={self.horizon}: must be at least 1")
        if self.temperature < 0:
            raise ValueError(f"dream.temperature={self.temperature}: must be at least 0; 1 is the memory's own")
        if not 0 <= self.initial_state_fraction <= 1:
            raise ValueError(
                f"dream.initial_state_fraction={self.initial_state_fraction}: is a fraction between 0 and 1"
            )
        for name in ("warmup", "recent_episodes", "min_steps_to_end", "no_reward_limit"):
            if getattr(self, name) < 0:
                raise ValueError(f"dream.{name}={getattr(self, name)}: must not be negative")
        if not self.termination_penalty >= 0:
            raise ValueError(
                f"dream.termination_penalty={self.termination_penalty}: must be at least 0; 0 makes an end free"
            )
