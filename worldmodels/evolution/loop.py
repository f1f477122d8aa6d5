"""The loop: play, learn the world from what was seen, evolve, play again with what was evolved.

A world model of random play knows nothing of driving, so a controller evolved in its dream leaves the data within
seconds. Each round therefore records the newest controller, copies of it with moved parameters, and some random play;
trains vision and memory further on everything recorded so far; and evolves on in the new dream (Ha and Schmidhuber
2018, section 5; Sutton's Dyna, 1991). With `evolve.world: real` the rounds serve the features instead: vision and
memory of a driver's frames tell more about driving than those of random play. A round is a run folder of its own; this
module says with which configuration.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from generative.options import ComponentError, check_numbers
from generative.strict_yaml import read_yaml
from worldmodels.errors import RunError
from worldmodels.rollouts.collect import AGENTS, Driver
from worldmodels.seeds import LOOP, stream

if TYPE_CHECKING:
    from worldmodels.config import RunConfig

LEARNT = ("collect", "train-vision", "train-memory", "evolve")
"""The stages of a round."""


@dataclass(frozen=True)
class LoopConfig:
    """Rounds after the first one, which is the rest of the configuration as it stands."""

    rounds: int = 0
    """Rounds in all; 0 for no loop: every stage runs once."""
    policies: tuple[Driver, ...] = ("agent", "perturbed-agent", "held-uniform")
    """Who drives in later rounds, episode by episode in turn."""
    episodes: int = 20
    """Episodes that a later round records."""
    max_frames: int = 1000
    """Frames after which they are cut."""
    vision_every: int = 4
    """Rounds between trainings of vision; in between it is taken over as it is, and so are latents."""
    vision_steps: int = 500
    """Optimiser steps of a later training of vision."""
    memory_steps: int = 300
    """Optimiser steps of a later training of memory."""
    generations: int = 20
    """Generations of a later round."""
    controller: Literal["last", "new"] = "last"
    """Where a later round's evolution begins: at the controller of the round before, or at zeros."""
    sigma: float = 0.1
    """Standard deviation with which a later round's evolution begins."""
    warm_start: bool = True
    """Train vision and memory on from the round before; otherwise anew."""
    changes: tuple[str, ...] = ()
    """Fields that later rounds have otherwise, such as `vision.options.beta=0.1`."""
    final_changes: tuple[str, ...] = ()
    """Fields that the last `final_rounds` have otherwise besides, such as `evolve.start=''` for evolutions from zeros
    on all that the rounds have seen."""
    final_rounds: int = 1
    """Last rounds that `final_changes` are for."""
    alarm: Literal["none", "stop", "rollback"] = "rollback"
    """When the dream promises more and the real world pays less than `alarm_share` of its best: go on regardless, stop,
    or let the next round begin at the best round's controller."""
    alarm_share: float = 0.7
    """Share of the best validation return below which the alarm rings."""
    finalists: int = 3
    """Best validated rounds that are measured again before one is chosen; 1 takes the best one's word."""
    final_tracks: int = 32
    """Further validation tracks on which finalists are measured."""

    def __post_init__(self) -> None:
        for name, least in (
            ("rounds", 0),
            ("episodes", 1),
            ("max_frames", 2),
            ("vision_every", 1),
            ("vision_steps", 1),
            ("memory_steps", 1),
            ("generations", 1),
            ("final_rounds", 1),
            ("finalists", 1),
            ("final_tracks", 2),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"loop.{name}={getattr(self, name)}: must be at least {least}")
        if not self.policies:
            raise ValueError("loop.policies=(): name at least one policy, for example agent")
        for name in ("changes", "final_changes"):
            for change in getattr(self, name):
                if "." not in change.partition("=")[0] or "=" not in change:
                    raise ValueError(f"loop.{name}: `{change}` is no field and value such as vision.options.beta=0.1")
        if not 0 <= self.alarm_share < 1:
            raise ValueError(f"loop.alarm_share={self.alarm_share}: is a share from 0 to below 1")
        if not 1e-9 <= self.sigma <= 1e3:
            raise ValueError(f"loop.sigma={self.sigma}: must be from 1e-9 to 1000; 0.1 is usual")
        check_numbers(self, "loop")


def round_config(config: "RunConfig", number: int, before: Path | None, start: Path | None) -> "RunConfig":
    """Return the configuration of a round.

    Args:
        config: the loop's.
        number: of the round, from 0.
        before: folder of the round before; None for the first.
        start: folder of the round whose controller drives and evolves on; None for the first.
    """
    seed = int(stream(config.seed, LOOP, number).integers(2**31))
    evolve = config.evolve
    if evolve.seed is not None:
        evolve = replace(evolve, seed=int(stream(evolve.seed, LOOP, number).integers(2**31)))
    alone = replace(config, seed=seed, evolve=evolve, loop=replace(config.loop, rounds=0))
    if before is None or start is None:
        return alone
    loop = config.loop
    begun = str(before) if loop.warm_start else ""
    later = replace(
        alone,
        collect=replace(
            config.collect,
            policies=loop.policies,
            episodes=loop.episodes,
            max_frames=loop.max_frames,
            agent=str(start) if any(name in AGENTS for name in loop.policies) else "",
            extends=str(before),
        ),
        vision=replace(config.vision, start=begun, fit=_fit(config.vision.fit, loop.vision_steps, loop.warm_start)),
        memory=replace(config.memory, start=begun, fit=_fit(config.memory.fit, loop.memory_steps, loop.warm_start)),
        evolve=replace(
            evolve,
            start=str(start) if loop.controller == "last" else "",
            bias=() if loop.controller == "last" else evolve.bias,
            generations=loop.generations,
            optimiser=replace(evolve.optimiser, sigma=loop.sigma),
        ),
    )
    final = loop.final_changes if number >= loop.rounds - loop.final_rounds else ()
    changed = _changed(later, (*loop.changes, *final))
    if changed.vision.type != config.vision.type:  # another type has nothing to go on from
        changed = replace(changed, vision=replace(changed.vision, start=""))
    return changed


def round_name(number: int) -> str:
    """Return the name of a round, which is its folder's; the first one is 00."""
    return f"{number:02d}"


def _changed(config: "RunConfig", changes: Sequence[str]) -> "RunConfig":
    """Return a configuration with the fields that `changes` name; a RunError names one that does not exist."""
    from worldmodels.config import config_from, nested  # here, because it reads this module

    found = {}
    for change in changes:
        name, _, value = change.partition("=")
        try:
            found[name] = read_yaml(value, f"loop: `{change}`")
        except ComponentError as error:
            raise RunError(str(error)) from error
    return config_from(nested(found), config)


def _fit(config: Any, steps: int, warm: bool) -> Any:
    """Return the training of a later round: as long as the first one where it begins anew."""
    return replace(config, steps=steps) if warm else config


def keeps_vision(config: "RunConfig", number: int) -> bool:
    """Return whether a round of a loop takes vision over from the one before: between trainings, if it is the same."""
    if number % config.loop.vision_every == 0:
        return False
    here = round_config(config, number, Path(), Path()).vision
    place = Path() if number > 1 else None
    there = round_config(config, number - 1, place, place).vision
    return (here.type, here.options) == (there.type, there.options)


def alarm(config: LoopConfig, curve: Sequence[dict[str, Any]]) -> bool:
    """Return whether the last round was exploited: its dream promised more than the best round's and paid less.

    Args:
        config: the loop's.
        curve: rows of the rounds so far, with `validation` and `dream_reward` (per step; None where nothing is dreamt).
    """
    if config.alarm == "none" or len(curve) < 2 or curve[-1]["dream_reward"] is None:
        return False
    best, last = best_round(curve), curve[-1]
    fell = last["validation"]["mean"] < config.alarm_share * best["validation"]["mean"]
    earned = best["validation"]["mean"] > 0  # before anything is earned there is nothing to lose
    return earned and fell and last["dream_reward"] > best["dream_reward"]


def best_round(curve: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the row of the round with the highest validation mean, the earliest of equals."""
    return max(curve, key=lambda row: row["validation"]["mean"])


def finalists(config: LoopConfig, curve: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the rounds that are measured again, the best validated first."""
    return sorted(curve, key=lambda row: -row["validation"]["mean"])[: config.finalists]
