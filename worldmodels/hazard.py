"""How often the road is lost: by a controller's recorded tryouts, and by the same controller in dreams.

A termination head learns from episodes of many drivers. In the dreams of a memory that has seen little the road is
lost several times as often as by cars, in those of a driver that is faster than the recorded ones too seldom; evolution
then breeds snails, or drivers that take bends too fast. Tryouts are recorded and counted anyway, so they can say how
often dreams of the next round have to end.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from worldmodels.bundle import Bundle
from worldmodels.dream import DreamConfig, Starts, play_dreams
from worldmodels.episode import EpisodeFile
from worldmodels.targets import TerminationTargetConfig, termination_target

DREAMS = 256
PRIOR = 2.0
"""Ends that both sides are taken to have had before they are counted: few tryouts move little."""


class Ends(NamedTuple):
    """Ends that were met, and the steps taken until then."""

    ends: int
    steps: int

    @property
    def rate(self) -> float:
        """Return ends a step."""
        return self.ends / max(1, self.steps)


def real_ends(files: Sequence[EpisodeFile], termination: TerminationTargetConfig) -> Ends:
    """Count the recorded episodes that came to what would end a dream, and the steps until then."""
    ends = steps = 0
    for file in files:
        episode = file.read()
        state = episode.state if episode.state.shape[1] else None
        target = termination_target(len(episode.reward), episode.terminated, state, termination)
        over = np.flatnonzero(target)
        ends += len(over) > 0
        steps += int(over[0]) + 1 if len(over) else len(target)
    return Ends(ends, steps)


def dreamt_ends(bundle: Bundle, parameters: np.ndarray, starts: Starts, config: DreamConfig, seed: int) -> Ends:
    """Count the ends of a controller's dreams, as often as the termination head says.

    Args:
        bundle: with the memory that dreams.
        parameters: of the controller (N).
        starts: where dreams begin.
        config: how they go.
        seed: of the dreams.
    """
    vision, memory, generator = bundle.load_encoder(), bundle.load_memory(), bundle.load_generator().eval()
    plain = replace(config, block=1, hazard=1.0)
    perception = bundle.perception(DREAMS, vision, memory)
    seeds = np.random.default_rng(seed).integers(2**31, size=DREAMS).tolist()
    played = play_dreams(
        generator, perception, bundle.build_controller(), parameters[None].astype(np.float32), seeds, starts, plain
    )
    return Ends(int(played.ended.sum()), int(played.steps.sum()))


def calibrated(real: Ends, dreamt: Ends) -> float:
    """Return how many times as often as in dreams the road is really lost: 1 for want of data."""
    return (real.ends + PRIOR) / (dreamt.rate * real.steps + PRIOR)
