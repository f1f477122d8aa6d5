"""The loop: play, learn the world from what was seen, evolve, play again with what was evolved.

A world model of random play knows nothing of driving, so a controller evolved in its dream leaves the data within
seconds. Each round therefore records the newest controller, copies of it with moved parameters, and some random play;
trains vision and memory further on everything recorded so far; and evolves on in the new dream (Ha and Schmidhuber
2018, section 5; Sutton's Dyna, 1991). With `evolve.world: real` the rounds serve the features instead: vision and
memory of a driver's frames tell more about driving than those of random play. A round is a run folder of its own; this
module says with which configuration.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from generative.core.facts import Facts
from worldmodels.config import RunConfig, later_config
from worldmodels.evolution.config import LoopConfig
from worldmodels.seeds import LOOP, stream

LEARNT = ("collect", "train-vision", "train-memory", "evolve")
"""The stages of a round."""
EXPLOITED = 0.7
"""Share of the best validation return below which a round that dreamt of more was exploited."""


def round_config(config: RunConfig, number: int, before: Path | None, start: Path | None) -> RunConfig:
    """Return the configuration of a round.

    Args:
        config: the loop's.
        number: of the round, from 0.
        before: folder of the round before; None for the first.
        start: folder of the round whose controller drives and evolves on; None for the first.
    """
    first = before is None or start is None
    this = config if first else later_config(config, number, str(before), str(start))
    own = config.evolve.seed
    seed = None if own is None else int(stream(own, LOOP, number).integers(2**31))
    validation = replace(this.evolve.validation, top_k=1)  # rounds are measured again, not their generations
    return replace(
        this,
        seed=int(stream(config.seed, LOOP, number).integers(2**31)),
        evolve=replace(this.evolve, seed=seed, validation=validation),
        loop=LoopConfig(),
    )


def round_name(number: int) -> str:
    """Return the name of a round, which is its folder's; the first one is 00."""
    return f"{number:02d}"


def keeps_vision(config: RunConfig, number: int) -> bool:
    """Return whether a round of a loop takes vision over from the one before: between trainings, if it is the same."""
    if number % config.loop.vision_every == 0:
        return False
    here = round_config(config, number, Path(), Path()).vision
    place = Path() if number > 1 else None
    there = round_config(config, number - 1, place, place).vision
    return (here.type, here.options) == (there.type, there.options)


def exploited(curve: Sequence[Facts]) -> bool:
    """Return whether the last round's dream promised more than the best round's and the real environment paid less.

    Args:
        curve: rows of the rounds so far, with `validation` and `dream_reward` (per step; None where nothing is dreamt).
    """
    if len(curve) < 2 or curve[-1]["dream_reward"] is None:
        return False
    best, last = best_round(curve), curve[-1]
    fell = last["validation"]["mean"] < EXPLOITED * best["validation"]["mean"]
    earned = best["validation"]["mean"] > 0  # before anything is earned there is nothing to lose
    return bool(earned and fell and last["dream_reward"] > best["dream_reward"])


def best_round(curve: Sequence[Facts]) -> Facts:
    """Return the row of the round with the highest validation mean, the earliest of equals."""
    return max(curve, key=lambda row: row["validation"]["mean"])
