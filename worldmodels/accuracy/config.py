"""How a world model is measured: the options of the accuracy card, and what follows from the environment."""

from dataclasses import dataclass
from typing import ClassVar

from generative.core.options import check_numbers
from worldmodels.seeds import VALIDATION

PIXEL_BATCH = 256
"""Frames that are encoded or decoded at a time."""
EPISODES = 10
"""Episodes of each policy, on the same validation tracks, the last ones: the controller is chosen on the first."""
MAX_FRAMES, WARMUP = 500, 50
"""Frames after which such an episode is cut, and steps that the memory sees first, where episodes are long enough."""
HORIZONS = (1, 2, 5, 10, 15, 25, 50, 100)
"""Steps alone after which dream and truth are compared, as far as episodes go."""


@dataclass(frozen=True)
class CardConfig:
    """How a world model is measured on held-out tracks."""

    episodes: int = EPISODES
    """Episodes of each policy."""
    max_frames: int = MAX_FRAMES
    """Frames after which an episode is cut."""
    warmup: int = WARMUP
    """Real steps that the memory sees before it goes on alone."""
    horizons: tuple[int, ...] = HORIZONS
    """Steps alone after which dream and truth are compared, ascending."""
    noise: ClassVar[float] = 0.1
    """Exploration noise of the agent in the mixed episodes, as a part of each action's range."""
    samples: ClassVar[int] = 16
    """Dreams from each starting point."""
    starts: ClassVar[int] = 8
    """Starting points in each episode."""

    @property
    def return_steps(self) -> int:
        """Steps over which predicted and real return are compared: 50, or fewer where episodes are short."""
        return max(1, min(50, (self.max_frames - self.warmup) * 3 // 8))

    @property
    def ahead(self) -> int:
        """Steps ahead at which probes also look for the simulator's state: 20, or fewer where episodes are short."""
        return max(1, min(20, (self.max_frames - self.warmup) // 4))


def card_config(limit: int) -> CardConfig:
    """Return how the card is made where episodes have at most so many frames: a fifth of them is for the warm-up."""
    frames = min(MAX_FRAMES, limit)
    warmup = max(1, min(WARMUP, frames // 5))
    horizons = tuple(steps for steps in HORIZONS if steps <= max(1, frames - warmup))
    return CardConfig(EPISODES, frames, warmup, horizons)


@dataclass(frozen=True)
class AccuracyConfig:
    """How well dream and real environment agree on controllers, as the accuracy card shows it."""

    controllers: int = 30
    """Controllers of many qualities on which dream and real return are compared; 0 leaves that out."""
    histories: tuple[str, ...] = ()
    """Runs from whose evolution they are taken, in equal parts, for agents that read what this run's agent reads; none:
    the run itself. World models are comparable only when asked about the same controllers: of twice as many those are
    taken that spread evenly over real returns."""
    controller_tracks: int = 4
    """Validation tracks that each of them drives."""
    controller_dreams: int = 32
    """Dreams that each of them plays."""

    def __post_init__(self) -> None:
        for name in ("controller_tracks", "controller_dreams"):
            if getattr(self, name) < 2:
                raise ValueError(f"accuracy.{name}={getattr(self, name)}: must be at least 2")
        driven = self.controller_tracks * (2 if self.histories else 1)
        if driven > len(VALIDATION):
            raise ValueError(
                f"accuracy.controller_tracks={self.controller_tracks}: there are {len(VALIDATION)} such tracks, and "
                f"{driven} would be driven"
            )
        if self.controllers and len(self.histories) > self.taken:
            raise ValueError(
                f"accuracy.histories: {len(self.histories)} for {self.taken} controllers: name fewer, or raise "
                "accuracy.controllers"
            )
        if self.controllers != 0 and self.controllers < 3:
            raise ValueError(
                f"accuracy.controllers={self.controllers}: a correlation needs 3 at least; 0 leaves it out"
            )
        check_numbers(self, "accuracy")

    @property
    def taken(self) -> int:
        """Controllers that are taken from the histories, and drive first where those of other runs are asked about."""
        return self.controllers * (2 if self.histories else 1)
