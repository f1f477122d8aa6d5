"""What a run folder holds, read into what its report shows."""

import csv
from pathlib import Path

from generative.core.facts import Facts, FactsView
from generative.core.options import differences
from generative.core.strict_yaml import write_yaml
from generative.report.pages import number
from worldmodels.accuracy.verdict import Verdict, findings_of_card, findings_of_stages, verdict
from worldmodels.config import config_mapping
from worldmodels.files import read_json, read_lines
from worldmodels.report.report import ReportData, TrainedPart
from worldmodels.report.rounds import Rounds
from worldmodels.run.folder import Run
from worldmodels.statistics import Summary

Curve = tuple[list[Facts], list[tuple[float, str]]]
"""Rows of figures, and where in them each round of a loop begins, with its name."""


def gather(run: Run, subject: str) -> ReportData:
    """Read what a run folder holds into what the report shows.

    Args:
        run: the folder.
        subject: fingerprint of what an accuracy card would be about now; a card about something else does not count.
    """
    evaluation = run.done("evaluate")
    evaluated = run.folder("evaluate")
    generations, breaks = _generations(run)
    return ReportData(
        name=str(run.path),
        facts=_facts(run),
        summary=_summary(evaluation["summary"]) if evaluation else None,
        baseline=_summary(evaluation["baseline"]) if evaluation and evaluation["baseline"] else None,
        generations=generations,
        dreamt=run.learnt.evolve.world == "dream",
        breaks=breaks,
        rounds=_rounds(run),
        verdict=world_verdict(run, subject),
        vision=_vision(run),
        memory=_memory(run),
        images=_files(
            {
                "reconstructions": _newest(run, "train-vision").folder("train-vision") / "reconstructions.png",
                "rollouts": _newest(run, "collect").folder("collect") / "contact_sheet.png",
            }
        ),
        drive=_files({"drive": evaluated / "drive.webm"}).get("drive", b""),
        dreams=_dreams(run),
        dream_captions=dream_captions(run.done("dream") or {}),
        episodes=_episodes(evaluated / "episodes.csv") if evaluation else (),
        config_yaml=write_yaml(config_mapping(run.config)),
        round_differences=[
            (name, str(old), str(new)) for name, old, new in differences(run.config, run.learnt) if name != "seed"
        ],
        warnings=_warnings(run, subject),
        command=f"worldmodels run {run.path} --config {run.path / 'config.yaml'}",
    )


def _facts(run: Run) -> dict[str, str]:
    config, chosen = run.learnt, run.chosen_round()
    versions = run.versions()
    facts = {
        "preset": config.preset,
        "environment": config.env.id,
        "action repeat": str(config.env.action_repeat),
        "frames": f"{config.env.size} x {config.env.size}, {_rows(config.env.crop)}",
        "vision, memory": f"{config.vision.type}, {config.memory.type}",
        "evolved in": "the real environment" if config.evolve.world == "real" else "the dream",
        "controller reads": config.features.reads
        + (
            f" ({config.features.memory} memory)"
            if config.features.uses_memory and config.features.memory != "trained"
            else ""
        ),
    }
    limit = config.env.no_reward_limit
    if config.evolve.world == "real" and limit:
        facts["training only"] = f"episodes end after {limit} frames without reward"
    facts["seed"] = str(run.config.seed)
    if chosen is not None:
        facts["rounds"] = f"{(run.done('loop') or {})['rounds']}, round {chosen.name} chosen (seed {config.seed})"
    collected, trained, evaluation = run.done("collect"), run.done("evolve"), run.done("evaluate")
    if collected and trained:
        facts["real frames"] = f"{collected['env_frames'] + trained['env_frames']:,} before the test"
    facts["core-hours"] = f"{(evaluation or {}).get('core_hours_before', run.core_hours()):.2f}"
    if trained:
        facts["controller"] = f"{trained['parameters']} parameters, generation {trained['chosen_generation']}"
    facts["commit"] = versions["commit"]
    facts["versions"] = ", ".join(f"{name} {versions[name]}" for name in ("worldmodels", "torch", "gymnasium", "ray"))
    facts["hardware"] = f"{versions['processor']}, {versions['cores']} cores"
    return facts


def _rows(crop: tuple[int, int]) -> str:
    return f"rows {crop[0]} to {crop[1]}" if crop[1] else "all rows"


def world_verdict(run: Run, subject: str) -> Verdict | None:
    """Return what is known of the run's world model in words: by its accuracy card, or by what the stages noted.

    A card that is not about `subject` does not count; see `gather`.
    """
    vision, memory = (_newest(run, stage).done(stage) for stage in ("train-vision", "train-memory"))
    if vision is None and memory is None:
        return None
    measured, card = run.done("accuracy"), run.folder("accuracy") / "card.json"
    if measured is not None and card.exists() and measured["subject"] == subject:
        return verdict(findings_of_card(read_json(card, "run `worldmodels accuracy` anew")))
    return verdict(findings_of_stages(vision, memory, str(run.path)))


def _rounds(run: Run) -> Rounds | None:
    """Return what a loop's rounds reached; None where they were left behind, as by an export."""
    folder, config = run.folder("loop"), run.config.loop
    curve = read_lines(folder / "curve.jsonl")
    if not config.rounds or not (curve or run.begun("loop")) or (run.done("loop") and not curve):
        return None
    chosen = (run.done("loop") or {}).get("chosen_round")
    return Rounds(config.rounds, curve, read_lines(folder / "top_k.jsonl"), chosen)


def _round_runs(run: Run) -> list[Run]:
    """Return the run folders of a loop's rounds, as far as they hold more than a configuration."""
    folders = sorted(path for path in run.folder("loop").glob("*") if (path / "metrics.jsonl").exists())
    return [Run(path) for path in folders if (path / "config.yaml").exists()]


def _newest(run: Run, stage: str) -> Run:
    """Return the run that has finished a stage: this one, or of a loop under way the newest round that has."""
    if run.done(stage) is not None:
        return run
    return next((each for each in reversed(_round_runs(run)) if each.done(stage) is not None), run)


def _in_turn(parts: list[tuple[str, list[Facts]]], key: str) -> Curve:
    """Put the rows of rounds behind each other, counted on by `key`, and return where each begins."""
    rows: list[Facts] = []
    breaks = []
    begin = 0
    for name, own in parts:
        if own:
            breaks.append((float(begin), name))
            rows += [{**row, key: begin + row[key]} for row in own]
            begin = rows[-1][key]
    return rows, breaks


def _history(run: Run, stage: str) -> Curve:
    """Return the figures that a stage logged, those of a loop's rounds behind each other."""
    rounds = _round_runs(run)
    if not rounds:
        return run.history(stage), []
    return _in_turn([(each.path.name, each.history(stage)) for each in rounds], "step")


def _generations(run: Run) -> Curve:
    """Return the generations of an evolution, those of a loop's rounds behind each other."""
    name = "generations.jsonl"
    rounds = _round_runs(run)
    if not rounds:
        return read_lines(run.folder("evolve") / name), []
    parts = [(each.path.name, read_lines(each.folder("evolve") / name)) for each in rounds]
    rows, breaks = _in_turn([(name, [{**row, "generation": row["generation"] + 1} for row in rows])
                             for name, rows in parts], "generation")  # fmt: skip
    return rows, [(place + 0.5, name) for place, name in breaks]


def _dreams(run: Run) -> dict[str, bytes]:
    """Return the films and pictures in the dream's folder: films first, then what is known, then others by name."""
    files = [path for path in run.folder("dream").glob("*") if path.suffix in (".webm", ".png")]
    known = list(dream_captions({}))

    def order(path: Path) -> tuple[int, str]:
        return known.index(path.stem) if path.stem in known else len(known), path.name

    return {path.stem: path.read_bytes() for path in sorted(files, key=order)}


def dream_captions(facts: Facts) -> dict[str, str]:
    """Return what the films and pictures of a dream show, by name.

    Args:
        facts: what a finished `dream` left; empty as long as it is not.
    """
    if "not_filmed" in facts:
        return {"not_filmed": facts["not_filmed"]}
    dreamt, predicted = "The agent drives in its dream: it acts on what the memory dreams, and that dreams on.", ""
    dreamt += " On the left, a real drive of the same agent."
    if facts.get("noise") is not None:
        noise = "residuals of recorded steps" if facts["noise"] == "residual" else "drawn from the mixture"
        dreamt += f" Dreams follow one another: the first {facts['filmed']} are shown, of at most {facts['horizon']} "
        dreamt += f"steps. Noise: {noise}, temperature {facts['temperature']:g}."
    if facts.get("mean_return") is not None:
        dreamt += f" Mean dream return {number(facts['mean_return'])} over {facts['dreams']} dreams."
    if facts.get("road_share") is not None:
        dreamt += f" Road is in sight in {100 * facts['road_share']:.0f} % of all dreamt frames."
    if facts.get("predicted") is not None:
        predicted = (
            f": it watches {facts['watched']} steps, then predicts {facts['predicted']} from the recorded actions alone"
        )
    return {
        "dream": dreamt,
        "prediction": f"What the memory predicts of a real drive{predicted}.",
        "strip": "Moments of that prediction, first to last.",
    }


def _summary(values: Facts) -> Summary:
    return Summary(**{name: values[name] for name in Summary.__dataclass_fields__})


def _vision(run: Run) -> TrainedPart | None:
    (history, breaks), facts = _history(run, "train-vision"), _newest(run, "train-vision").done("train-vision")
    if not history and not facts:
        return None
    return TrainedPart(
        history=[{**row, "train_loss": row["loss"]} for row in history],
        loss="loss per image",
        breaks=breaks,
        verdict=f"{facts['verdict']}: {facts['reason']}" if facts else "",
        measured="summed squared error per image, pixels in [0, 1]",
        measures=vision_measures(facts or {}),
    )


def vision_measures(facts: FactsView) -> dict[str, float | None]:
    """Return what is known of a vision's errors; a vision that cannot decode has none."""
    names = {"held-out frames": "squared_error", "baseline: the mean frame": "baseline_squared_error"}
    if "car_error" in facts:
        names |= {"around the car, held out": "car_error", "around the car, the mean frame": "car_baseline_error"}
    return {label: facts.get(name) for label, name in names.items()}


def _memory(run: Run) -> TrainedPart | None:
    (history, breaks), facts = _history(run, "train-memory"), _newest(run, "train-memory").done("train-memory")
    if not history and not facts:
        return None
    names = {"persistence": "nll_persistence", "shuffled actions": "nll_shuffled_action"}
    return TrainedPart(
        history=[{"step": row["step"], "train_loss": row["nll"], "held_out_loss": row["held_out_nll"]}
                 for row in history],
        loss="nats per latent dimension",
        baselines={label: facts[name] for label, name in names.items()} if facts else {},
        breaks=breaks,
        measured="held-out episodes",
        measures=memory_measures(facts or {}),
    )  # fmt: skip


def memory_measures(facts: FactsView) -> dict[str, float | None]:
    """Return what is known of a memory's predictions."""
    ends = [name for name in ("auroc", "auprc") if facts.get(f"termination_{name}", "n/a") != "n/a"]
    names = {
        "negative log-likelihood of the next z, nats per latent dimension": "nll",
        "baseline: persistence": "nll_persistence",
        "the same, actions shuffled": "nll_shuffled_action",
        "reward, explained variance": "reward_explained",
        **({f"termination, {name.upper()}": f"termination_{name}" for name in ends} or {"termination": "termination"}),
    }
    known = {label: facts.get(name, "n/a") for label, name in names.items()}
    return {label: None if value == "n/a" else float(value) for label, value in known.items()}


def _warnings(run: Run, subject: str) -> list[str]:
    warnings = []
    vision, evaluation = _newest(run, "train-vision").done("train-vision"), run.done("evaluate")
    world = world_verdict(run, subject)
    if run.done("evolve") and not (run.folder("evolve") / "generations.jsonl").exists():
        warnings.append("an exported agent: its rollouts and learning curves stayed in the run that trained it")
    if vision and vision["verdict"] != "healthy":
        warnings.append(f"vision is {vision['verdict']}: {vision['reason']}")
    elif vision and vision["attempts"] > 1:
        warnings.append(f"vision's posterior collapsed in {vision['attempts'] - 1} attempts before it learned")
    if world is not None and world.grade == "poor":
        warnings.append(f"world model: {world.headline}")
    if evaluation and evaluation["tracks"] < 100:
        warnings.append(f"measured on {evaluation['tracks']} test tracks; published scores use 100")
    return warnings


def _files(paths: dict[str, Path]) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}


def _episodes(path: Path) -> list[Facts]:
    with open(path, newline="") as file:
        rows = [dict(row) for row in csv.DictReader(file)]
    return [{"seed": row.pop("track"), "return": f"{float(row.pop('return')):.1f}", **row} for row in rows]
