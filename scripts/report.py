"""Stage 7: the run at a glance, as one self-contained HTML page."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from generative.strict_yaml import write_yaml
from worldmodels.config import config_mapping
from worldmodels.files import read_lines, write_text
from worldmodels.report import ReportData, render_report
from worldmodels.run import STAGES, Progress, Run
from worldmodels.statistics import Summary


def report(run: Run) -> Iterator[Progress]:
    """Write `report/index.html` from whatever stages are finished."""
    with run.working("report"):
        yield Progress("report", 0, 1, "pages")
        for stage in STAGES:
            if run.done(stage) and stage != "report":
                run.require(stage)
        page = render_report(gather(run))
        run.reopen("report")
        write_text(run.folder("report") / "index.html", page)
        run.finish("report", {})
        yield Progress("report", 1, 1, "pages")


def gather(run: Run) -> ReportData:
    """Read what a run folder holds into what the report shows."""
    evaluation = run.done("evaluate")
    evaluated = run.folder("evaluate")
    return ReportData(
        name=str(run.path),
        facts=_facts(run),
        summary=_summary(evaluation["summary"]) if evaluation else None,
        baseline=_summary(evaluation["baseline"]) if evaluation and evaluation["baseline"] else None,
        generations=read_lines(run.folder("evolve") / "generations.jsonl"),
        vision=_vision(run),
        memory=_memory(run),
        images=_files(
            {
                "reconstructions": run.folder("train-vision") / "reconstructions.png",
                "dream": run.folder("dream") / "strip.png",
                "rollouts": run.folder("collect") / "contact_sheet.png",
            }
        ),
        videos=_files({"drive": _film(evaluated / "drive.webm"), "dream": _film(run.folder("dream") / "dream.webm")}),
        episodes=_episodes(evaluated / "episodes.csv") if evaluation else (),
        config_yaml=write_yaml(config_mapping(run.config)),
        warnings=_warnings(run),
        command=f"worldmodels run {run.path} --config {run.path / 'config.yaml'}",
    )


def _facts(run: Run) -> dict[str, str]:
    config = run.config
    versions = run.versions()
    facts = {
        "preset": config.preset,
        "environment": config.env.id,
        "action repeat": str(config.env.action_repeat),
        "frames": f"{config.env.size} x {config.env.size}, {_rows(config.env.crop)}",
        "evolved in": "the real environment" if config.evolve.world == "real" else "the dream",
        "controller reads": config.features.reads
        + (
            f" ({config.features.memory} memory)"
            if config.features.uses_memory and config.features.memory != "trained"
            else ""
        ),
    }
    patience = config.env.early_stop.patience
    if config.evolve.world == "real" and patience:
        facts["training only"] = f"early stop after {patience} frames without reward, the rest charged"
    facts["seed"] = str(config.seed)
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


def _summary(values: dict[str, Any]) -> Summary:
    return Summary(**{name: values[name] for name in Summary.__dataclass_fields__})


def _vision(run: Run) -> dict[str, Any] | None:
    history, facts = run.history("train-vision"), run.done("train-vision")
    if not history and not facts:
        return None
    shown: dict[str, Any] = {
        "history": [{**row, "train_loss": row["loss"]} for row in history],
        "curve_label": "loss per image",
    }
    if facts:
        shown["verdict"] = f"{facts['verdict']}: {facts['reason']}"
    if facts and "squared_error" in facts:  # a vision that cannot decode has no errors
        shown |= {
            "held_out_error": facts["squared_error"],
            "mean_frame_error": facts["baseline_squared_error"],
            "car_crop_error": facts.get("car_error"),
            "car_crop_baseline": facts.get("car_baseline_error"),
            "error_unit": "summed squared error per image, pixels in [0, 1]",
        }
    return shown


def _memory(run: Run) -> dict[str, Any] | None:
    history, facts = run.history("train-memory"), run.done("train-memory")
    if not history and not facts:
        return None
    shown: dict[str, Any] = {
        "history": [
            {"step": row["step"], "train_loss": row["nll"], "held_out_loss": row["held_out_nll"]} for row in history
        ],
        "curve_label": "nats per latent dimension",
    }
    if facts:
        names = {"persistence": "nll_persistence", "shuffled actions": "nll_shuffled_action"}
        shown |= {
            "curve_baselines": {label: facts[name] for label, name in names.items()},
            "nll": facts["nll"],
            "persistence_nll": facts["nll_persistence"],
            "shuffled_nll": facts["nll_shuffled_action"],
            "nll_unit": "nats per latent dimension",
            "reward_explained_variance": _number(facts["reward_explained"]),
            "termination": _termination(facts),
            "verdict": memory_verdict(facts),
        }
    return shown


def _number(value: Any) -> float | None:
    return None if value == "n/a" else float(value)


def _termination(facts: dict[str, Any]) -> dict[str, float] | None:
    found = {name: facts[f"termination_{name}"] for name in ("auroc", "auprc") if f"termination_{name}" in facts}
    known = {name.upper(): float(value) for name, value in found.items() if value != "n/a"}
    return known or None


def memory_verdict(facts: dict[str, Any]) -> str:
    """Say in one sentence what the figures of a memory mean."""
    if facts["nll"] >= facts["nll_persistence"]:
        return "it predicts no better than repeating the last frame"
    if facts["nll_shuffled_action"] - facts["nll"] < 0.01:
        return "it beats persistence but hardly looks at the actions: dreams will not obey the controller"
    return "it beats persistence and depends on the actions"


def _warnings(run: Run) -> list[str]:
    warnings = []
    vision, memory, evaluation = run.done("train-vision"), run.done("train-memory"), run.done("evaluate")
    if run.done("evolve") and not (run.folder("evolve") / "generations.jsonl").exists():
        warnings.append("an exported agent: its rollouts and learning curves stayed in the run that trained it")
    if vision and vision["verdict"] != "healthy":
        warnings.append(f"vision is {vision['verdict']}: {vision['reason']}")
    elif vision and vision["attempts"] > 1:
        warnings.append(f"vision's posterior collapsed in {vision['attempts'] - 1} attempts before it learned")
    if memory and (verdict := memory_verdict(memory)) != "it beats persistence and depends on the actions":
        warnings.append(f"memory: {verdict}")
    if evaluation and evaluation["tracks"] < 100:
        warnings.append(f"measured on {evaluation['tracks']} test tracks; published scores use 100")
    return warnings


def _film(path: Path) -> Path:
    """Return the animation that was written in place of a WebM, where there is one."""
    other = path.with_suffix(".webp")
    return other if other.exists() else path


def _files(paths: dict[str, Path]) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}


def _episodes(path: Path) -> list[dict[str, Any]]:
    with open(path, newline="") as file:
        rows = [dict(row) for row in csv.DictReader(file)]
    return [{"seed": row.pop("track"), "return": f"{float(row.pop('return')):.1f}", **row} for row in rows]
