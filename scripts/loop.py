"""The loop: rounds of collect, train-vision, train-memory and evolve, each on what the last one could do.

RUN/rounds/00  01 ...     a run folder each
RUN/rounds/curve.jsonl    what every round reached, for how many frames
RUN/rollouts vision memory controller     those of the chosen round, as links
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from generative.core.facts import Facts
from scripts.collect import collect
from scripts.evolve import evolve
from scripts.train_memory import train_memory
from scripts.train_vision import train_vision
from worldmodels.agent.build import check_config
from worldmodels.agent.trained import load_bundle
from worldmodels.errors import RunError
from worldmodels.evolution.drive import Cost
from worldmodels.evolution.generations import Trials, measure_again, top_k
from worldmodels.evolution.rounds import LEARNT, best_round, exploited, keeps_vision, round_config, round_name
from worldmodels.evolution.tasks import TrialWorker
from worldmodels.evolution.trial_setup import TrialSetup
from worldmodels.files import append_line, link_tree, read_json, read_lines
from worldmodels.machine import available_cores
from worldmodels.parallel.open import kept_workers, open_executor
from worldmodels.rollouts.dataset import recorded_files
from worldmodels.run.folder import Progress, Run
from worldmodels.run.preflight import check_places

TOP_K = "top_k.jsonl"

STAGE_FUNCTIONS: dict[str, Callable[[Run], Iterator[Progress]]] = {
    "collect": collect,
    "train-vision": train_vision,
    "train-memory": train_memory,
    "evolve": evolve,
}


def loop(run: Run) -> Iterator[Progress]:
    """Carry out the run's rounds, choose one by validation, and yield the progress in rounds.

    Raises:
        RunError: the configuration asks for no rounds.
    """
    config = run.config.loop
    if not config.rounds:
        raise RunError(f"{run.path} has loop.rounds=0: set it to the rounds to do, or use `worldmodels run`")
    if run.done("loop"):
        yield Progress("loop", config.rounds, config.rounds, "rounds")
        return
    for number in {1, config.rounds - 1} if config.rounds > 1 else ():  # what they change is refused now or never
        later = round_config(run.config, number, round_folder(run, 0), round_folder(run, 0))
        check_places(later, run.path, LEARNT)
        check_config(later)
    with run.working("loop", run.config.executor.workers or available_cores()), kept_workers():
        path = run.folder("loop") / "curve.jsonl"
        curve = read_lines(path)
        yield Progress("loop", len(curve), config.rounds, "rounds", _shown(curve))
        while len(curve) < config.rounds:
            for progress in _round(run, curve):
                yield Progress("loop", len(curve), config.rounds, "rounds", _shown(curve), progress)
            row = _row(run, curve)
            append_line(path, row)
            curve.append(row)
            run.log("loop", row["round"], _shown(curve))
            yield Progress("loop", len(curve), config.rounds, "rounds", _shown(curve))
        for progress in _measure(run, curve):
            yield Progress("loop", len(curve), config.rounds, "rounds", _shown(curve), progress)
        measured = _measured(run, curve)
        chosen = max(measured, key=lambda row: row["final"]["mean"])
        _adopt(run, curve, measured, chosen)
        facts = {"rounds": len(curve), "chosen_round": chosen["round"], "validation": chosen["final"]}
        run.finish("loop", {**facts, "env_frames": _frames(curve, measured)})
    yield Progress("loop", config.rounds, config.rounds, "rounds", _shown(curve))


def round_folder(run: Run, number: int) -> Path:
    """Return the run folder of a round."""
    return run.folder("loop") / round_name(number)


def _round(run: Run, curve: list[Facts]) -> Iterator[Progress]:
    """Carry out the round after those of the curve, from where it stands."""
    number, before, start = len(curve), None, None
    if number:
        before = start = round_folder(run, number - 1)
        if exploited(curve):
            start = round_folder(run, best_round(curve)["round"])
    this = Run.create(round_folder(run, number), round_config(run.config, number, before, start))
    this.as_round(run, _steps_before(run, number))
    for stage in LEARNT:
        if before is not None and stage == "train-vision" and keeps_vision(run.config, number):
            _keep_vision(Run(before), this)
        yield from STAGE_FUNCTIONS[stage](this)


def _steps_before(run: Run, number: int) -> dict[str, int]:
    """Return how many steps of each stage the rounds before this one have logged; generations count from 0."""
    steps = dict.fromkeys(LEARNT, 0)
    for earlier in range(number):
        before = Run(round_folder(run, earlier))
        for stage in LEARNT:
            if rows := before.history(stage):
                steps[stage] += rows[-1]["step"] + (rows[0]["step"] == 0)
    return steps


def _keep_vision(before: Run, this: Run) -> None:
    """Take the vision of the round before, and the latents that it made."""
    before.require("train-vision")
    link_tree(before.folder("train-vision"), this.folder("train-vision"))


def _row(run: Run, curve: list[Facts]) -> Facts:
    """Return what the round after those of the curve came to."""
    this = Run(round_folder(run, len(curve)))
    evolved, remembered, seen = this.done("evolve"), this.done("train-memory"), this.done("train-vision")
    assert evolved and remembered and seen
    log = read_lines(this.folder("evolve") / "generations.jsonl")
    collected = (this.done("collect") or {})["env_frames"]
    evolving = evolved["env_frames"]
    start = this.folder("evolve") / "start.json"
    return {
        "round": len(curve),
        "frames": collected + sum(row["frames_evolving"] - row["frames_recorded"] for row in curve) + evolving,
        "frames_collected": collected,
        "frames_evolving": evolving,
        "frames_validating": evolved["validation_frames"],
        "frames_recorded": sum(file.meta["env_frames"] for file in recorded_files(this.folder("evolve"))),
        "validation": evolved["validation"],
        "dream_reward": log[-1]["mean"] / this.config.dream.horizon if this.config.evolve.world == "dream" else None,
        "imitated": read_json(start, "restore it")["explained"] if start.exists() else None,
        "started_at": this.config.evolve.start and Path(this.config.evolve.start).name,
        "squared_error": seen.get("squared_error"),
        "nll": remembered["nll"],
        "nll_shuffled_action": remembered["nll_shuffled_action"],
        "reward_explained": remembered.get("reward_explained", "n/a"),
        "seconds": round(sum(line["seconds"] for line in read_lines(this.path / "spent.jsonl")), 1),
    }


def _measure(run: Run, curve: list[Facts]) -> Iterator[Progress]:
    """Measure the best rounds on validation tracks that no round has seen, and yield the progress in rounds."""
    config, width = run.config.evolve, run.config.executor.envs
    rows = top_k(config.validation, curve)
    kept = _measured(run, curve)
    done = len(kept)
    yield Progress("loop", done, len(rows), "top k")
    for row in rows:
        if row["round"] in {each["round"] for each in kept}:
            continue
        bundle, parameters, _ = load_bundle(Run(round_folder(run, row["round"])))
        cost = Cost()
        with open_executor(run.config.executor, TrialWorker, TrialSetup(bundle, width)) as executor:
            final = measure_again(config.validation, Trials(executor, width), parameters, cost)
        append_line(run.folder("loop") / TOP_K, {**row, "final": final, "final_frames": cost.frames})
        done += 1
        yield Progress("loop", done, len(rows), "top k", {"mean": final["mean"]})


def _measured(run: Run, curve: list[Facts]) -> list[Facts]:
    """Return the rows of the best rounds that are measured, with their `final`, the best validated first."""
    kept = {row["round"]: row for row in read_lines(run.folder("loop") / TOP_K)}
    return [kept[row["round"]] for row in top_k(run.config.evolve.validation, curve) if row["round"] in kept]


def _frames(curve: list[Facts], measured: list[Facts]) -> int:
    """Return every real frame that was played to arrive at the chosen controller."""
    return int(curve[-1]["frames"] + sum(row["final_frames"] for row in measured))


def _adopt(run: Run, curve: list[Facts], measured: list[Facts], chosen: Facts) -> None:
    """Make the chosen round's results those of the run itself."""
    source = Run(round_folder(run, chosen["round"]))
    source.require(*LEARNT)
    for stage in LEARNT:
        link_tree(source.folder(stage), run.folder(stage))
    facts = {**(source.done("evolve") or {}), "validation": chosen["final"]}
    facts |= {"env_frames": _frames(curve, measured) - chosen["frames_collected"], "start_frames": 0}
    facts |= {"start_core_hours": 0.0}
    run.reopen("evolve")  # a link: the round keeps its own
    run.finish("evolve", facts)
    run.settle(source.config.dtype)


def _shown(curve: list[Facts]) -> Facts:
    if not curve:
        return {}
    last = curve[-1]
    dreamt = {} if last["dream_reward"] is None else {"dream_reward": last["dream_reward"]}
    return {
        "validation": last["validation"]["mean"],
        "best": best_round(curve)["validation"]["mean"],
        **dreamt,
        "frames": last["frames"],
    }
