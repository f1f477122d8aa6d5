"""How controllers evolve, how rounds of a loop follow each other, and how the chosen controller is measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from agents import OptimiserConfig
from generative.core.facts import Facts, FactsView
from generative.core.options import check_numbers
from worldmodels.agent.config import is_function
from worldmodels.seeds import TEST, VALIDATION

FIRST_TOP_K_TRACK = 16
"""Place of the first validation track of the top-k re-evaluation: the same tracks for runs that validate on fewer."""


@dataclass(frozen=True)
class ValidationConfig:
    """How the mean of the distribution is measured in the real environment."""

    every: int = 5
    """Generations between validations."""
    tracks: int = 16
    """Tracks of each."""
    record: bool = False
    """Drive training tracks, others in every evolution, and record the episodes, which end as in training: the later
    rounds of a loop learn from them."""
    top_k: int = 1
    """Best validated generations, or in a loop rounds, that are measured again on further tracks before one is
    chosen; 1 takes the first validation's word."""
    top_k_tracks: int = 64
    """Validation tracks of that."""

    def __post_init__(self) -> None:
        for name, least in (("every", 1), ("tracks", 2), ("top_k", 1), ("top_k_tracks", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least {least}")
        if self.tracks > len(VALIDATION) or self.top_k_places.stop > len(VALIDATION):
            raise ValueError(
                f"tracks={self.tracks} and top_k_tracks={self.top_k_tracks}: there are {len(VALIDATION)} validation "
                "tracks"
            )

    @property
    def top_k_places(self) -> range:
        """The places among the validation tracks of those that the top-k re-evaluation drives: no validation does."""
        first = max(FIRST_TOP_K_TRACK, 0 if self.record else self.tracks)
        return range(first, first + self.top_k_tracks)


@dataclass(frozen=True)
class EvolveConfig:
    """How the controller evolves."""

    world: Literal["real", "dream"] = "real"
    """Where candidates are tried: the real environment or the memory's dream."""
    start: str = ""
    """Run folder whose controller evolution begins at, or an imitation of it where vision or memory are others; empty
    to begin from scratch."""
    generations: int = 100
    """Times that candidates are asked for and their scores told."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    episodes: int = 4
    """Tracks or dreams that every candidate of the first generation meets; their number may double once."""
    agreement: float = 0.5
    """Rank correlation between two halves of the tracks below which their number doubles; 0 keeps it."""
    action_cost: float = 0.0
    """Charge a frame on how far actions that go either way, such as steering, are from zero (1 at a bound), in training
    only: evolution under noise likes to steer from bound to bound, which noise cannot spoil and which wastes speed."""
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    seed: int | None = None
    """Of the optimiser and its tracks or dreams; the run's where none is given."""

    def __post_init__(self) -> None:
        for name, least in (("generations", 1), ("episodes", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"evolve.{name}={getattr(self, name)}: must be at least {least}")
        if not self.action_cost >= 0:
            raise ValueError(f"evolve.action_cost={self.action_cost}: is a charge of at least 0 a frame")
        if not 0 <= self.agreement < 1:
            raise ValueError(f"evolve.agreement={self.agreement}: must be at least 0 and below 1")
        check_numbers(self, "evolve")

    def seed_in(self, run_seed: int) -> int:
        """Return the seed that evolution draws from in a run of this seed."""
        return run_seed if self.seed is None else self.seed


@dataclass(frozen=True)
class LoopConfig:
    """Rounds after the first one, which is the rest of the configuration as it stands."""

    rounds: int = 0
    """Rounds in all; 0 for no loop: every stage runs once. On the command line `--loop.later.FIELD VALUE` sets
    fields of later rounds, and `--loop.final.FIELD VALUE` those of the last ones."""
    later: Facts = field(default_factory=dict)
    """Fields in which later rounds differ from the first one, nested as in a file: {collect: {episodes: 8}}."""
    final: Facts = field(default_factory=dict)
    """Fields in which rounds differ still from the second training of vision on, which is in round `vision_every`."""
    vision_every: int = 4
    """Rounds between trainings of vision; in between it is taken over as it is, and so are latents."""
    warm_start: bool = True
    """Train vision and memory on from the round before; otherwise anew."""

    def __post_init__(self) -> None:
        for name, least in (("rounds", 0), ("vision_every", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"loop.{name}={getattr(self, name)}: must be at least {least}")
        check_numbers(self, "loop")

    def without_options(self, section: str, only: Literal["", "later", "final"] = "") -> "LoopConfig":
        """Return the loop without the options that later rounds give a section's component, as it is another now.

        Where a round names a type of its own, its options are of that one: they go if only that round is meant.

        Args:
            section: vision or memory.
            only: later or final; empty for both.
        """

        def kept(changes: FactsView) -> Facts:
            inner = changes.get(section)
            if not isinstance(inner, Mapping) or ("type" in inner and not only):
                return dict(changes)
            return {**changes, section: {name: value for name, value in inner.items() if name != "options"}}

        return replace(
            self,
            later=self.later if only == "final" else kept(self.later),
            final=self.final if only == "later" else kept(self.final),
        )

    def changes(self, number: int) -> list[tuple[str, FactsView]]:
        """Return the mappings that a later round differs by, each with its field's name, in the order they apply."""
        final = [("loop.final", self.final)] if number >= self.vision_every else []
        return [("loop.later", self.later), *final]


@dataclass(frozen=True)
class EvaluateConfig:
    """How the chosen controller is measured."""

    tracks: int = 100
    """Test tracks, from seed 0 on."""
    env: str = ""
    """Environment to drive in, where it is another drawing of the same world; empty for the run's own."""
    translator: str = ""
    """Run of a generative model that changes each frame before the agent sees it. One with two domains turns frames of
    its second, which `evaluate.env` shows, into those of its first; `style-transfer` paints them. Empty for none."""
    colours: bool = False
    """Translate by the best table of colours between the domains of that run instead: what the model has to beat."""
    agent: str = ""
    """What drives instead of the run's controller: `module:function`, what a function of yours builds; empty for the
    controller."""
    baseline: bool = False
    """Also measure `action_space.sample()` on the same tracks."""

    def __post_init__(self) -> None:
        if not 2 <= self.tracks <= len(TEST):
            raise ValueError(f"evaluate.tracks={self.tracks}: must be between 2 and {len(TEST)}")
        if self.agent and not is_function(self.agent):
            raise ValueError(
                f"evaluate.agent={self.agent}: name a function as module:function; a run is evaluated by its own name"
            )
        if self.colours and not self.translator:
            raise ValueError("evaluate.colours=True: between which domains? name a run as evaluate.translator too")

    def world(self, env_id: str) -> str:
        """Return what is driven in, as results name it: the environment, what its frames go through, who drives.

        Args:
            env_id: the run's own environment.
        """
        env = self.env or env_id
        through = f"colours of {self.translator}" if self.colours else self.translator
        return env + (f" through {through}" if through else "") + (f" by {self.agent}" if self.agent else "")
