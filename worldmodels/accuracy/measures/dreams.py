"""Dreams with recorded actions: the memory watches some real steps, then goes on alone, many times over."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from worldmodels.accuracy.config import CardConfig
from worldmodels.accuracy.data import HeldOut
from worldmodels.memories import Memory, initial_on

ROWS = 2048
"""Dreams that are advanced together."""


class HeldOutStarts(NamedTuple):
    """N places in episodes, by episode and time, where the memory is left alone."""

    row: np.ndarray
    """int (N): which episode."""
    time: np.ndarray
    """int (N): the frame from which it goes on alone."""

    def pairs(self) -> list[tuple[int, int]]:
        """Return `(row, time)` of each place."""
        return list(zip(self.row.tolist(), self.time.tolist(), strict=True))


class Dreams(NamedTuple):
    """What became of S dreams from each of N places, at K horizons."""

    z: Float[Tensor, "N K S Z"]
    """Dreamt latents."""
    expected: Float[Tensor, "N K S Z"]
    """What the memory expected them to be: without the noise of the last draw."""
    feature: Float[Tensor, "N K H"]
    """What the memory remembered beside them, mean over the dreams."""
    known: Bool[Tensor, "N K"]
    """Whether the episode is long enough to compare."""
    returns: Float[Tensor, " N"]
    """Sum of the predicted rewards over `return_steps`, mean over the dreams; NaN without a reward head."""


def choose_starts(episodes: Sequence[HeldOut], config: CardConfig) -> HeldOutStarts:
    """Spread places evenly over each episode, as far as warm-up and the longest horizon leave room.

    An episode too short for that horizon is used for what it has; one that is over within the warm-up has no place.
    """
    longest = max(config.horizons[-1], config.return_steps)
    row, time = [], []
    for number, episode in enumerate(episodes):
        last = max(config.warmup, episode.steps - longest)
        if episode.steps > config.warmup:
            places = np.unique(np.linspace(config.warmup, last, config.starts).round().astype(int))
            row += [number] * len(places)
            time += list(places)
    return HeldOutStarts(np.array(row, dtype=int), np.array(time, dtype=int))


@torch.inference_mode()
def dream_on(
    memory: Memory,
    episodes: Sequence[HeldOut],
    starts: HeldOutStarts,
    config: CardConfig,
    seed: int,
    begin: np.ndarray | None = None,
) -> Dreams:
    """Let the memory dream on from each place with the actions that were really taken.

    Args:
        memory: with `initial`, `advance`, `step` and `feature`.
        episodes: of one set.
        starts: N places.
        config: warm-up, horizons, samples and `return_steps`.
        seed: of the dreams' noise.
        begin: int (N), at which of the places each dream begins, with that place's latent and past; by default its own.
            A dream that begins elsewhere shows what knowing the start is worth.
    """
    generator = torch.Generator().manual_seed(seed)
    size = max(1, ROWS // config.samples)
    places = np.arange(len(starts.row)) if begin is None else begin
    parts = []
    for low in range(0, len(starts.row), size):
        own = slice(low, low + size)
        parts.append(
            _dream(memory, episodes, HeldOutStarts(starts.row[places[own]], starts.time[places[own]]),
                   HeldOutStarts(starts.row[own], starts.time[own]), config, generator)
        )  # fmt: skip
    return Dreams(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _dream(
    memory: Memory, episodes: Sequence[HeldOut], origin: HeldOutStarts, course: HeldOutStarts, config: CardConfig,
    generator: torch.Generator,
) -> Dreams:  # fmt: skip
    """Wake at the places of `origin` and dream with the actions that followed those of `course`."""
    warm = config.warmup
    z = torch.stack([episodes[row].mean[time - warm : time + 1] for row, time in origin.pairs()])
    past = torch.stack([episodes[row].action[time - warm : time] for row, time in origin.pairs()])
    steps = max(config.horizons[-1], config.return_steps)
    action = torch.stack([_following(episodes[row].action, time, steps) for row, time in course.pairs()])
    left = torch.tensor([episodes[row].steps - time for row, time in course.pairs()])
    count, samples, latent = len(z), config.samples, z.shape[-1]
    state = initial_on(memory, count, z.device)
    for step in range(warm):
        state = memory.advance(z[:, step], past[:, step], state)
    state = tuple(part.repeat_interleave(samples, 0) for part in state)
    dreamt, action = z[:, -1].repeat_interleave(samples, 0), action.repeat_interleave(samples, 0)
    returns = torch.zeros(count * samples, dtype=torch.float64, device=z.device)
    found, expected, features = [], [], []
    for step in range(1, steps + 1):
        prediction, state = memory.step(dreamt, action[:, step - 1], state)
        uniform = torch.rand(dreamt.shape, generator=generator).to(z.device)
        normal = torch.randn(dreamt.shape, generator=generator).to(z.device)
        dreamt = prediction.sample(1.0, uniform, normal)
        if step <= config.return_steps:
            returns += prediction.reward.double()
        if step in config.horizons:
            found.append(dreamt.view(count, samples, latent))
            expected.append(prediction.expected_latent().view(count, samples, latent))
            features.append(memory.feature(state).view(count, samples, -1).mean(1))
    return Dreams(
        torch.stack(found, dim=1),
        torch.stack(expected, dim=1),
        torch.stack(features, dim=1),
        left.unsqueeze(1) >= torch.tensor(config.horizons),
        returns.view(count, samples).mean(1).float(),
    )


def _following(action: Tensor, time: int, steps: int) -> Tensor:
    """Return the actions from `time` on, the last one repeated where the episode is over."""
    index = torch.arange(time, time + steps).clamp(max=len(action) - 1)
    return action[index]


def at_horizons(
    latents: Sequence[Float[Tensor, "_ Z"]], starts: HeldOutStarts, horizons: Sequence[int]
) -> Float[Tensor, "N K Z"]:
    """Return an episode's latents at each horizon after each place; the last one where the episode is over."""
    rows = [
        latents[row][(torch.tensor(horizons) + time).clamp(max=len(latents[row]) - 1)] for row, time in starts.pairs()
    ]
    return torch.stack(rows)


def elsewhere(starts: HeldOutStarts) -> np.ndarray:
    """Return, for each place, another one half of all places away, so in another episode where there are several."""
    return np.roll(np.arange(len(starts.row)), len(starts.row) // 2)
