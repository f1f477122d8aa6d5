"""How fast evolution in dreams is on a GPU: against one core of the processor, and against a bare loop of the step.

A generation is what evolution does, all of it: the optimiser is asked, the noise is drawn and sent to the device,
dreams are dreamt, scores come back and the optimiser is told.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch

from agents import make_optimiser
from generative import component_bytes
from generative.core.facts import Facts
from worldmodels.agent.build import env_shape, new_memory, new_vision
from worldmodels.agent.bundle import Bundle, bundle_parts
from worldmodels.agent.precision import torch_dtype
from worldmodels.benchmark.figure import BenchmarkFigure, Settings, paired, rate
from worldmodels.benchmark.machine import gpu, synchronise, use_cores
from worldmodels.benchmark.measurements.bare_dream import BareDream, Sizes
from worldmodels.benchmark.measurements.networks import product_peak
from worldmodels.config import RunConfig
from worldmodels.config_files import preset
from worldmodels.evolution.dreamer import Dreamer
from worldmodels.evolution.generations import Trials
from worldmodels.evolution.generations import evolve as generations
from worldmodels.evolution.tasks import TrialWorker
from worldmodels.evolution.trial_setup import TrialSetup
from worldmodels.parallel.serial import SerialExecutor
from worldmodels.run.rates import random_starts

DREAMS_ON_DEVICE = BenchmarkFigure(
    "device-dreams",
    "a generation of 64 candidates x 32 dreams x 80 steps on the GPU, against the same on one core",
    "x",
    ">= 200 and 15 million steps/s",
    "steps/s",
)
TIMES, STEPS = 200.0, 15e6
MANY_DREAMS = BenchmarkFigure(
    "device-many",
    "a generation of 1024 candidates x 256 dreams x 80 steps on the GPU, share of a bare captured loop",
    "x",
    ">= 0.5 and 80 million steps/s",
    "steps/s",
)
SHARE, MANY_STEPS = 0.5, 80e6
SMALL, LARGE = (64, 32), (1024, 256)
"""Candidates and dreams."""
HORIZON = 80
FOR_EVER = 10**9


@dataclass(frozen=True)
class Generations:
    """What evolution in dreams is measured with: untrained parts of preset quick, and so many dreams."""

    config: RunConfig
    setup: TrialSetup
    parameters: int
    """N."""

    @property
    def steps(self) -> int:
        """Steps of dreams in a generation."""
        evolve = self.config.evolve
        return evolve.optimiser.population * evolve.episodes * self.config.dream.horizon

    def on(self, device: torch.device | None) -> Iterator[Facts]:
        """Yield after every generation, dreamt on a device or by a worker on the processor, without end."""
        config = self.config.evolve
        dreamer = None if device is None else Dreamer(self.setup, device)
        executor = SerialExecutor(TrialWorker, self.setup.awake() if dreamer else self.setup)
        trials = Trials(executor, self.setup.width, action_cost=config.action_cost, dreamer=dreamer)
        optimiser = make_optimiser(config.optimiser, self.parameters, seed=0)
        log: list[Facts] = []
        for entry, _, _ in generations(config, optimiser, trials, 0, log):
            log.append(entry)
            yield entry


def dream_generations(
    candidates: int, dreams: int, horizon: int, noise: Literal["mixture", "residual"] = "residual"
) -> Generations:
    """Return generations of a size, of preset quick's parts and settings otherwise."""
    config = preset("quick")
    validation = replace(config.evolve.validation, every=FOR_EVER, record=False)
    optimiser = replace(config.evolve.optimiser, population=candidates)
    evolve = replace(config.evolve, generations=FOR_EVER, episodes=dreams, optimiser=optimiser, validation=validation)
    config = replace(config, evolve=evolve, dream=replace(config.dream, horizon=horizon, noise=noise))
    shape = env_shape(config.env)
    vision = new_vision(config, shape, seed=0).eval()
    memory = new_memory(config, vision.latent_spec.size, shape.spec, seed=1).eval()
    bundle = Bundle(
        env=config.env,
        spec=shape.spec,
        features=config.features,
        controller=config.controller,
        dtype="bfloat16",
        generator=component_bytes(memory),
        **bundle_parts(vision, memory if config.features.uses_memory else None),
    )
    starts = random_starts(config, vision.latent_spec.size, shape.spec.size, 1)
    setup = TrialSetup(bundle, config.executor.envs, config.dream, starts, config.evolve.action_cost)
    return Generations(config, setup, bundle.build_controller().parameters_size)


def device_dreams(settings: Settings) -> BenchmarkFigure:
    """Try 64 candidates in 32 dreams each, on the GPU and on one core."""
    return dreams_on(gpu(), settings)


def dreams_on(device: torch.device, settings: Settings) -> BenchmarkFigure:
    """Measure `device-dreams` on a device, whatever it is."""
    size = _scaled(SMALL, settings)
    work = dream_generations(*size)
    ours, theirs = work.on(device), work.on(None)
    for _ in range(3):
        next(ours)  # plain calls, then the recording
    with use_cores(1):
        next(theirs)

    def on_one_core(seconds: float) -> float:
        with use_cores(1):
            return _steps(theirs, work, seconds)

    pairs = paired(lambda seconds: _steps(ours, work, seconds), on_one_core, settings)
    figure = DREAMS_ON_DEVICE.timed(pairs, TIMES)
    detail = _detail(figure, work, size) | {"noise": "recorded residuals", **_parts(ours)}
    return replace(figure, met=bool(figure.met and (figure.ours or 0.0) >= STEPS), detail=detail)


def device_many(settings: Settings) -> BenchmarkFigure:
    """Try 1024 candidates in 256 dreams each on the GPU, and let the bare loop do as many steps."""
    return many_on(gpu(), settings)


def many_on(device: torch.device, settings: Settings) -> BenchmarkFigure:
    """Measure `device-many` on a device, whatever it is; both sides draw from mixtures."""
    size = _scaled(LARGE, settings)
    work = dream_generations(*size, "mixture")
    dtype = torch_dtype("bfloat16", device)
    assert work.setup.starts is not None
    latent = work.setup.starts.initial.shape[1]
    sizes = Sizes(*size, latent, work.setup.bundle.spec.size, work.config.features.uses_memory)
    ours, bare = work.on(device), BareDream(sizes, device, dtype)
    with_residuals = dream_generations(*size)
    slower = with_residuals.on(device)

    def bare_loop() -> int:
        bare()
        synchronise(device)
        return work.steps

    for _ in range(3):
        next(ours), next(slower), bare_loop()
    pairs = paired(lambda seconds: _steps(ours, work, seconds), lambda seconds: rate(bare_loop, seconds), settings)
    figure = MANY_DREAMS.timed(pairs, SHARE)
    peak = product_peak(settings.seconds, device, dtype)
    shares = {
        "with_recorded_residuals_steps_per_second": _steps(slower, with_residuals, settings.seconds),
        "multiply_adds_per_step": sizes.products,
        "peak_teraflops": 2 * peak / 1e12,
        "share_of_peak": (figure.ours or 0.0) * sizes.products / peak,
        "their_share_of_peak": (figure.theirs or 0.0) * sizes.products / peak,
    }
    met = bool(figure.met and (figure.ours or 0.0) >= MANY_STEPS)
    return replace(figure, met=met, detail=_detail(figure, work, size) | {"noise": "mixture"} | _parts(ours) | shares)


def _scaled(size: tuple[int, int], settings: Settings) -> tuple[int, int, int]:
    candidates, dreams = size
    return settings.scaled(candidates, 4), settings.scaled(dreams, 2), settings.scaled(HORIZON, 2)


def _steps(ours: Iterator[Facts], work: Generations, seconds: float) -> float:
    """Return steps per second of whole generations."""

    def generation() -> int:
        next(ours)
        return work.steps

    return rate(generation, seconds)


def _parts(ours: Iterator[Facts]) -> dict[str, float]:
    """Return where one generation's milliseconds go, as evolution itself notes it."""
    timings = next(ours)["timings"]
    return {
        "milliseconds_of_dreams": 1e3 * timings["networks"],
        "milliseconds_of_optimiser": 1e3 * timings["optimiser"],
    }


def _detail(figure: BenchmarkFigure, work: Generations, size: tuple[int, int, int]) -> Facts:
    return {
        **dict(zip(("candidates", "dreams", "horizon"), size, strict=True)),
        "parameters": work.parameters,
        "generations_per_second": (figure.ours or 0.0) / work.steps,
    }
