"""Whether dream and real world agree on controllers: what evolution in the dream stands or falls with.

Controllers of many qualities are taken from the history of a run, or of several: the optimiser's mean at generations
spread over its log, which a replay of the logged scores brings back exactly, and disturbed copies of these means. Each
of them drives real validation tracks and plays dreams.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from agents import OptimiserConfig, make_optimiser
from generative.core.facts import Facts
from worldmodels.accuracy.measures.reward_and_end import figures
from worldmodels.evolution.generations import check_mean
from worldmodels.statistics import estimate, pearson, spearman

DISTURBANCE = (0.25, 0.5, 1.0)
"""Spread of the noise on disturbed copies, as a share of the parameters' root mean square, by turns."""


class History(NamedTuple):
    """An evolution that controllers are taken from."""

    optimiser: OptimiserConfig
    """As at the start."""
    seed: int
    """Of the optimiser."""
    log: Sequence[Facts]
    """An entry for each generation: its `scores`, and the `mean_norm` after it where it was noted."""
    x0: Float[np.ndarray, " N"] | None
    """Where it began; None for zeros."""


def controllers(history: History, size: int, count: int, noise_seed: int) -> Float[np.ndarray, "P N"]:
    """Return parameter vectors of many qualities from an optimiser's history.

    Two thirds, rounded up, are means at generations spread evenly from the start to the end of the log (fewer if it is
    shorter), the others disturbed copies of means, the latest first.

    Args:
        history: of the optimiser.
        size: N.
        count: P.
        noise_seed: of the disturbances.

    Raises:
        RunError: the replay leads elsewhere than the log says.
    """
    config, log = history.optimiser, history.log
    wanted = min(len(log) + 1, -(-2 * count // 3))
    picked = {int(place) for place in np.linspace(0, len(log), wanted).round()}
    optimiser = make_optimiser(config, size, history.seed, history.x0)
    means = []
    for generation in range(len(log) + 1):
        if generation in picked:
            means.append(np.array(optimiser.mean, dtype=np.float64))
        if generation < len(log):
            optimiser.tell(optimiser.ask(), np.array(log[generation]["scores"], dtype=np.float64))
    check_mean(log, optimiser.mean)
    rng, rows = np.random.default_rng(noise_seed), list(means)
    while len(rows) < count:
        turn = len(rows) - len(means)
        mean = means[-1 - turn % len(means)]
        size_of = float(np.sqrt(np.mean(mean**2))) or config.sigma
        rows.append(mean + DISTURBANCE[turn % len(DISTURBANCE)] * size_of * rng.standard_normal(size))
    return np.stack(rows).astype(np.float32)


def evenly(values: Float[np.ndarray, " P"], count: int) -> list[int]:
    """Return the places of `count` of P values that are spread most evenly over their range, ascending by value.

    The lowest comes first, then always the value that is farthest from all that are chosen.
    """
    chosen = [int(values.argmin())]
    distance = np.abs(values - values[chosen[0]])
    while len(chosen) < count:
        distance[chosen] = -1.0
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.abs(values - values[chosen[-1]]))
    return sorted(chosen, key=lambda place: values[place])


def agreement(
    real: Float[np.ndarray, "P E"],
    dream: Float[np.ndarray, "_ D"],
    real_frames: Float[np.ndarray, "_ _"],
    dream_frames: int,
    seed: int,
) -> Facts:
    """Compare real and dream returns of P controllers.

    Args:
        real: returns on E tracks, in the environment's units.
        dream: returns in D dreams, in the same units.
        real_frames: frames that each real episode took.
        dream_frames: frames that a dream stands for, its horizon times the action repeat; what a dream is charged for
            ending early counts as part of its return.
        seed: of the resamples.

    Returns:
        `pearson` and `spearman` of the mean returns, with intervals over controllers; `regret_at_1`: how much worse in
        the real world the controller is that looks best in the dream than the one that is best there, and
        `regret_share`, that as a share of the range of real returns (0: the right choice, 1: the worst);
        `exploit_gap`: mean over controllers of dream return per frame minus real return per frame. `points`: what it
        is made of.

    Raises:
        ValueError: the arrays do not fit each other.
    """
    if len(real) != len(dream) or real.shape != real_frames.shape:
        raise ValueError(
            f"real {real.shape}, dream {dream.shape}, real_frames {real_frames.shape}: need a row for each controller"
        )
    world, imagined = real.mean(1), dream.mean(1)
    gap = imagined / dream_frames - real.sum(1) / real_frames.sum(1)
    chosen, span = int(imagined.argmax()), float(np.ptp(world))
    regret = float(world.max() - world[chosen])
    correlations = {
        name: figures(estimate(_correlation(function, world, imagined), len(world), seed))
        for name, function in (("pearson", pearson), ("spearman", spearman))
    }
    return {
        "controllers": len(world),
        "tracks": real.shape[1],
        "dreams": dream.shape[1],
        **correlations,
        "regret_at_1": regret,
        "regret_share": regret / span if span > 0 else None,
        "exploit_gap": asdict(estimate(lambda index: float(gap[index].mean()), len(gap), seed)),
        "points": [
            {
                "real": float(world[row]),
                "dream": float(imagined[row]),
                "real_per_frame": float(real[row].sum() / real_frames[row].sum()),
                "dream_per_frame": float(imagined[row] / dream_frames),
            }
            for row in range(len(world))
        ],
    }


def _correlation(
    function: Callable[[np.ndarray, np.ndarray], float], a: np.ndarray, b: np.ndarray
) -> Callable[[np.ndarray], float]:
    """Return a correlation over the controllers of a resample; NaN where one side does not vary."""

    def statistic(index: np.ndarray) -> float:
        x, y = a[index], b[index]
        return function(x, y) if np.ptp(x) > 0 and np.ptp(y) > 0 else float("nan")

    return statistic
