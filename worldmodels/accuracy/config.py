"""How a world model is measured: the options of the accuracy card."""

from dataclasses import dataclass
from typing import ClassVar

from generative.options import check_numbers
from worldmodels.seeds import VALIDATION

PIXEL_BATCH = 256
"""Frames that are encoded or decoded at a time."""


@dataclass(frozen=True)
class AccuracyConfig:
    """How a world model is measured on held-out tracks."""

    episodes: int = 10
    """Episodes of each policy, on the same validation tracks, the last ones: the controller is chosen on the first."""
    max_frames: int = 500
    """Frames after which such an episode is cut."""
    warmup: int = 50
    """Real steps that the memory sees before it goes on alone."""
    horizons: tuple[int, ...] = (1, 2, 5, 10, 15, 25, 50, 100)
    """Steps alone after which dream and truth are compared, ascending."""
    controllers: int = 30
    """Controllers of many qualities on which dream and real return are compared; 0 leaves that out."""
    histories: tuple[str, ...] = ()
    """Runs from whose evolution they are taken, in equal parts, for agents that read what this run's agent reads; none:
    the run itself. World models are comparable only when asked about the same controllers."""
    candidates: int = 0
    """Controllers that drive first, on other validation tracks, so that those compared spread evenly over real returns;
    0: all that are taken are compared."""
    controller_tracks: int = 4
    """Validation tracks that each of them drives."""
    controller_dreams: int = 32
    """Dreams that each of them plays."""
    noise: ClassVar[float] = 0.1
    """Exploration noise of the agent in the mixed episodes, as a part of each action's range."""
    samples: ClassVar[int] = 16
    """Dreams from each starting point."""
    starts: ClassVar[int] = 8
    """Starting points in each episode."""

    def __post_init__(self) -> None:
        for name, least in (
            ("episodes", 2),
            ("max_frames", 2),
            ("warmup", 1),
            ("controller_tracks", 2),
            ("controller_dreams", 2),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"accuracy.{name}={getattr(self, name)}: must be at least {least}")
        for name in ("episodes", "controller_tracks"):
            if getattr(self, name) > len(VALIDATION):
                raise ValueError(f"accuracy.{name}={getattr(self, name)}: there are {len(VALIDATION)} such tracks")
        if not self.horizons or list(self.horizons) != sorted({*self.horizons}) or self.horizons[0] < 1:
            raise ValueError(f"accuracy.horizons={self.horizons}: give ascending numbers of steps from 1 on")
        if self.candidates and not self.controllers <= self.candidates:
            raise ValueError(
                f"accuracy.candidates={self.candidates}: must be 0 or at least accuracy.controllers={self.controllers}"
            )
        if self.candidates and 2 * self.controller_tracks > len(VALIDATION):
            raise ValueError(
                f"accuracy.controller_tracks={self.controller_tracks}: with candidates twice as many are driven, and "
                f"there are {len(VALIDATION)} such tracks"
            )
        if self.controllers and len(self.histories) > (self.candidates or self.controllers):
            raise ValueError(
                f"accuracy.histories: {len(self.histories)} for {self.candidates or self.controllers} controllers: "
                "name fewer, or raise accuracy.controllers or accuracy.candidates to one for each at least"
            )
        if self.controllers != 0 and self.controllers < 3:
            raise ValueError(
                f"accuracy.controllers={self.controllers}: a correlation needs 3 at least; 0 leaves it out"
            )
        check_numbers(self, "accuracy")
        if self.warmup >= self.max_frames:
            raise ValueError(
                f"accuracy.warmup={self.warmup}: leaves nothing of accuracy.max_frames={self.max_frames}; lower it"
            )

    @property
    def return_steps(self) -> int:
        """Steps over which predicted and real return are compared: 50, or fewer where episodes are short."""
        return max(1, min(50, (self.max_frames - self.warmup) * 3 // 8))

    @property
    def ahead(self) -> int:
        """Steps ahead at which probes also look for the simulator's state: 20, or fewer where episodes are short."""
        return max(1, min(20, (self.max_frames - self.warmup) // 4))
