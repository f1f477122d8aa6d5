"""How fast vision and memory train on a GPU: replayed against plain steps, and against cores of the processor."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from envs import EnvConfig
from generative import fit, to_float
from worldmodels.benchmark.figure import BenchmarkFigure, Settings, Window, paired, rate
from worldmodels.benchmark.machine import gpu, use_cores
from worldmodels.benchmark.measurements.environments import OURS
from worldmodels.benchmark.measurements.evaluation import driven_frames
from worldmodels.benchmark.measurements.networks import FRAMES, LATENT, SPEC
from worldmodels.config_files import preset
from worldmodels.machine import available_cores
from worldmodels.memories import SequenceBatch
from worldmodels.memories.registry import MEMORIES
from worldmodels.vision.registry import VISIONS

VISION_ON_DEVICE = BenchmarkFigure(
    "device-vision",
    "training frames of vision on the GPU at the preset's batch, replayed steps against plain ones",
    "x",
    ">= 5 and 60,000 frames/s",
    "frames/s",
)
TIMES, FRAMES_A_SECOND = 5.0, 60_000.0
MEMORY_ON_DEVICE = BenchmarkFigure(
    "device-memory", "training steps of memory on the GPU, against two cores", "x", ">= 10", "steps/s"
)
MEMORY_TIMES = 10.0
CORES = 2
LOGGED = 25
"""Steps after which figures are read from the device."""
ORDERS = 64
"""Different batches of frames."""
POOL = 16
"""Different batches of sequences."""


@dataclass(frozen=True)
class EndlessTraining:
    """A training that never ends; each item it yields is `logged` steps."""

    rows: Iterator[dict[str, float]]
    logged: int
    batch: int = 1
    """What counts in a step: 1, or its frames."""

    def begun(self) -> "EndlessTraining":
        """Return itself after its first steps, in which libraries choose their kernels and recordings are made."""
        next(self.rows)
        return self

    def window(self, seconds: float) -> float:
        """Train for about so many seconds and return steps, or frames, per second."""

        def some() -> int:
            next(self.rows)
            return self.logged * self.batch

        return rate(some, seconds)


def device_vision(settings: Settings) -> BenchmarkFigure:
    """Train the vision of preset quick on frames in the GPU's memory, its steps replayed and not."""
    return vision_on(gpu(), settings)


def vision_on(device: torch.device, settings: Settings) -> BenchmarkFigure:
    """Measure `device-vision` on a device, whatever it is."""
    config = preset("quick").vision
    size = max(min(settings.scaled(FRAMES), FRAMES), 2 * config.batch)
    frames = torch.from_numpy(driven_frames(EnvConfig(id=OURS, crop=(0, 84)), size)).to(device)
    ours, theirs = (
        _vision(frames, config, device, replayed=replayed, logged=settings.scaled(LOGGED)).begun()
        for replayed in (True, False)
    )
    figure = VISION_ON_DEVICE.timed(
        paired(ours.window, theirs.window, settings),
        TIMES,
        batch=config.batch,
        precision=config.fit.resolved(device).precision,
    )
    return replace(figure, met=bool(figure.met and (figure.ours or 0.0) >= FRAMES_A_SECOND))


def _vision(frames: Tensor, config: Any, device: torch.device, replayed: bool, logged: int) -> EndlessTraining:
    module = VISIONS.create(config.type, config.options, seed=0)

    def batches(start: int) -> Iterator[Tensor]:
        orders = np.random.default_rng(start).integers(len(frames), size=(ORDERS, config.batch))
        for chosen in itertools.cycle(torch.from_numpy(orders).to(device)):
            yield frames.index_select(0, chosen)

    rows = fit(
        module if replayed else plain(module),
        batches,
        replace(config.fit, steps=10**9),
        seed=0,
        device=str(device),
        log_every=logged,
        prepare=to_float,
    )
    return EndlessTraining(rows, logged, config.batch)


def plain(module: nn.Module) -> nn.Module:
    """Return a component whose steps are not replayed: its class is derived, and makes no promise of fixed steps."""
    kind = type(module)
    module.__class__ = type(f"Plain{kind.__name__}", (kind,), {})
    return module


def device_memory(settings: Settings) -> BenchmarkFigure:
    """Train the memory of preset quick on the GPU and on two cores, and note what all cores do."""
    return memory_on(gpu(), settings)


def memory_on(device: torch.device, settings: Settings) -> BenchmarkFigure:
    """Measure `device-memory` on a device, whatever it is."""
    config, logged = preset("quick").memory, settings.scaled(LOGGED)
    batches = sequence_batches(config.batch, config.sequence)
    ours = _memory(batches, config, device, logged).begun()
    few = _on_cores(CORES, _memory(batches, config, torch.device("cpu"), logged))
    pairs = paired(ours.window, few, settings)
    every = _on_cores(available_cores(), _memory(batches, config, torch.device("cpu"), logged))
    return MEMORY_ON_DEVICE.timed(
        pairs,
        MEMORY_TIMES,
        batch=config.batch,
        sequence=config.sequence,
        precision=config.fit.resolved(device).precision,
        cores=available_cores(),
        steps_per_second_on_all_cores=every(settings.seconds),
    )


def _on_cores(cores: int, training: EndlessTraining) -> Window:
    """Return a window of a training that has so many cores to itself, and has begun."""

    def window(seconds: float) -> float:
        with use_cores(cores):
            return training.window(seconds)

    with use_cores(cores):
        training.begun()
    return window


def _memory(batches: list[SequenceBatch], config: Any, device: torch.device, logged: int) -> EndlessTraining:
    sizes = replace(config.options, latent=LATENT, action=SPEC.size, reward_target=config.reward.type)
    module = MEMORIES.create(config.type, sizes, seed=0)
    moved = [SequenceBatch(*(part.to(device) for part in batch)) for batch in batches]

    def stream(start: int) -> Iterator[SequenceBatch]:
        while True:
            yield moved[start % POOL]
            start += 1

    options = replace(config.fit, steps=10**9)
    return EndlessTraining(fit(module, stream, options, seed=0, device=str(device), log_every=logged), logged)


def sequence_batches(batch: int, length: int) -> list[SequenceBatch]:
    """Return batches of random sequences; what a step takes does not depend on the numbers in them."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return [
        SequenceBatch(
            mean=random(batch, length + 1, LATENT),
            std=torch.zeros(batch, length + 1, LATENT),
            action=random(batch, length, SPEC.size).clamp(-1, 1),
            reward=random(batch, length).sigmoid(),
            termination=(random(batch, length) > 2).float(),
            mask=torch.ones(batch, length, dtype=torch.bool),
        )
        for _ in range(POOL)
    ]
