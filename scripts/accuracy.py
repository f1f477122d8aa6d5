"""Measure the world model itself on held-out tracks: predictions compared with simple guesses, dreams with reality."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

import numpy as np

from generative import component_bytes, resolve_device
from generative.core.facts import Facts
from generative.report.images import write_png
from worldmodels.accuracy.card import Parts, card, measure, training_guesses
from worldmodels.accuracy.config import card_config
from worldmodels.accuracy.data import SETS, HeldOut, driven, encode, record
from worldmodels.accuracy.fingerprint import fingerprint
from worldmodels.accuracy.measures.agreement import History, agreement, controllers, evenly
from worldmodels.accuracy.page import render_card
from worldmodels.accuracy.plots import sheet
from worldmodels.accuracy.verdict import findings_of_card, judged_set, verdict
from worldmodels.agent.build import env_shape, new_memory
from worldmodels.agent.bundle import Bundle
from worldmodels.agent.trained import load_bundle, load_memory, load_vision
from worldmodels.dream.of_run import load_starts
from worldmodels.errors import RunError
from worldmodels.evolution.dreamer import gpu_dreamer
from worldmodels.evolution.drive import BATCHES, Cost, drive
from worldmodels.evolution.generations import Trials, optimiser_seed
from worldmodels.evolution.starting_point import starting_point
from worldmodels.evolution.tasks import TrialWorker
from worldmodels.evolution.trial_setup import TrialSetup
from worldmodels.evolution.warm_start import same_parts
from worldmodels.files import read_lines, write_json, write_text
from worldmodels.memories.fit import set_codes
from worldmodels.parallel.open import open_executor
from worldmodels.rollouts.dataset import episode_files, split
from worldmodels.run.folder import Progress, Run
from worldmodels.seeds import VALIDATION
from worldmodels.vision.encode import encode_rollouts, latent_file

Agent = tuple[Bundle, np.ndarray]


def accuracy(run: Run) -> Iterator[Progress]:
    """Write `accuracy/card.json`, `index.html` and `card.png` and yield the progress in parts of the card.

    Needs a trained vision and memory; without a controller only what needs none is measured. Everything runs in this
    process. Recorded episodes are kept; run again, the card is made anew if parts, agent or options have changed.
    """
    run.require("collect", "train-vision", "train-memory")
    subject = fingerprint(run)
    total = 2 * len(SETS) + 2
    if (run.done("accuracy") or {}).get("subject") == subject:
        yield Progress("accuracy", total, total, "parts")
        return
    with run.working("accuracy"):
        agent, settings = load_agent_of(run), card_config(run.learnt.env.limit)
        sets: dict[str, list[HeldOut]] = {}
        skipped: Facts = {}
        for count, name in enumerate(SETS):
            yield Progress("accuracy", count, total, "parts")
            if agent is None and "agent" in driven(name, settings).drivers:
                skipped[name] = {"skipped": f"no controller yet: run `worldmodels evolve {run.path}` first"}
            else:
                sets[name] = held_out(run, name, agent)
        found: dict[str, Facts] = {}
        for name, measured in _measure(run, sets):
            found[name] = measured
            yield Progress("accuracy", len(SETS) + len(found), total, "parts")
        agreed = _agreement(run, agent)
        yield Progress("accuracy", 2 * len(SETS) + 1, total, "parts")
        result = card(_facts(run), {**found, **skipped}, agreed, settings, run.config.accuracy)
        folder = run.folder("accuracy")
        run.reopen("accuracy")
        write_json(folder / "card.json", result)
        if (picture := sheet(result)) is not None:
            write_png(folder / "card.png", picture)
        write_text(folder / "index.html", render_card(result))
        run.finish("accuracy", {"subject": subject, **headline(result)})
        yield Progress("accuracy", total, total, "parts")


def load_agent_of(run: Run) -> Agent | None:
    """Return the bundle and the parameters of the best controller so far, or None."""
    if run.done("evolve") is None and not (run.folder("evolve") / "agent.json").exists():
        return None
    return load_bundle(run)[:2]


def held_out(run: Run, name: str, agent: Agent | None) -> list[HeldOut]:
    """Return the held-out episodes of a set, recorded where they are missing."""
    config, device = run.learnt, resolve_device(run.config.device)
    vision = load_vision(run).to(device)
    folder = run.folder("accuracy") / "episodes"
    files = record(folder, name, config.env, agent, card_config(config.env.limit), config.executor.envs)
    return [encode(file, vision, config.memory.termination, device) for file in files]


def _measure(run: Run, sets: dict[str, list[HeldOut]]) -> Iterator[tuple[str, Facts]]:
    vision, memory = load_vision(run), load_memory(run)
    learnt = run.learnt
    shape = env_shape(learnt.env)
    untrained = new_memory(learnt, vision.latent_spec.size, shape.spec, learnt.seed + 1).eval()
    set_codes(vision, untrained)
    training = split(episode_files(run.folder("collect")))[0]
    for _ in encode_rollouts(run, training, vision):
        pass
    guesses = training_guesses([latent_file(run, file) for file in training], run.config.seed)
    device = resolve_device(run.config.device)  # where the held-out latents are
    parts = Parts(vision.to(device), memory.to(device), untrained.to(device), shape.state_names)
    yield from measure(parts, sets, guesses, card_config(learnt.env.limit), run.config.seed)


def _agreement(run: Run, agent: Agent | None) -> Facts:
    """Let controllers of many qualities act in both worlds."""
    config, asked = run.learnt, run.config.accuracy
    if not asked.controllers:
        return {"skipped": "accuracy.controllers=0"}
    if agent is None or not (asked.histories or read_lines(run.folder("evolve") / "generations.jsonl")):
        return {"skipped": "the history of a controller is needed (controller/generations.jsonl): evolve one first"}
    bundle = replace(agent[0], generator=component_bytes(load_memory(run)))
    parameters = _controllers(run, agent[0], asked.taken)
    seeds = list(VALIDATION[: asked.controller_dreams])
    setup = TrialSetup(bundle, config.executor.envs, config.dream, load_starts(run))
    dreamer = gpu_dreamer(setup, run.config.device)
    with open_executor(config.executor, TrialWorker, setup.awake() if dreamer else setup) as executor:
        trials = Trials(executor, config.executor.envs, dreamer=dreamer)
        if asked.histories:
            others = VALIDATION[-2 * asked.controller_tracks : -asked.controller_tracks]
            parameters = parameters[evenly(_drive(trials, parameters, others)[0].mean(1), asked.controllers)]
        real, frames = _drive(trials, parameters, VALIDATION[-asked.controller_tracks :])
        dreamt = trials.dream_scores(parameters, seeds, Cost())
    if not np.isfinite(dreamt).all():
        return {"skipped": "the memory has no reward head: its dreams have no return"}
    return agreement(real, dreamt, frames, config.dream.horizon * config.env.action_repeat, run.config.seed)


def _controllers(run: Run, bundle: Bundle, count: int) -> np.ndarray:
    """Return controllers from the histories of the runs that are asked for, float32 (P, N).

    Raises:
        RunError: a run has no such history, or its controllers read something else than this run's.
    """
    paths = run.config.accuracy.histories or (str(run.path),)
    found = []
    for place, path in enumerate(paths):
        source = Run(path)
        log = read_lines(source.folder("evolve") / "generations.jsonl")
        if not log:
            raise RunError(f"accuracy.histories: {path} has evolved no controller (controller/generations.jsonl)")
        theirs = load_bundle(source)[0]
        if not same_parts(theirs, bundle):
            raise RunError(
                f"accuracy.histories: controllers of {path} read other features than {run.path}'s, so they cannot be "
                "compared here; name runs with the same vision, and the same memory where controllers read one"
            )
        evolved = source.learnt
        seed = optimiser_seed(evolved.evolve.seed_in(evolved.seed))
        history = History(evolved.evolve.optimiser, seed, log, starting_point(source, theirs))
        share = count // len(paths) + (place < count % len(paths))
        size = theirs.build_controller().parameters_size
        found.append(controllers(history, size, share, run.config.seed + place))
    return np.concatenate(found)


def _drive(trials: Trials, parameters: np.ndarray, tracks: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return what controllers make on real tracks, and in how many frames: both (P, E)."""
    real, frames = (np.zeros((len(parameters), len(tracks))) for _ in range(2))
    for row, place, _, played, _ in drive(trials.executor, parameters, tracks, most=BATCHES * trials.width):
        real[row, place], frames[row, place] = played.score, played.frames
    return real, frames


def _facts(run: Run) -> Facts:
    config, chosen = run.learnt, run.chosen_round()
    vision = load_vision(run)
    memory = load_memory(run)
    return {
        "run": str(run.path),
        "env": config.env.id,
        "action_repeat": config.env.action_repeat,
        "vision": vision.type_name,  # a loop's later rounds may have others than it was given
        "memory": memory.type_name,
        "evolved_in": config.evolve.world,
        "dream": asdict(config.dream),
        "preset": config.preset,
        "seed": run.config.seed,
        **({} if chosen is None else {"round": chosen.name}),
    }


def headline(result: Facts) -> Facts:
    """Return the figures that a run folder's overview shows, of the agent's own episodes where there are some."""
    name = judged_set(result)
    found = result["sets"][name]
    return {
        "set": name,
        "verdict": verdict(findings_of_card(result)).headline,
        "gain_over_persistence": found["one_step"]["gain"]["persistence"]["value"],
        "action_sensitivity": found["one_step"]["action_sensitivity"]["value"],
        "beats_persistence": (found["open_loop"].get("beats_persistence") or {}).get("energy"),
        "spearman": (result["agreement"].get("spearman") or {}).get("value"),
    }
