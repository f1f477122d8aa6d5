"""Stage 1: record rollouts. Whole episodes only; run again, it records what is missing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from envs import env_facts
from worldmodels.assembly import EnvShape, env_shape, load_bundle, new_memory, new_vision
from worldmodels.bundle import Bundle, bundle_parts
from worldmodels.collect import CollectSetup, CollectWorker, Order, Recording
from worldmodels.dataset import episode_files, tryout_files
from worldmodels.episode import EpisodeFile, write_episode
from worldmodels.errors import RunError
from worldmodels.executor import available_cores, make_executor
from worldmodels.export import agent_folder
from worldmodels.files import link_file, link_tree, write_json
from worldmodels.loop import LEARNT
from worldmodels.perception import FeaturesConfig
from worldmodels.preflight import check_plan
from worldmodels.run import Progress, Run
from worldmodels.tracks import COLLECT, POLICY, stream, training_tracks
from worldmodels.video import as_rgb, contact_sheet, episode_caption, write_png
from worldmodels.worker import uncharged


def collect(run: Run) -> Iterator[Progress]:
    """Record the run's rollouts and yield the progress in episodes."""
    config = run.config.collect
    folder = run.folder("collect")
    if run.done("collect"):
        yield Progress("collect", config.episodes, config.episodes, "episodes")
        return
    with run.working("collect", run.config.executor.workers or available_cores()):
        check_plan(run.config, run.path, LEARNT)
        shape = env_shape(run.config.env)
        facts = env_facts(run.config.env)
        write_json(folder / "env.json", facts)
        if config.extends:
            take_over(run)
        missing = [order for order in orders(run) if not episode_path(folder, order.number).exists()]
        setup = _setup(run, shape, facts)
        recorded, frames = config.episodes - len(missing), 0
        yield Progress("collect", recorded, config.episodes, "episodes")
        with make_executor(run.config.executor, CollectWorker, setup) as executor:
            for _, recordings in executor.run(_tasks(missing, config.envs)):
                for recording in recordings:
                    _keep(folder, recording)
                    recorded, frames = recorded + 1, frames + recording.frames
                    metrics = {"score": recording.score, "frames": recording.frames}
                    yield Progress("collect", recorded, config.episodes, "episodes", metrics)
        run.finish("collect", _finish(folder))


def orders(run: Run) -> list[Order]:
    """Return the episodes that the configuration asks for: a pure function of it."""
    config, seed = run.config.collect, run.config.seed
    first = taken_over(config.extends)
    tracks = training_tracks(seed, COLLECT, 0, config.episodes)
    seeds = stream(seed, POLICY).integers(2**31, size=config.episodes)
    return [
        Order(first + number, config.policies[number % len(config.policies)], tracks[number], int(seeds[number]))
        for number in range(config.episodes)
    ]


def taken_over(extended: str) -> int:
    """Return how many episodes a run takes over from the one it extends: what it collected, and its tryouts."""
    if not extended:
        return 0
    before = Run(extended)
    return len(episode_files(before.folder("collect"))) + len(tryout_files(before.folder("evolve")))


def take_over(run: Run) -> None:
    """Put the episodes of the run that this one extends into its folder.

    Raises:
        RunError: that run has not finished collecting, or recorded another environment or frames of another kind.
    """
    before = Run(run.config.collect.extends)
    before.require("collect")
    old, new = before.config.env, run.config.env
    if (old.id, old.size, old.crop, old.action_repeat) != (new.id, new.size, new.crop, new.action_repeat):
        raise RunError(
            f"collect.extends={before.path} recorded {old.id} at {old.size} pixels, rows {old.crop}, action repeat "
            f"{old.action_repeat}; this run is about {new.id} at {new.size}, rows {new.crop}, {new.action_repeat}"
        )
    link_tree(before.folder("collect"), run.folder("collect"), "episode_*.zip")
    first = len(episode_files(before.folder("collect")))
    for number, file in enumerate(tryout_files(before.folder("evolve")), first):
        link_file(file.path, episode_path(run.folder("collect"), number))


def episode_path(folder: Path, number: int) -> Path:
    """Return where an episode of a run is kept."""
    return folder / f"episode_{number:06d}.zip"


def _tasks(missing: list[Order], width: int) -> list[list[Order]]:
    """Group orders by policy, as many to a task as a worker steps together."""
    tasks = []
    for policy in dict.fromkeys(order.policy for order in missing):
        mine = [order for order in missing if order.policy == policy]
        tasks += [mine[start : start + width] for start in range(0, len(mine), width)]
    return tasks


def _setup(run: Run, shape: EnvShape, facts: dict[str, object]) -> CollectSetup:
    config = run.config
    limit = min(config.env.max_steps or config.collect.max_frames, config.collect.max_frames)
    bundle, parameters = None, None
    if config.collect.needs_agent:
        bundle, parameters, _ = load_bundle(Run(agent_folder(config.collect.agent)))
        if (bundle.env.id, bundle.env.size, bundle.env.crop) != (config.env.id, config.env.size, config.env.crop):
            raise RunError(
                f"collect.agent={config.collect.agent} drives {bundle.env.id} at {bundle.env.size} pixels, rows "
                f"{bundle.env.crop}; this run is about {config.env.id} at {config.env.size}, rows {config.env.crop}"
            )
    elif "random-agent" in config.collect.policies:
        vision: Any = new_vision(config, shape, config.seed)
        memory = new_memory(config, vision.latent_spec.size, shape.spec, config.seed)
        bundle = Bundle(
            env=config.env,
            spec=shape.spec,
            features=FeaturesConfig(latent="sample"),
            controller=config.controller,
            **bundle_parts(vision, memory),
        )
    env = replace(uncharged(config.env), max_steps=limit)
    return CollectSetup(env, config.collect, bundle, parameters, facts)


def _keep(folder: Path, recording: Recording) -> None:
    write_episode(episode_path(folder, recording.number), recording.content)


def _finish(folder: Path) -> dict[str, object]:
    """Draw the contact sheet and return what the stage leaves."""
    files = episode_files(folder)
    shown = files[:: max(1, len(files) // 12)][:12]
    frames, captions = [], []
    for file in shown:
        episode = file.read()
        frames.append(as_rgb(episode.obs[np.linspace(0, len(episode.obs) - 1, 10).astype(int)]))
        caption = episode_caption(episode.track, float(episode.reward.sum()), len(episode))
        captions.append(f"{file.meta['policy']}  {caption}")
    write_png(folder / "contact_sheet.png", contact_sheet(frames, captions, columns=10))
    returns = [float(file.steps()[1].sum(dtype=np.float64)) for file in files]
    return {
        "episodes": len(files),
        "env_frames": sum(_env_frames(file) for file in files),
        "return_mean": float(np.mean(returns)),
        "bytes": sum(file.path.stat().st_size for file in files),
    }


def _env_frames(file: EpisodeFile) -> int:
    return int(file.meta["env_frames"])
