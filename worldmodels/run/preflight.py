"""What can be known of a run before its first frame: whether the machine, the files and the sizes allow it.

Whatever is refused here would otherwise be refused hours later, or end in a killed process. Amounts of memory are lower
bounds: what passes may still not fit, what is refused cannot.
"""

import math
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch

from agents import make_controller
from agents.optimisers import FULL_COVARIANCE_LIMIT
from envs import make_env
from generative import resolve_device
from generative.core.without_draws import WithoutDraws
from worldmodels.agent.build import EnvShape, check_config, env_shape, new_memory, new_vision
from worldmodels.agent.config import is_function
from worldmodels.agent.features import feature_size
from worldmodels.agent.predictor import fingerprint
from worldmodels.agent.pretrained import agent_folder
from worldmodels.config import RunConfig
from worldmodels.dream.imagine import BLOCK
from worldmodels.dream.starts import STARTS
from worldmodels.errors import RunError
from worldmodels.evolution.rounds import LEARNT, round_config
from worldmodels.machine import available_cores, check_fits
from worldmodels.memories import agent_memory
from worldmodels.rollouts.minari_files import MinariEpisodes, minari_name
from worldmodels.run.folder import STAGES, Run, check_tracked

T = TypeVar("T")
WORKERS_A_CORE = 32
"""Ray's processes on one core above which a number of workers is a slip."""


def check_plan(config: RunConfig, path: Path | None = None, stages: Sequence[str] = tuple(STAGES)) -> None:
    """Refuse what cannot work, in the user's words, before anything is recorded, trained or written.

    Args:
        config: of the run.
        path: the run folder, which need not be there; None where it does not matter.
        stages: those that are still to be done.

    Raises:
        RunError: names the field or the file, its value and what to do instead.
    """
    if path is not None:
        check_folder(path)
    learns = any(stage in (*LEARNT, "loop") for stage in stages)
    if learns:
        check_tracked(config)
        _check_machine(config)
    check_places(config, path, stages)
    if learns:
        shape = env_shape(config.env)
        _check_frames(config, shape)
        _check_weights(config, shape)
        check_config(config)
        sizes = _sizes(config, shape)
        if not config.collect.extends and any(stage in stages for stage in ("train-vision", "train-memory", "loop")):
            _check_recorded(config)
        _check_memory(config, shape, sizes)
        _check_controller(config, shape, sizes)
    if "evaluate" in stages:
        _check_evaluation(config)


def unfinished(path: Path, stages: Sequence[str]) -> list[str]:
    """Return the stages that a run folder, which need not be there, has not finished."""
    return [stage for stage in stages if not (path / STAGES[stage] / "done.json").exists()]


def check_folder(path: Path) -> None:
    """Refuse a run folder that cannot be made or written.

    Raises:
        RunError: a file is in its place or in that of a folder above, or the disk does not let us write.
    """
    there = next(above for above in (path.absolute(), *path.absolute().parents) if os.path.lexists(above))
    if not there.is_dir():
        raise RunError(f"{path}: {there} is a file, not a folder; choose another name")
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"\0")
    except OSError as error:
        raise RunError(
            f"{path}: nothing can be written in {there} ({error.strerror}); choose another folder, or mend that one"
        ) from error


def _check_machine(config: RunConfig) -> None:
    try:
        resolve_device(config.device)
    except ValueError as error:
        raise RunError(str(error)) from error
    executor = config.executor
    if executor.type == "ray" and not executor.address:
        most = WORKERS_A_CORE * available_cores()
        if executor.workers > most:
            raise RunError(
                f"executor.workers={executor.workers}: this machine has {available_cores()} cores; take at most "
                f"{most}, or 0 for one a core"
            )
        check_fits("executor.type", executor.type, executor.object_store_mb * 2**20)


def check_places(config: RunConfig, path: Path | None, stages: Sequence[str]) -> None:
    """Refuse a field that names a run which is not there or has not finished what is wanted of it.

    What lies in the run's own folder is made by the run itself: the rounds of a loop name one another.

    Raises:
        RunError: names the field.
    """
    needed = {
        "collect.agent": ("collect", "evolve", config.collect.agent),
        "collect.extends": ("collect", "collect", config.collect.extends),
        "vision.start": ("train-vision", "train-vision", config.vision.start),
        "memory.start": ("train-memory", "train-memory", config.memory.start),
        "evolve.start": ("evolve", "evolve", config.evolve.start),
        **{
            f"accuracy.histories[{number}]": ("collect" if "collect" in stages else "accuracy", "evolve", name)
            for number, name in enumerate(config.accuracy.histories)
        },
    }
    for field, (user, stage, name) in needed.items():
        later = user not in stages and not ("loop" in stages and user in LEARNT)
        inside = path is not None and Path(name).absolute().is_relative_to(path.absolute())
        kept = field == "evolve.start" and path is not None and (path / STAGES["evolve"] / "start.json").exists()
        if not name or later or inside or kept:
            continue
        try:
            if field == "collect.extends" and (data := minari_name(name)) is not None:
                MinariEpisodes(data, config.env, env_shape(config.env))
                continue
            if field == "collect.agent" and is_function(name):
                fingerprint(name, env_shape(config.env))
                continue
            Run(agent_folder(name) if field == "collect.agent" else name).require(stage)
        except RunError as error:
            raise RunError(f"{field}={name}: {error}") from error


def _check_frames(config: RunConfig, shape: EnvShape) -> None:
    """Refuse frames of which a worker cannot hold the few that it needs."""
    env = make_env(config.env)
    try:
        drawn = math.prod(env.unwrapped.observation_space.shape or ())
    finally:
        env.close()
    check_fits("env.options or env.id: frames", f"of {drawn:,} numbers", 2 * drawn * config.executor.envs)
    seen = math.prod(shape.spaces[0].shape)
    check_fits("env.size", config.env.size, seen * longest(config) * config.executor.envs)
    check_fits("executor.envs", config.executor.envs, (seen + drawn) * config.executor.envs)


def _check_weights(config: RunConfig, shape: EnvShape) -> None:
    """Refuse networks whose weights, gradients and Adam's two means do not fit, without making them."""
    vision = imagined(lambda: new_vision(config, shape, config.seed))
    if vision is None:
        return
    size = vision.latent_spec.size
    memory = imagined(lambda: new_memory(config, size, shape.spec, config.seed))
    for section, module in (("vision", vision), ("memory", memory)):
        if module is not None:
            weights = sum(each.numel() for each in module.parameters())
            check_fits(f"{section}.options", f"{weights:,} weights", 16 * weights)


def imagined(build: Callable[[], T]) -> T | None:
    """Return a network without numbers; None where its own package cannot build it so."""
    try:
        with torch.device("meta"), WithoutDraws():
            return build()
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return None


def longest(config: RunConfig) -> int:
    """Return the steps of the longest episode that can be recorded."""
    limit = config.env.max_steps or config.collect.max_frames
    frames = min(config.collect.max_frames, limit)
    if config.loop.rounds > 1:
        later = [round_config(config, number, Path(), Path()) for number in (1, config.loop.rounds - 1)]
        records = config.evolve.validation.record
        frames = max(frames, limit if records else min(limit, max(each.collect.max_frames for each in later)))
    return -(-frames // config.env.action_repeat)


class _Sizes(NamedTuple):
    latent: int
    hidden: int
    """Numbers that an agent reads of its memory."""


def _sizes(config: RunConfig, shape: EnvShape) -> _Sizes:
    with WithoutDraws():
        vision = new_vision(config, shape, config.seed)
        latent = int(vision.latent_spec.size)
        memory = agent_memory(new_memory(config, latent, shape.spec, config.seed))
    return _Sizes(latent, int(memory.feature_size))


def _check_recorded(config: RunConfig) -> None:
    """Refuse batches and starts for which not enough will have been recorded."""
    steps = longest(config)
    recorded = config.collect.episodes * -(-config.collect.max_frames // config.env.action_repeat)
    for field, value in (("memory.batch", config.memory.batch), ("vision.batch", config.vision.batch)):
        if value > recorded:
            raise RunError(
                f"{field}={value}: collect.episodes={config.collect.episodes} records {recorded:,} steps at most; set "
                "a smaller batch, or collect more"
            )
    if config.dream.warmup > steps:
        raise RunError(
            f"dream.warmup={config.dream.warmup}: an episode has {steps} steps at most (frames over "
            "env.action_repeat); lower it, or raise collect.max_frames"
        )
    if config.dream.warmup + config.dream.min_steps_to_end > steps:
        raise RunError(
            f"dream.min_steps_to_end={config.dream.min_steps_to_end}: with dream.warmup={config.dream.warmup} more "
            f"than the {steps} steps of the longest episode; lower one of them"
        )


def _check_memory(config: RunConfig, shape: EnvShape, sizes: _Sizes) -> None:
    """Refuse batches and buffers that this machine cannot hold."""
    memory, vision, dream = config.memory, config.vision, config.dream
    # Bytes of a step: posterior, noise, prediction, hidden state, and gradients.
    step = 4 * (6 * sizes.latent + 2 * sizes.hidden + shape.spec.size)
    frame = math.prod(shape.spaces[0].shape)
    check_fits("memory.batch", memory.batch, memory.batch * (memory.sequence + 1) * step)
    check_fits("vision.batch", vision.batch, 3 * 4 * vision.batch * frame)
    check_fits("vision.buffer", vision.buffer, min(vision.buffer, config.collect.episodes * longest(config)) * frame)
    check_fits("dream.warmup", dream.warmup, 4 * STARTS * (dream.warmup + 1) * sizes.latent)
    if config.evolve.world == "dream":
        check_fits("evolve.episodes", config.evolve.episodes, BLOCK * config.evolve.episodes * step)


def _check_controller(config: RunConfig, shape: EnvShape, sizes: _Sizes) -> None:
    """Refuse a controller that the optimiser cannot search, or whose candidates do not fit."""
    features = feature_size(config.features, sizes.latent, sizes.hidden)
    size = make_controller(config.controller, features, shape.spec).parameters_size
    optimiser = config.evolve.optimiser
    if optimiser.type == "cma" and size > FULL_COVARIANCE_LIMIT:
        raise RunError(
            f"evolve.optimiser.type=cma: the controller has {size:,} parameters, too many for a full covariance (limit "
            f"{FULL_COVARIANCE_LIMIT:,}); take evolve.optimiser.type=sep-cma, or a smaller controller"
        )
    check_fits("evolve.optimiser.population", optimiser.population, 12 * optimiser.population * size)


def _check_evaluation(config: RunConfig) -> None:
    """Refuse an agent that cannot drive, and an environment that does not exist or has other actions or frames."""
    if config.evaluate.agent:
        try:
            fingerprint(config.evaluate.agent, env_shape(config.env))
        except RunError as error:
            raise RunError(f"evaluate.agent={error}") from error
    other = config.evaluate.env
    if not other or other == config.env.id:
        return
    ours = env_shape(config.env)
    try:
        shape = env_shape(replace(config.env, id=other))
    except RunError as error:
        raise RunError(f"evaluate.env={other}: {error}") from error
    if shape.spaces != ours.spaces:  # how outputs become actions is the agent's own
        raise RunError(
            f"evaluate.env={other}: has {shape.spaces[0]} and {shape.spaces[1]}, the agent was made for "
            f"{ours.spaces[0]} and {ours.spaces[1]}; name another drawing of the same world, or leave it out"
        )
