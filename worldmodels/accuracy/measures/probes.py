"""What the latent and the memory's state know of the simulator: linear probes to its true state.

A probe is a ridge regression, fitted on a set's episodes on one half of its tracks and judged on the other half, both
ways round: no track is on both sides. `(z, h)` is compared with `z`, and with `z` and what an untrained memory
remembers: a random recurrent network is a rich memory too (ctallec's world-models found it as good for driving), and
what a trained one knows beyond that it has learnt.

Seen through a probe, dreams of different encoders can be compared: in metres and radians.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from generative.core.facts import Facts
from worldmodels.accuracy.config import CardConfig
from worldmodels.accuracy.data import HeldOut
from worldmodels.accuracy.measures.dreams import Dreams, HeldOutStarts
from worldmodels.accuracy.measures.open_loop import by_horizon
from worldmodels.accuracy.measures.reward_and_end import figures
from worldmodels.statistics import estimate

RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
"""Penalties on the weights of standardised features, for each frame; each target takes the one that carries over best
from one half of the fitting tracks to the other."""
RESAMPLES = 200


@runtime_checkable
class Regression(Protocol):
    """What scikit-learn has fitted."""

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the targets (B S)."""


@dataclass(frozen=True)
class Probe:
    """Linear maps from features to targets, one for each half of the tracks, fitted on the other half."""

    models: tuple[Regression, Regression]

    def __call__(self, features: Float[Tensor, "B F"], half: int) -> Float[Tensor, "B S"]:
        """Read the targets off features of a track in this half."""
        read = self.models[half].predict(features.double().cpu().numpy())
        return torch.from_numpy(read.reshape(len(features), -1))  # one target comes back flat


def halves(tracks: Sequence[int]) -> list[int]:
    """Return the half of the different tracks, 0 or 1, that each of these belongs to."""
    order = sorted(set(tracks))
    return [order.index(track) % 2 for track in tracks]


def fit_probe(
    features: Sequence[Float[Tensor, "_ F"]], targets: Sequence[Float[Tensor, "_ S"]], tracks: Sequence[int]
) -> Probe:
    """Fit a probe on features and targets of episodes on the given tracks.

    Raises:
        ValueError: all episodes are on one track.
    """
    side = halves(tracks)
    if set(side) != {0, 1}:
        raise ValueError(f"all episodes are on track {tracks[0]}: probes are judged on other tracks; give 2 at least")
    models = []
    for judged in (0, 1):
        chosen = [index for index, where in enumerate(side) if where != judged]
        x, y = ([part[index].double().cpu().numpy() for index in chosen] for part in (features, targets))
        ridge = _choose_ridge(x, y, [tracks[index] for index in chosen])
        models.append(_fit(np.concatenate(x), np.concatenate(y), ridge))
    return Probe((models[0], models[1]))


def _choose_ridge(x: Sequence[np.ndarray], y: Sequence[np.ndarray], tracks: Sequence[int]) -> Float[np.ndarray, " S"]:
    """Return each target's penalty, by its error on one half of these tracks when fitted on the other."""
    side, size = halves(tracks), y[0].shape[1]
    if set(side) != {0, 1}:
        return np.full(size, RIDGES[1])
    error = np.zeros((len(RIDGES), size))
    for judged in (0, 1):
        fitted_x, fitted_y, x_there, y_there = (
            np.concatenate([row for row, where in zip(rows, side, strict=True) if (where == judged) == of_judged])
            for of_judged in (False, True)
            for rows in (x, y)
        )
        model = _fit(fitted_x, np.tile(fitted_y, len(RIDGES)), np.repeat(RIDGES, size))  # all penalties at once
        error += np.square(model.predict(x_there) - np.tile(y_there, len(RIDGES))).sum(0).reshape(error.shape)
    return np.array(RIDGES)[error.argmin(0)]


def _fit(x: Float[np.ndarray, "N F"], y: Float[np.ndarray, "N S"], ridge: Float[np.ndarray, " S"]) -> Regression:
    """Return the ridge regression of standardised features with a penalty for each target."""
    from sklearn.linear_model import Ridge  # takes long to import
    from sklearn.pipeline import make_pipeline  # takes long to import
    from sklearn.preprocessing import StandardScaler  # takes long to import

    model: Regression = make_pipeline(StandardScaler(), Ridge(len(x) * ridge, solver="cholesky")).fit(x, y)
    return model


@dataclass(frozen=True)
class Watched:
    """A set's episodes with what is known of each frame."""

    episodes: Sequence[HeldOut]
    features: dict[str, list[Tensor]]
    """By name, (T+1 F) for each episode: `z`, `z+h`, `z+untrained`."""
    probes: dict[str, Probe]
    """To the state, from each of the features."""
    ahead: dict[str, Probe]
    """To the state some steps later."""


def watch(episodes: Sequence[HeldOut], remembered: dict[str, list[Tensor]], config: CardConfig) -> Watched:
    """Fit the probes on a set's episodes.

    Args:
        episodes: of one set.
        remembered: what memories remember at each frame, by the name of the features: `z+h` and so on.
        config: for how far to look ahead.

    Raises:
        ValueError: the episodes are all on one track, or the simulator tells no state.
    """
    if not episodes[0].state.shape[1]:
        raise ValueError("the environment does not tell its simulator's state")
    tracks = [episode.track for episode in episodes]
    features = {"z": [episode.mean for episode in episodes]} | {
        name: [torch.cat([episode.mean, h], dim=1) for episode, h in zip(episodes, rows, strict=True)]
        for name, rows in remembered.items()
    }
    state = [torch.from_numpy(episode.state) for episode in episodes]
    later = config.ahead
    return Watched(
        episodes,
        features,
        {name: fit_probe(rows, state, tracks) for name, rows in features.items()},
        {
            name: fit_probe([row[: max(0, len(row) - later)] for row in rows], [row[later:] for row in state], tracks)
            for name, rows in features.items()
        },
    )


def explained(watched: Watched, names: Sequence[str], config: CardConfig, seed: int) -> Facts:
    """Measure R^2 of every probe over the frames of all episodes, each on a track the probe was not fitted on.

    Returns:
        `names` of the state; `now` and `ahead`: for each kind of features a list of R^2 with intervals over episodes,
        None where the state does not vary.
    """
    half = halves([episode.track for episode in watched.episodes])
    result: Facts = {"names": list(names), "ahead_steps": config.ahead}
    for when, probes, later in (("now", watched.probes, 0), ("ahead", watched.ahead, config.ahead)):
        result[when] = {}
        for kind, probe in probes.items():
            sums = []
            for index, episode in enumerate(watched.episodes):
                true = torch.from_numpy(episode.state[later:]).double()
                guess = probe(watched.features[kind][index][: len(true)], half[index])
                if len(true):
                    sums.append(torch.stack([torch.ones_like(true), true, true**2, (guess - true) ** 2]).sum(1))
            result[when][kind] = _r_squared(torch.stack(sums).numpy(), seed) if sums else [None] * len(names)
    return result


def _r_squared(sums: Float[np.ndarray, "E 4 S"], seed: int) -> list[Facts | None]:
    """Return R^2 of each state from episodes' counts, sums, sums of squares and sums of squared errors."""

    def of(column: int) -> Callable[[np.ndarray], float]:
        def statistic(episodes: np.ndarray) -> float:
            count, total, square, error = sums[episodes, :, column].sum(0)
            variance = square - total**2 / count
            return 1 - error / variance if variance > 1e-9 * max(square, 1e-12) else float("nan")

        return statistic

    return [figures(estimate(of(column), len(sums), seed, RESAMPLES)) for column in range(sums.shape[2])]


def physical(
    watched: Watched, dreams: Dreams, starts: HeldOutStarts, names: Sequence[str], config: CardConfig, seed: int
) -> Facts:
    """Measure dreams through the probe from `(z, h)`, in the simulator's units: comparable between encoders.

    Args:
        watched: episodes and probes.
        dreams: of these episodes.
        starts: where they began.
        names: of the state.
        config: for the horizons.
        seed: of the resamples.

    Returns:
        For each name, lists over horizons of the root mean squared error of the mean over samples (`memory`), of the
        probe on real frames (`probe`: what is the probe's fault) and of the state that stays as it was at the start
        (`persistence`), with intervals over episodes.
    """
    half, probe = halves([episode.track for episode in watched.episodes]), watched.probes["z+h"]
    errors = torch.zeros(3, *dreams.known.shape, len(names), dtype=torch.float64)
    for place, (row, time) in enumerate(starts.pairs()):
        episode, side = watched.episodes[row], half[row]
        at = (torch.tensor(config.horizons) + time).clamp(max=episode.steps)
        true = torch.from_numpy(episode.state).double()
        dreamt = torch.cat([dreams.expected[place].mean(1), dreams.feature[place]], dim=1)  # (K Z+H)
        guesses = (probe(dreamt, side), probe(watched.features["z+h"][row][at], side), true[time])
        for part, guess in enumerate(guesses):
            errors[part, place] = (guess - true[at]).square()
    known = dreams.known.numpy()
    return {
        "horizons": list(config.horizons),
        "rmse": {
            name: {
                figure: by_horizon(errors[part, :, :, column], known, starts, seed, root=True)
                for part, figure in enumerate(("memory", "probe", "persistence"))
            }
            for column, name in enumerate(names)
        },
    }
