"""What a run would cost, before it is paid: frames, time and disk, from rates measured on this machine just now."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from envs import make_env
from worldmodels.assembly import EnvShape, env_shape, new_memory, new_vision
from worldmodels.config import RunConfig
from worldmodels.episode import Episode, encode_episode
from worldmodels.executor import available_cores
from worldmodels.memories import SequenceBatch
from worldmodels.perception import Perception

BUDGET = 2.0
"""Seconds spent on measuring each rate."""


class Expected(NamedTuple):
    """What a stage takes if every episode lasts."""

    frames: int
    seconds: float
    megabytes: float


def estimate(config: RunConfig, stages: Sequence[str]) -> str:
    """Measure this machine for a few seconds and return a table of what the stages would take."""
    shape = env_shape(config.env)
    workers = config.executor.workers or available_cores()
    rows: list[tuple[str, Expected]] = []
    rate, frame_bytes = _env_rate(config, shape)
    limit = config.env.max_steps or 1000
    cores = min(workers, available_cores())
    recording = rate * cores
    playing = cores / (1 / rate + _network_seconds(config, shape) / config.env.action_repeat)
    if "collect" in stages:
        frames = config.collect.episodes * min(limit, config.collect.max_frames)
        rows.append(
            ("collect", Expected(frames, frames / recording, frames / config.env.action_repeat * frame_bytes / 1e6))
        )
    if "train-vision" in stages:
        steps = config.vision.fit.steps
        rows.append(("train-vision", Expected(0, steps * _vision_step(config, shape), 60.0)))
    if "train-memory" in stages:
        rows.append(("train-memory", Expected(0, config.memory.fit.steps * _memory_step(config, shape), 20.0)))
    if "evolve" in stages:
        evolve = config.evolve
        validated = -(-evolve.generations // evolve.validation_every) * evolve.validation_tracks
        played = evolve.generations * evolve.optimiser.population * evolve.episodes if evolve.world == "real" else 0
        frames = (validated + played) * limit
        rows.append(("evolve", Expected(frames, frames / playing, 5.0)))
    if "evaluate" in stages:
        frames = config.evaluate.tracks * limit
        rows.append(("evaluate", Expected(frames, frames / playing, 5.0)))
    return _table(rows, rate, workers)


def _table(rows: list[tuple[str, Expected]], rate: float, workers: int) -> str:
    lines = [f"{'stage':14}{'frames':>14}{'time':>12}{'disk':>10}"]
    total = Expected(*(sum(values) for values in zip(*(row for _, row in rows), strict=True)))  # type: ignore[arg-type]
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


def _seconds_per_step(step: Callable[[], Any]) -> float:
    step()
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < BUDGET:
        step()
        count += 1
    return (time.perf_counter() - begun) / count
