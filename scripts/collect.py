"""Stage 1: record rollouts. Whole episodes only; run again, it records what is missing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from envs import EnvConfig, check_environment, env_facts
from generative.report.images import as_rgb, contact_sheet, episode_caption, write_png
from worldmodels.agent.build import EnvShape, env_shape, new_memory, new_vision
from worldmodels.agent.bundle import Bundle, bundle_parts
from worldmodels.agent.config import FeaturesConfig, is_function
from worldmodels.agent.pretrained import agent_folder
from worldmodels.agent.trained import load_bundle
from worldmodels.errors import RunError
from worldmodels.files import link_file, link_tree, write_json, write_text
from worldmodels.machine import available_cores
from worldmodels.parallel.open import open_executor
from worldmodels.rollouts.collect import CollectSetup, CollectWorker, Order, Recording
from worldmodels.rollouts.dataset import episode_files, places_over, recorded_files
from worldmodels.rollouts.episode import EpisodeFile, encode_episode, write_episode
from worldmodels.rollouts.minari_files import MinariEpisodes, minari_name
from worldmodels.run.folder import Progress, Run
from worldmodels.run.preflight import check_plan
from worldmodels.seeds import COLLECT, POLICY, stream, training_tracks


def collect(run: Run) -> Iterator[Progress]:
    """Record the run's rollouts and yield the progress in episodes."""
    config = run.config.collect
    folder = run.folder("collect")
    if run.done("collect"):
        yield Progress("collect", config.episodes, config.episodes, "episodes")
        return
    with run.working("collect", run.config.executor.workers or available_cores()):
        check_plan(run.config, run.path, ("collect",))
        shape = env_shape(run.config.env)
        facts = env_facts(run.config.env)
        if not (folder / "env.json").exists():
            _try_environment(run)
            write_json(folder / "env.json", facts)
        if config.extends:
            take_over(run)
        missing = [order for order in orders(run) if not episode_path(folder, order.number).exists()]
        setup = _setup(run, shape, facts)
        recorded, frames = config.episodes - len(missing), 0
        yield Progress("collect", 0, 1, "workers")
        with open_executor(run.config.executor, CollectWorker, setup) as executor:
            yield Progress("collect", 1, 1, "workers")
            yield Progress("collect", recorded, config.episodes, "episodes")
            for _, recordings in executor.run(_tasks(missing, run.config.executor.envs, executor.workers)):
                for recording in recordings:
                    _keep(folder, recording)
                    recorded, frames = recorded + 1, frames + recording.frames
                    metrics = {"score": recording.score, "frames": recording.frames}
                    yield Progress("collect", recorded, config.episodes, "episodes", metrics)
        check_names(folder, taken_over(run) + config.episodes)
        run.finish("collect", _finish(folder))


def _try_environment(run: Run) -> None:
    """Hold a user's environment against gymnasium's rules, and keep what gymnasium warns of.

    Raises:
        RunError: it breaks a rule, or the same seed leads to something else the second time.
    """
    if run.config.collect.extends:  # tried where the first of these episodes were recorded
        return
    try:
        notes = check_environment(run.config.env)
    except ValueError as error:
        raise RunError(f"env: {error}") from error
    if notes:
        write_text(run.folder("collect") / "env_warnings.txt", "\n".join(notes) + "\n")


def orders(run: Run) -> list[Order]:
    """Return the episodes that the configuration asks for: a pure function of it."""
    config, seed = run.config.collect, run.config.seed
    first = taken_over(run)
    tracks = training_tracks(seed, COLLECT, 0, config.episodes)
    seeds = stream(seed, POLICY).integers(2**31, size=config.episodes)
    return [
        Order(first + number, config.policies[number % len(config.policies)], tracks[number], int(seeds[number]))
        for number in range(config.episodes)
    ]


def taken_over(run: Run) -> int:
    """Return how many episodes a run takes over from what it extends: collected ones, and recorded validations."""
    extended = run.config.collect.extends
    if not extended:
        return 0
    if (name := minari_name(extended)) is not None:
        return len(MinariEpisodes(name, run.config.env, env_shape(run.config.env)))
    before = Run(extended)
    return len(episode_files(before.folder("collect"))) + len(recorded_files(before.folder("evolve")))


def take_over(run: Run) -> None:
    """Put the episodes of the run that this one extends into its folder.

    Raises:
        RunError: that run has not finished collecting, or recorded another environment or frames of another kind.
    """
    if (name := minari_name(run.config.collect.extends)) is not None:
        _take_minari(run, MinariEpisodes(name, run.config.env, env_shape(run.config.env)))
        return
    before = Run(run.config.collect.extends)
    before.require("collect")
    old, new = before.config.env, run.config.env
    if _frames_of(old) != _frames_of(new) or old.action_repeat != new.action_repeat:
        raise RunError(
            f"collect.extends={before.path} recorded {_described(old)}, action repeat {old.action_repeat}; this run is "
            f"about {_described(new)}, action repeat {new.action_repeat}"
        )
    link_tree(before.folder("collect"), run.folder("collect"), "episode_*.zip")
    first = len(episode_files(before.folder("collect")))
    for number, file in enumerate(recorded_files(before.folder("evolve")), first):
        link_file(file.path, episode_path(run.folder("collect"), number))


def _take_minari(run: Run, episodes: MinariEpisodes) -> None:
    """Write the episodes of a Minari data set into the run's folder."""
    for number in range(len(episodes)):
        path = episode_path(run.folder("collect"), number)
        if not path.exists():
            write_episode(path, encode_episode(episodes.episode(number)))


def _frames_of(env: EnvConfig) -> tuple[object, ...]:
    """Return what decides which frames there are of an environment."""
    return env.id, env.wrappers, env.size, env.crop


def _described(env: EnvConfig) -> str:
    wrapped = f" in {', '.join(env.wrappers)}" if env.wrappers else ""
    return f"{env.id}{wrapped} at {env.size} pixels, rows {env.crop}"


def check_names(folder: Path, count: int) -> None:
    """Refuse episodes beside those that a run asks for: it would learn from them.

    Raises:
        RunError: names one.
    """
    asked = {episode_path(folder, number) for number in range(count)}
    for file in episode_files(folder):
        if file.path not in asked:
            raise RunError(f"{file.path} is none of the {count} episodes of this run: take it out of {folder}")


def episode_path(folder: Path, number: int) -> Path:
    """Return where an episode of a run is kept."""
    return folder / f"episode_{number:06d}.zip"


def _tasks(missing: list[Order], width: int, workers: int) -> list[list[Order]]:
    """Group orders by policy, as many to a task as a worker steps together, or as leave something for every worker."""
    size = min(width, max(1, -(-len(missing) // workers)))
    tasks = []
    for policy in dict.fromkeys(order.policy for order in missing):
        mine = [order for order in missing if order.policy == policy]
        tasks += [mine[start : start + size] for start in range(0, len(mine), size)]
    return tasks


def _setup(run: Run, shape: EnvShape, facts: dict[str, object]) -> CollectSetup:
    config = run.config
    limit = min(config.env.limit, config.collect.max_frames)
    bundle, parameters = None, None
    if config.collect.needs_agent and not is_function(config.collect.agent):
        bundle, parameters, _ = load_bundle(Run(agent_folder(config.collect.agent)))
        if _frames_of(bundle.env) != _frames_of(config.env):
            raise RunError(
                f"collect.agent={config.collect.agent} drives {_described(bundle.env)}; this run is about "
                f"{_described(config.env)}"
            )
    elif "random-agent" in config.collect.policies:
        vision = new_vision(config, shape, config.seed)
        memory = new_memory(config, vision.latent_spec.size, shape.spec, config.seed)
        bundle = Bundle(
            env=config.env,
            spec=shape.spec,
            features=FeaturesConfig(latent="sample"),
            controller=config.controller,
            **bundle_parts(vision, memory),
        )
    env = replace(config.env, max_steps=limit)
    return CollectSetup(env, config.collect, bundle, parameters, facts, config.executor.envs)


def _keep(folder: Path, recording: Recording) -> None:
    write_episode(episode_path(folder, recording.number), recording.content)


def _finish(folder: Path) -> dict[str, object]:
    """Draw the contact sheet and return what the stage leaves."""
    files = episode_files(folder)
    shown = [files[place] for place in places_over(len(files), 12)]
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
