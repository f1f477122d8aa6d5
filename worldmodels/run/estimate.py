"""What a run costs: the parts of all its stages with frames, seconds and disk, from rates measured on this machine.

A dry run shows them, and the progress of a run counts down along them (`worldmodels.run.plan`).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from worldmodels.config import RunConfig
from worldmodels.dream.film import DREAMS, PREDICTED_FRAMES, STEPS
from worldmodels.evolution.drive import BATCHES
from worldmodels.evolution.rounds import LEARNT, keeps_vision, round_config
from worldmodels.rollouts.config import PolicyName
from worldmodels.run.plan import WORKERS, StagePart
from worldmodels.run.rates import NETWORK_DRIVERS, Rates

START = 5.5
"""Seconds in which Ray's processes start and build their networks."""
LASTS_IN_TRAINING = 0.7
"""Share of its longest time that a training episode lasts: drivers leave the road or finish a lap. Of runs recorded."""
LASTS = 0.9
"""The same of whole episodes."""
BLIND = 0.5
"""What a frame that nobody looks at takes of one that is drawn and recorded."""
SETTLING = 4.0
"""Seconds between memory's last step and evolution's first: figures, starts of dreams, the bundle of parts."""
LOOK_AT = 1.0
"""Seconds in which a stage's pictures and figures are made, where nothing else is said."""
FILMED = 0.02
"""Seconds to draw a large frame and to put it into a film."""
SHOT = 0.03
"""Seconds to decode, draw and film a step of the dream's films."""
DREAMT = 0.002
"""Seconds of a step of a single dream."""
PAGE = 3.0
"""Seconds of the report."""


def plan_parts(config: RunConfig, stages: Sequence[str], rates: Rates) -> list[StagePart]:
    """Return the parts of all stages in order."""
    parts: list[StagePart] = []
    for stage in stages:
        if stage == "loop":
            parts += _loop(config, rates)
        elif stage in PARTS:
            parts += PARTS[stage](config, rates, Before())
    return parts


class Before(NamedTuple):
    """What a round takes over from those before it."""

    episodes: int = 0
    """Recorded ones."""
    encoded: bool = False
    """Whether their latents are taken over too."""
    round: int | None = None


def _collect(config: RunConfig, rates: Rates, before: Before) -> list[StagePart]:
    collect, limit = config.collect, _limit(config, config.collect.max_frames)
    looking = any(name in NETWORK_DRIVERS for name in collect.policies)
    sizes: list[int] = []
    for name in dict.fromkeys(collect.policies):
        mine = len([number for number in range(collect.episodes) if _driver(collect.policies, number) == name])
        sizes += _pieces(mine, min(config.executor.envs, max(1, -(-collect.episodes // rates.cores))))
    share = LASTS_IN_TRAINING if collect.early_stop or looking else 1.0
    seconds = _playing(config, rates, sizes, limit, share, config.executor.envs if looking else 0)
    frames = collect.episodes * limit
    megabytes = frames * share / config.env.action_repeat * rates.frame_bytes / 1e6
    costs = np.full(collect.episodes, seconds / collect.episodes)
    part = StagePart("collect", "episodes", costs, LOOK_AT, before.round, frames=frames, megabytes=megabytes)
    return [_workers("collect", config, before), part]


def _train_vision(config: RunConfig, rates: Rates, before: Before) -> list[StagePart]:
    steps = config.vision.fit.steps
    costs = np.full(steps, rates.vision_step or LOOK_AT / steps)
    return [StagePart("train-vision", "steps", costs, LOOK_AT, before.round, megabytes=60.0)]


def _train_memory(config: RunConfig, rates: Rates, before: Before) -> list[StagePart]:
    new = config.collect.episodes
    frames = LASTS_IN_TRAINING * _limit(config, config.collect.max_frames) / config.env.action_repeat + 1
    costs = np.full(before.episodes + new, frames * rates.encode)
    if before.encoded:
        costs[: before.episodes] = 0.0
    steps = np.full(config.memory.fit.steps, rates.memory_step)
    return [
        StagePart("train-memory", "episodes encoded", costs, 0.0, before.round),
        StagePart("train-memory", "steps", steps, SETTLING, before.round, megabytes=20.0),
    ]


def _evolve(config: RunConfig, rates: Rates, before: Before) -> list[StagePart]:
    evolve, limit = config.evolve, config.env.limit
    validated = evolve.validation.tracks
    sizes = _shared(validated, rates, config.executor.envs)
    share = LASTS_IN_TRAINING if evolve.validation.record else LASTS
    validation = _playing(config, rates, sizes, limit, share, config.executor.envs)
    tried = evolve.optimiser.population * evolve.episodes
    if evolve.world == "real":
        trials = _shared(tried, rates, BATCHES * config.executor.envs)
        trying = _playing(config, rates, trials, limit, LASTS_IN_TRAINING, config.executor.envs)
    else:
        batches = -(-evolve.optimiser.population // rates.dream_batch)
        rounds = -(-batches // rates.dreamers)
        trying = rounds * (rates.dream_begin + config.dream.horizon * rates.dream_step)
        trying *= rates.crowding if rates.dreamers > 1 else 1.0

    def generations(count: int) -> StagePart:
        costs = np.full(count, trying)
        every = evolve.validation.every
        ends = [number for number in range(count) if (number + 1) % every == 0 or number == count - 1]
        costs[ends] += validation
        frames = (tried * count if evolve.world == "real" else 0) + validated * len(ends)
        return StagePart("evolve", "generations", costs, 0.0, before.round, frames=frames * limit, megabytes=5.0)

    parts = [_workers("evolve", config, before), generations(evolve.generations)]
    if evolve.validation.top_k > 1:
        parts.append(_again(config, rates, evolve.validation.top_k, before))
    return parts


def _evaluate(config: RunConfig, rates: Rates, before: Before) -> list[StagePart]:
    tracks, limit, width = config.evaluate.tracks, config.env.limit, config.executor.envs
    seconds = _playing(config, rates, _shared(tracks, rates, width), limit, LASTS, width)
    costs = [np.full(tracks, seconds / tracks)]
    if config.evaluate.baseline:
        blind = BLIND * _playing(config, rates, _shared(tracks, rates, width), limit, 1.0, 0)
        costs.append(np.full(tracks, blind / tracks))
    filmed = limit / max(2, config.env.action_repeat)
    film = LASTS * (limit * rates.frame + filmed * FILMED)
    every = np.concatenate(costs)
    episodes = StagePart("evaluate", "episodes", every, film, frames=len(every) * limit, megabytes=5.0)
    return [_workers("evaluate", config, before), episodes]


def _dream(config: RunConfig, rates: Rates, before: Before) -> list[StagePart]:
    shots = STEPS + config.dream.horizon / 2  # the last dream is shown whole
    watched = PREDICTED_FRAMES / config.env.action_repeat
    driven = max(shots, watched) * config.env.action_repeat * rates.frame
    costs = [len(DREAMS) * config.dream.horizon * DREAMT, driven, shots * SHOT, watched * SHOT]
    part = np.arange(STEPS) * len(costs) // STEPS
    return [StagePart("dream", "steps", np.array(costs)[part] / np.bincount(part, minlength=len(costs))[part])]


def _report(config: RunConfig, rates: Rates, before: Before) -> list[StagePart]:
    return [StagePart("report", "pages", np.array([PAGE]))]


PARTS: dict[str, Callable[[RunConfig, Rates, Before], list[StagePart]]] = {
    "collect": _collect,
    "train-vision": _train_vision,
    "train-memory": _train_memory,
    "evolve": _evolve,
    "evaluate": _evaluate,
    "dream": _dream,
    "report": _report,
}
"""What each stage is made of."""


def _loop(config: RunConfig, rates: Rates) -> list[StagePart]:
    """Return the parts of all rounds, and the top-k re-evaluation."""
    place, parts, episodes = Path("round before"), [], 0
    for number in range(config.loop.rounds):
        this = round_config(config, number, place if number else None, place if number else None)
        keeps = keeps_vision(config, number)
        for stage in LEARNT:
            if stage != "train-vision" or not keeps:
                parts += PARTS[stage](this, rates, Before(episodes, keeps, number))
        episodes += this.collect.episodes
        if this.evolve.validation.record:
            episodes += this.evolve.validation.tracks * -(-this.evolve.generations // this.evolve.validation.every)
    again = _again(config, rates, min(config.evolve.validation.top_k, config.loop.rounds), Before())
    return [*parts, replace(again, stage="loop", costs=again.costs + _start(config), tail=LOOK_AT)]


def _again(config: RunConfig, rates: Rates, count: int, before: Before) -> StagePart:
    """Return the top-k re-evaluation of so many controllers, one after another."""
    tracks, limit = config.evolve.validation.top_k_tracks, config.env.limit
    sizes = _shared(tracks, rates, BATCHES * config.executor.envs)
    each = _playing(config, rates, sizes, limit, LASTS, config.executor.envs)
    return StagePart("evolve", "top k", np.full(count, each), 0.0, before.round, frames=count * tracks * limit)


def _playing(config: RunConfig, rates: Rates, sizes: Sequence[int], limit: int, share: float, width: int) -> float:
    """Return the seconds that the workers play.

    Args:
        config: of the run.
        rates: of this machine.
        sizes: episodes of each task.
        limit: frames of the longest episodes.
        share: of them that the usual episode has.
        width: rows of the networks; 0 where none look. They see as many rows however many episodes have ended.
    """
    busy = [0.0] * rates.cores
    perceive = rates.perceive * width / config.executor.envs
    for episodes in sorted(sizes, reverse=True):
        waves = share * max(1.0, episodes / width) + 1 - share if width else 0.0
        networks = waves * limit / config.env.action_repeat * perceive
        busy[busy.index(min(busy))] += episodes * (rates.reset + share * limit * rates.frame) + networks
    return max(busy) * rates.crowding


def _shared(count: int, rates: Rates, most: int) -> list[int]:
    """Return the sizes of the tasks into which `drive` cuts `count` episodes."""
    return _pieces(count, min(most, max(1, -(-count // rates.cores))))


def _pieces(count: int, size: int) -> list[int]:
    """Return the sizes of the tasks into which `count` episodes are cut."""
    return [min(size, count - start) for start in range(0, count, size)]


def _driver(policies: Sequence[PolicyName], number: int) -> PolicyName:
    return policies[number % len(policies)]


def _limit(config: RunConfig, most: int) -> int:
    return min(config.env.limit, most)


def _start(config: RunConfig) -> float:
    return START if config.executor.type == "ray" else 0.1


def _workers(stage: str, config: RunConfig, before: Before) -> StagePart:
    return StagePart(stage, WORKERS, np.array([_start(config)]), 0.0, before.round)
