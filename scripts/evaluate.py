"""Stage 5: measure the chosen controller on held-out test tracks, and film an episode of median return."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from envs import EnvConfig, frame_rate, make_env
from generative import ComponentError
from generative.core.facts import Facts
from generative.metrics.images.colour_maps import FITTED, tabled_colours
from generative.report.images import as_rgb
from generative.report.video import write_webm
from generative.runs.run_folder import TrainingRun
from scripts.generative.runs.assembly import open_run
from scripts.generative.runs.items import inputs, places
from worldmodels.agent.agent import Agent
from worldmodels.agent.build import env_shape
from worldmodels.agent.bundle import Bundle
from worldmodels.agent.predictor import ForeignDriver, build_predictor, fingerprint
from worldmodels.agent.trained import load_bundle
from worldmodels.errors import RunError
from worldmodels.evolution.config import EvaluateConfig
from worldmodels.evolution.drive import drive
from worldmodels.evolution.evaluate import episode_row, episodes_csv, median_track, paired_rows, summarise_rows
from worldmodels.evolution.tasks import TrialWorker
from worldmodels.evolution.trial_setup import TrialSetup
from worldmodels.files import append_line, read_lines, write_json, write_text
from worldmodels.machine import available_cores
from worldmodels.parallel.executor import Executor
from worldmodels.parallel.open import open_executor
from worldmodels.rollouts.translated import Translated, Translator
from worldmodels.run.folder import Progress, Run
from worldmodels.seeds import TEST

FILMED = 25
"""Pictures a second that are enough for a film of the drive."""


def evaluate(run: Run) -> Iterator[Progress]:
    """Evaluate the run's controller and yield the progress in test episodes.

    A finished episode is kept: run again, only the missing tracks are played, and more tracks may be asked for. So are
    episodes in another drawing of the same world (`evaluate.env`) or through a translator (`evaluate.translator`): the
    summary compares them track by track. An agent of another library (`evaluate.agent`) needs no finished stage.
    """
    config = run.config.evaluate
    if not config.agent:
        run.require("evolve")
    driver = fingerprint(config.agent, env_shape(run.learnt.env)) if config.agent else ""
    total = config.tracks * (2 if config.baseline else 1)
    done = run.done("evaluate")
    env = config.world(run.learnt.env.id)
    asked = (config.tracks, env, driver, config.baseline)
    if done and (done["tracks"], done["env"], done.get("driver", ""), done["baseline"] is not None) == asked:
        yield Progress("evaluate", total, total, "episodes")
        return
    translator = translator_of(config)
    with run.working("evaluate", run.config.executor.workers or available_cores()):
        bundle, parameters, facts = _nobody(run) if config.agent else load_bundle(run)
        bundle = replace(bundle, env=replace(bundle.env, id=config.env or run.learnt.env.id))
        setup = TrialSetup(bundle, run.config.executor.envs, translator=translator, agent=config.agent)
        yield Progress("evaluate", 0, 1, "workers")
        with open_executor(run.config.executor, TrialWorker, setup) as executor:
            yield Progress("evaluate", 1, 1, "workers")
            run.reopen("evaluate")
            arms: dict[str, np.ndarray | None] = {"episodes": parameters}
            if config.baseline:
                arms["baseline"] = None
            yield Progress("evaluate", sum(len(_kept(run, name, driver)) for name in arms), total, "episodes")
            offset = 0
            for name, arm in arms.items():
                for count, mean in _play(run, executor, name, arm, driver):
                    yield Progress("evaluate", offset + count, total, "episodes", {f"{name}_mean": mean})
                offset += config.tracks
        rows = {name: list(_kept(run, name, driver).values()) for name in arms}
        for name, found in rows.items():
            write_text(run.folder("evaluate") / f"{name}.csv", episodes_csv(found))
        agent = ForeignDriver(build_predictor(config.agent), bundle.spec) if config.agent else Agent(bundle, parameters)
        film_drive(run, bundle.env, agent, median_track(rows["episodes"]), translator)
        run.finish("evaluate", _facts(run, rows, facts, driver))


def _nobody(run: Run) -> tuple[Bundle, np.ndarray, Facts]:
    """Return a bundle of nothing but the environment, where an agent of another library drives."""
    config, shape = run.learnt, env_shape(run.learnt.env)
    bundle = Bundle(config.env, shape.spec, config.features, config.controller, vision={}, memory=None)
    return bundle, np.zeros(0, dtype=np.float32), {}


def translator_of(config: EvaluateConfig) -> Translator | None:
    """Return what translates frames; None where nothing does.

    Raises:
        RunError: there is no such run, it has not ended, or its model does not translate.
    """
    if not config.translator:
        return None
    try:
        module, data = open_run(TrainingRun(config.translator))
    except ComponentError as error:
        raise RunError(f"evaluate.translator={config.translator}: {error}") from error
    translator = Translator.of(module)
    if not config.colours:
        return translator
    first, second = (data.tensor(name, places(data, FITTED)) for name in inputs(module)[:2])
    return Translator(colours=tabled_colours(second, first))


def _play(
    run: Run, executor: Executor, name: str, parameters: np.ndarray | None, driver: str
) -> Iterator[tuple[int, float]]:
    """Play the missing tracks of an arm and keep each episode as it ends."""
    learnt = run.learnt
    env = run.config.evaluate.world(run.learnt.env.id)
    kept = _kept(run, name, driver)
    missing = [track for track in TEST[: run.config.evaluate.tracks] if track not in kept]
    names = env_shape(learnt.env).state_names
    arm = None if parameters is None else parameters[None]
    for driven in drive(executor, arm, missing, most=run.config.executor.envs):
        kept[driven.track] = episode_row(driven.track, driven.played, names) | {"env": env, "driver": driver}
        append_line(run.folder("evaluate") / f"{name}.jsonl", kept[driven.track])
        yield len(kept), float(np.mean([row["return"] for row in kept.values()]))


def _kept(run: Run, name: str, driver: str) -> dict[int, Facts]:
    """Return the finished episodes of an arm by track, those that the configuration and this driver ask for."""
    env, tracks = run.config.evaluate.world(run.learnt.env.id), TEST[: run.config.evaluate.tracks]
    lines = read_lines(run.folder("evaluate") / f"{name}.jsonl")
    found = [row for row in lines if (row["env"], row.get("driver", "")) == (env, driver)]
    return {row["track"]: row for row in found if row["track"] in tracks}


def _facts(run: Run, rows: dict[str, list[Facts]], agent: Facts, driver: str) -> Facts:
    """Return what came of it; of an agent of another library nobody knows here what it cost."""
    summaries = {name: summarise_rows(found)[1] for name, found in rows.items()}
    trained = run.done("evolve") or {}
    collected = run.done("collect") or {}
    facts = {
        "tracks": run.config.evaluate.tracks,
        "summary": summaries["episodes"],
        "baseline": summaries.get("baseline"),
        "paired": _paired(run, rows["episodes"]),
        "action_repeat": run.learnt.env.action_repeat,
        "env": run.config.evaluate.world(run.learnt.env.id),
    }
    if driver:
        facts["driver"] = driver
    else:
        facts["chosen_generation"] = agent["generation"]
        facts["env_frames_before"] = sum(
            found.get(name, 0) for found in (collected, trained) for name in ("env_frames", "start_frames")
        )
        facts["core_hours_before"] = round(run.core_hours() + trained.get("start_core_hours", 0.0), 4)
    write_json(run.folder("evaluate") / "summary.json", facts)
    return facts


def _paired(run: Run, rows: list[Facts]) -> Facts:
    """Return, for every other environment in which these tracks were all driven, the paired difference in return."""
    tracks = {row["track"] for row in rows}
    others: dict[str, dict[int, Facts]] = {}
    for row in read_lines(run.folder("evaluate") / "episodes.jsonl"):
        if row["env"] != rows[0]["env"] and row["track"] in tracks:
            others.setdefault(row["env"], {})[row["track"]] = row
    return {env: paired_rows(rows, list(found.values())) for env, found in others.items() if set(found) == tracks}


def film_drive(
    run: Run, config: EnvConfig, driver: Agent | ForeignDriver, track: int, translator: Translator | None = None
) -> None:
    """Write a video of an agent on a track: as the environment renders it, or else as the model sees it."""
    env = make_env(config)
    renders = "rgb_array" in env.metadata.get("render_modes", ())
    if renders:
        env.close()
        env = make_env(config, render_mode="rgb_array")
    if translator is not None:
        env = Translated(env, translator.load())
    steps = frame_rate(env) / config.action_repeat  # a second
    every = max(1, int(steps / FILMED))

    def frames() -> Iterator[np.ndarray]:
        obs, _ = env.reset(seed=track)
        driver.reset(track)
        ended, step = False, 0
        while not ended:
            if step % every == 0:
                image = np.asarray(env.render()) if renders else obs.repeat(4, 0).repeat(4, 1)
                yield as_rgb(np.atleast_3d(image))
            obs, _, terminated, truncated, _ = env.step(driver.act(obs))
            ended, step = terminated or truncated, step + 1

    try:
        write_webm(run.folder("evaluate") / "drive.webm", frames(), steps / every)
    finally:
        env.close()
