"""What a run would cost, before it is paid: frames, time and disk, from rates measured on this machine just now."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from agents import make_controller
from envs import make_env
from worldmodels.assembly import EnvShape, env_shape, new_memory, new_vision
from worldmodels.config import RunConfig
from worldmodels.dream import Starts, imagine
from worldmodels.episode import Episode, encode_episode
from worldmodels.executor import available_cores
from worldmodels.innovations import Innovations
from worldmodels.loop import LEARNT, keeps_vision, round_config
from worldmodels.memories import SequenceBatch, agent_memory
from worldmodels.perception import Perception, feature_size

BUDGET = 2.0
"""Seconds spent on measuring each rate."""


class Expected(NamedTuple):
    """What a stage takes if every episode lasts."""

    frames: int
    seconds: float
    megabytes: float


class Rates(NamedTuple):
    """What this machine does on one core."""

    cores: int
    """Of them, those that play or dream side by side."""
    env: float
    """Frames a second of one environment, without networks."""
    frame_bytes: float
    """Size of a recorded observation on disk."""
    network: float
    """Seconds that vision and memory take for a step of one environment."""
    vision: float
    """Seconds of an optimiser step of vision."""
    memory: float
    """Seconds of an optimiser step of memory."""
    dream: float
    """Seconds of a step of one dream."""


def estimate(config: RunConfig, stages: Sequence[str]) -> str:
    """Measure this machine for a few seconds and return a table of what the stages would take."""
    workers = config.executor.workers or available_cores()
    rates = _measure(config, workers)
    rows: list[tuple[str, Expected]] = []
    for stage in stages:
        if stage == "loop":
            rows.append((stage, _loop(config, rates)))
        elif stage in COSTS:
            rows.append((stage, COSTS[stage](config, rates)))
    return _table(rows, rates.env, workers)


def _measure(config: RunConfig, workers: int) -> Rates:
    shape = env_shape(config.env)
    env, frame_bytes = _env_rate(config, shape)
    dreams = config.loop.rounds > 0 or config.evolve.world == "dream"
    return Rates(
        min(workers, available_cores()),
        env,
        frame_bytes,
        _network_seconds(config, shape),
        _vision_step(config, shape),
        _memory_step(config, shape),
        _dream_step(config, shape) if dreams else 0.0,
    )


def _collect(config: RunConfig, rates: Rates) -> Expected:
    frames = config.collect.episodes * min(config.env.limit, config.collect.max_frames)
    kept = frames / config.env.action_repeat * rates.frame_bytes / 1e6
    return Expected(frames, frames / (rates.env * rates.cores), kept)


def _evolve(config: RunConfig, rates: Rates) -> Expected:
    evolve, limit = config.evolve, config.env.limit
    tried = evolve.generations * evolve.optimiser.population * evolve.episodes
    validated = -(-evolve.generations // evolve.validation_every) * (evolve.tryouts or evolve.validation_tracks)
    frames = (validated + evolve.finalists * evolve.tracks_again) * limit
    dreaming = 0.0
    if evolve.world == "real":
        frames += tried * limit
    else:
        dreaming = tried * config.dream.horizon * rates.dream / rates.cores
    return Expected(frames, _playing(config, frames, rates) + dreaming, 5.0)


def _evaluate(config: RunConfig, rates: Rates) -> Expected:
    frames = config.evaluate.tracks * config.env.limit
    return Expected(frames, _playing(config, frames, rates), 5.0)


def _playing(config: RunConfig, frames: int, rates: Rates) -> float:
    """Return the seconds that frames with networks take."""
    return frames * (1 / rates.env + rates.network / config.env.action_repeat) / rates.cores


COSTS: dict[str, Callable[[RunConfig, Rates], Expected]] = {
    "collect": _collect,
    "train-vision": lambda config, rates: Expected(0, config.vision.fit.steps * rates.vision, 60.0),
    "train-memory": lambda config, rates: Expected(0, config.memory.fit.steps * rates.memory, 20.0),
    "evolve": _evolve,
    "evaluate": _evaluate,
}
"""What each stage takes; those that are not here take seconds."""


def _loop(config: RunConfig, rates: Rates) -> Expected:
    """Return what all rounds take."""
    before = Path("round before")
    costs = []
    for number in range(config.loop.rounds):
        this = round_config(config, number, before if number else None, before if number else None)
        stages = [stage for stage in LEARNT if not (stage == "train-vision" and keeps_vision(config, number))]
        costs += [COSTS[stage](this, rates) for stage in stages]
    frames = config.loop.finalists * config.loop.final_tracks * config.env.limit
    costs.append(Expected(frames, _playing(config, frames, rates), 0.0))
    return _total(costs)


def _total(costs: Sequence[Expected]) -> Expected:
    frames, seconds, megabytes = (sum(values) for values in zip(*costs, strict=True))
    return Expected(int(frames), seconds, megabytes)


def _table(rows: list[tuple[str, Expected]], rate: float, workers: int) -> str:
    lines = [f"{'stage':14}{'frames':>14}{'time':>12}{'disk':>10}"]
    total = _total([row for _, row in rows])
    for name, row in [*rows, ("in all", total)]:
        lines.append(f"{name:14}{row.frames:>14,}{_duration(row.seconds):>12}{row.megabytes:>7.0f} MB")
    lines.append(
        "Whole episodes are counted: in training some end early, and evolution may ask for more of them. Measured "
        f"on one core just now ({rate:,.0f} frames a second without networks), {workers} workers on "
        f"{available_cores()} cores."
    )
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _env_rate(config: RunConfig, shape: EnvShape) -> tuple[float, float]:
    """Return frames per second of one environment and bytes per recorded observation."""
    env: Any = make_env(config.env)
    obs, _ = env.reset(seed=0)
    frames, kept = 0, [obs]
    begun = time.perf_counter()
    while time.perf_counter() - begun < BUDGET:
        obs, _, terminated, truncated, info = env.step(env.action_space.sample())
        frames += int(info.get("frames", 1))
        kept.append(obs)
        if terminated or truncated:
            env.reset()
    rate = frames / (time.perf_counter() - begun)
    env.close()
    steps = len(kept) - 1
    episode = Episode(
        obs=np.stack(kept),
        action=np.zeros((steps, shape.spec.size), dtype=np.float32),
        reward=np.zeros(steps, dtype=np.float32),
        state=np.zeros((steps + 1, len(shape.state_names)), dtype=np.float32),
        terminated=False,
        truncated=True,
        track=0,
    )
    return rate, len(encode_episode(episode)) / len(kept)


def _network_seconds(config: RunConfig, shape: EnvShape) -> float:
    """Return the seconds that vision and memory take for a step of one environment, at the evolution's batch width."""
    vision: Any = new_vision(config, shape, 0)
    memory = new_memory(config, vision.latent_spec.size, shape.spec, 0)
    rows = config.evolve.envs
    perception = Perception(vision.to(config.features.torch_dtype).eval(), memory.eval(), config.features, rows)
    obs, action = np.zeros((rows, *shape.spaces[0].shape), dtype=np.uint8), torch.zeros(rows, shape.spec.size)

    def step() -> None:
        perception.observe(obs)
        perception.advance(action)

    return _seconds_per_step(step) / rows


def _vision_step(config: RunConfig, shape: EnvShape) -> float:
    vision: Any = new_vision(config, shape, 0)
    if not any(parameter.requires_grad for parameter in vision.parameters()):
        return 0.0
    size, _, channels = shape.spaces[0].shape
    obs = torch.rand(config.vision.batch, channels, size, size)
    return _seconds_per_step(lambda: vision.loss(obs, torch.Generator())[0].backward())


def _memory_step(config: RunConfig, shape: EnvShape) -> float:
    vision: Any = new_vision(config, shape, 0)
    latent = vision.latent_spec.size
    memory: Any = new_memory(config, latent, shape.spec, 0)
    batch, steps = config.memory.batch, config.memory.sequence
    sequences = SequenceBatch(
        torch.randn(batch, steps + 1, latent),
        torch.ones(batch, steps + 1, latent),
        torch.zeros(batch, steps, shape.spec.size),
        torch.zeros(batch, steps),
        torch.zeros(batch, steps),
        torch.ones(batch, steps, dtype=torch.bool),
    )
    return _seconds_per_step(lambda: memory.loss(sequences, torch.Generator())[0].backward())


def _dream_step(config: RunConfig, shape: EnvShape) -> float:
    """Return the seconds that a step of one dream takes, in blocks as large as the run's."""
    vision: Any = new_vision(config, shape, 0)
    latent = vision.latent_spec.size
    memory = new_memory(config, latent, shape.spec, 0).eval()
    agent: Any = agent_memory(memory)
    dreams = config.evolve.episodes
    perception = Perception(vision.eval(), agent, config.features, config.dream.block * dreams)
    controller = make_controller(
        config.controller, feature_size(config.features, latent, agent.feature_size), shape.spec
    )
    rng = np.random.default_rng(0)
    starts = Starts(
        rng.standard_normal((8, latent), dtype=np.float32),
        rng.standard_normal((8, config.dream.warmup + 1, latent), dtype=np.float32),
        rng.random((8, config.dream.warmup, shape.spec.size), dtype=np.float32),
        innovations=Innovations(
            rng.standard_normal((config.dream.among, latent), dtype=np.float32),
            rng.random((config.dream.among, shape.spec.size), dtype=np.float32),
            np.zeros((1, config.dream.among, latent), dtype=np.float32),
        ),
    )
    parameters = np.zeros((config.dream.block, controller.parameters_size), dtype=np.float32)
    seconds = _seconds_per_step(
        lambda: imagine(memory, perception, controller, parameters, list(range(dreams)), starts, config.dream)
    )
    return seconds / (config.dream.block * dreams * config.dream.horizon)


def _seconds_per_step(step: Callable[[], Any]) -> float:
    step()
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < BUDGET:
        step()
        count += 1
    return (time.perf_counter() - begun) / count
