"""Error by horizon of dreams with recorded actions, in latent and pixel space, compared with "nothing changes".

All latent errors are in units of each dimension's spread (`data.spread`). Two questions are kept apart:

- Is the expected latent right? The RMSE of the mean over dreams, against the means of the true posteriors: no noise of
  vision's is in it.
- Is the distribution right? The energy score of the dreams, against latents drawn from the true posteriors, which is
  what the memory predicts. No other distribution than the true one has a lower expected score (Gneiting and Raftery
  2007, eq. 21): E|X - y| - E|X - X'| / 2, here over root-mean-square distances, so that it is in the unit of the RMSE.
  "Nothing changes" is then a draw from the starting frame's posterior, and `floor` one from the true frame's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from generative.core.facts import Facts
from worldmodels.accuracy.config import CardConfig
from worldmodels.accuracy.data import HeldOut, frames
from worldmodels.accuracy.measures.dreams import Dreams, HeldOutStarts, at_horizons
from worldmodels.accuracy.measures.reconstruction import decoder_of, pixel_error
from worldmodels.statistics import estimate_mean
from worldmodels.vision.contract import Vision

TRUTHS = 4
"""Draws of the true latent that an energy score is averaged over."""
HALF = 0.5
"""Share of persistence's error under which a dream counts as useful."""


def open_loop(
    dreams: Dreams,
    lost: Dreams,
    episodes: Sequence[HeldOut],
    starts: HeldOutStarts,
    scale: Float[Tensor, " Z"],
    config: CardConfig,
    seed: int,
) -> Facts:
    """Measure dreams in latent space.

    Args:
        dreams: of the memory.
        lost: of the memory, begun elsewhere.
        episodes: of one set.
        starts: where the dreams began.
        scale: the unit of each dimension.
        config: for the horizons.
        seed: of the resamples.

    Returns:
        `horizons`; then lists over them, with intervals over episodes: `rmse` of the mean over dreams, of
        `persistence`, of the mean latent (`climate`) and of dreams with a `shuffled_start`; `energy` score of all but
        `climate`, and of the `floor`; `excess`, energy above the floor; `best`, the RMSE of the best dream.
        `beats_persistence`: the longest horizon up to which rmse or excess is below that of persistence all along, 0 if
        the first is not, and `beats_persistence_at`: all horizons at which it is; `half_persistence` and
        `half_persistence_at`: the same for half of it.
    """
    generator = torch.Generator().manual_seed(seed)
    horizons = config.horizons
    mean, std = [item.mean for item in episodes], [item.std for item in episodes]
    true, noise = at_horizons(mean, starts, horizons), at_horizons(std, starts, horizons)  # (N K Z)
    here, vague = (at_horizons(part, starts, [0] * len(horizons)) for part in (mean, std))
    truths = torch.randn(*true.shape[:2], TRUTHS, true.shape[2], generator=generator)
    drawn = _draw(true, noise, truths.to(true.device))
    # The same for guess and floor: their noise cancels.
    normal = torch.randn(dreams.z.shape, generator=generator).to(true.device)
    square = {
        "memory": _square(dreams.expected.mean(2), true, scale),
        "persistence": _square(here, true, scale),
        "climate": _square(torch.cat(mean).mean(0), true, scale),
        "shuffled_start": _square(lost.expected.mean(2), true, scale),
    }
    guesses = {
        "memory": dreams.z,
        "persistence": _draw(here, vague, normal),
        "shuffled_start": lost.z,
        "floor": _draw(true, noise, normal),
    }
    energy = {
        name: torch.stack([energy_score(value, drawn[:, :, turn], scale) for turn in range(TRUTHS)]).mean(0)
        for name, value in guesses.items()
    }
    best = _square(dreams.expected, true.unsqueeze(2), scale).amin(2)
    known = dreams.known.numpy()
    result: Facts = {
        "horizons": list(horizons),
        "starts": [int(count) for count in known.sum(0)],
        "rmse": {name: by_horizon(value, known, starts, seed, root=True) for name, value in square.items()},
        "energy": {name: by_horizon(value, known, starts, seed) for name, value in energy.items()},
        "excess": {
            name: by_horizon(value - energy["floor"], known, starts, seed)
            for name, value in energy.items()
            if name != "floor"
        },
        "best": by_horizon(best, known, starts, seed, root=True),
    }
    judged = {"rmse": result["rmse"], "energy": result["excess"]}
    for name, share in (("beats_persistence", 1.0), ("half_persistence", HALF)):
        better = {figure: _below(horizons, figures, share) for figure, figures in judged.items()}
        result[name] = {figure: _unbroken(horizons, at) for figure, at in better.items()}
        result[f"{name}_at"] = better
    return result


def _draw(mean: Tensor, std: Tensor, normal: Tensor) -> Tensor:
    """Draw latents (N K S Z) from posteriors (N K Z) with standard normal numbers (N K S Z)."""
    return mean.unsqueeze(2) + std.unsqueeze(2) * normal


def _square(guess: Tensor, true: Tensor, scale: Tensor) -> Tensor:
    """Return mean squared errors over dimensions, in units of their spread."""
    return ((guess - true) / scale).square().mean(-1)


def energy_score(
    samples: Float[Tensor, "N K S Z"], true: Float[Tensor, "N K Z"], scale: Float[Tensor, " Z"]
) -> Float[Tensor, "N K"]:
    """Measure the energy score of S samples, unbiased in S, over root-mean-square distances in units of `scale`."""
    x = samples / scale
    count = x.shape[2]
    far = (x - (true / scale).unsqueeze(2)).square().mean(-1).sqrt().mean(2)
    apart = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist") / x.shape[-1] ** 0.5  # (N K S S)
    return far - apart.sum((2, 3)) / (2 * count * (count - 1))


def by_horizon(
    values: Float[Tensor, "N K"], known: np.ndarray, starts: HeldOutStarts, seed: int, root: bool = False
) -> list[Facts | None]:
    """Average over an episode's places, then over episodes, at each horizon; None where no episode is long enough."""
    found: list[Facts | None] = []
    array = values.double().cpu().numpy()
    for column in range(array.shape[1]):
        rows = sorted({int(row) for row in starts.row[known[:, column]]})
        means = [array[known[:, column] & (starts.row == row), column].mean() for row in rows]
        if not means:
            found.append(None)
            continue
        figure = asdict(estimate_mean(np.array(means), seed))
        if root:
            figure |= {name: max(figure[name], 0.0) ** 0.5 for name in ("value", "ci_low", "ci_high")}
        found.append(figure)
    return found


def _below(horizons: Sequence[int], figures: Mapping[str, Sequence[Facts | None]], share: float) -> list[int]:
    """Return the horizons at which dreams are below a share of persistence."""
    rows = zip(horizons, figures["memory"], figures["persistence"], strict=True)
    return [horizon for horizon, mine, other in rows if mine and other and mine["value"] < share * other["value"]]


def _unbroken(horizons: Sequence[int], at: Sequence[int]) -> int:
    """Return the longest horizon up to which all are among those given, 0 if the first is not."""
    longest = 0
    for horizon in horizons:
        if horizon not in at:
            break
        longest = horizon
    return longest


@torch.inference_mode()
def pixels(
    vision: Vision,
    dreams: Dreams,
    episodes: Sequence[HeldOut],
    starts: HeldOutStarts,
    config: CardConfig,
    seed: int,
) -> Facts:
    """Measure decoded dreams: the squared error of the decoded mean over dreams, above vision's own.

    The error of the decoded true latent, vision's `floor`, is subtracted: what is left is the memory's part, which is
    comparable between memories of one vision; with the floor added, between visions. Pixels are in [0, 1].

    Returns:
        `mse`: of the memory and of persistence, and `floor`, lists over horizons with intervals over episodes.
    """
    decoder = decoder_of(vision, dreams.z[:1, 0, 0])
    if isinstance(decoder, str):
        return {"skipped": decoder}
    true = at_horizons([item.mean for item in episodes], starts, config.horizons)
    guess = dreams.expected.mean(2)
    errors = torch.zeros(3, *true.shape[:2])
    for row in sorted(set(starts.row.tolist())):
        obs = episodes[row].file.read().obs
        places = np.flatnonzero(starts.row == row)
        begin = torch.from_numpy(starts.time[places])
        at = (begin.unsqueeze(1) + torch.tensor(config.horizons)).clamp(max=episodes[row].steps)  # (n K)
        real = frames(obs[at.flatten().numpy()])  # (n*K C H W)
        still = episodes[row].mean[begin].repeat_interleave(len(config.horizons), 0)
        for part, latent in enumerate((guess[places].flatten(0, 1), still, true[places].flatten(0, 1))):
            errors[part, places] = pixel_error(decoder, latent, real).view(len(places), -1).cpu()
    known = dreams.known.numpy()
    floor = errors[2]
    return {
        "horizons": list(config.horizons),
        "mse": {
            "memory": by_horizon(errors[0] - floor, known, starts, seed),
            "persistence": by_horizon(errors[1] - floor, known, starts, seed),
        },
        "floor": by_horizon(floor, known, starts, seed),
    }
