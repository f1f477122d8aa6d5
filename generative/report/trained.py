"""The page of a trained model: what it makes, its figures, how it learned, its latent space."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from generative.core.facts import Facts, FactsView
from generative.core.files import read_json
from generative.core.options import ComponentError
from generative.report.glance import Glance
from generative.report.images import png_bytes
from generative.report.pages import duration, number, render
from generative.report.plots import Drawing, NotebookFigure, image_panel, loss_curves, picture, stacked, svg
from generative.runs.run_folder import TrainingRun

KIND = "generative model"
COLUMNS = ("figure", "model", "real data", "baseline", "better", "samples")
STAGES = 6
"""Grids shown of those that were drawn while the model learned, the first and the last included."""
STAGE_PIXELS = 600
"""Height and width that a grid has at most in the row of stages, which is shown half as large."""
PICTURE_ENDINGS, SOUND_ENDINGS = ("png", "gif", "webp", "webm"), ("wav", "mid")
"""Of samples that are looked at, and of those that are heard or handed out; see `media`."""
TEXT_CHARACTERS = 2_000
"""Of a text that is shown."""
CURVES = {
    "squared_error": "squared error per image",
    "kl": "KL divergence, nats per image",
    "accuracy": "share of right classes",
    "perplexity": "codebook perplexity",
    "critic_accuracy": "share that the critic tells apart",
    "critic_slope": "slope of the critic",
    "penalty": "gradient penalty",
    "clip_saturation": "share of clipped weights",
}
"""Columns of the history that get a figure of their own, and what they are."""
PICTURES = {
    "reconstructions.png": "Held-out images above their reconstructions.",
    "translations.png": "Held-out images of the first domain above what they become, then of the second.",
    "interpolation.png": "From one image to another: by the straight line, and by the arc that keeps a normal length.",
    "traversal.png": "A dimension of the latent moved in each row, the others at rest; the most telling ones on top.",
    "morph.gif": "A morph through several images.",
}
"""Files in pictures/ and their captions."""


def render_run(run: TrainingRun) -> str:
    """Return the page of a run from whatever its folder holds."""
    evaluation, data = run.facts("evaluation"), run.facts("data")
    return render(
        __package__,
        "trained.html",
        title=_title(run),
        kind=KIND,
        facts=_facts(run),
        warnings=_warnings(evaluation),
        warned="What went wrong",
        run=str(run.path),
        evaluation=evaluation,
        headline=_headline(evaluation),
        columns=COLUMNS,
        figures=_figures(evaluation),
        extractors=sorted({row["extractor"] for row in (evaluation or {}).get("figures", []) if row["extractor"]}),
        stages=_stages(run),
        texts=_texts(run),
        heard=_beside(run),
        curves=[svg(draw(None), name, f"{label} over optimiser steps")
                for name, label, draw in _curves(run.history(), CURVES)],
        pictures=_pictures(run),
        attributes=_attributes(run),
        data=data if data and data["lines"] else None,
        config=(run.path / "config.yaml").read_text(),
    )  # fmt: skip


def plot(run: TrainingRun) -> NotebookFigure:
    """Return a figure of the run's losses by now, and of the last picture of what it makes.

    Raises:
        ComponentError: there is neither.
    """
    drawings: dict[str, Drawing] = {}
    if files := _drawn(run, "png"):
        drawings[f"What it makes, after {_step(files[-1])}"] = partial(image_panel, _image(files[-1]))
    drawings |= {label.capitalize(): draw for _, label, draw in _curves(run.history(), {})}
    if not drawings:
        raise ComponentError(f"{run.path}: nothing to draw yet; `generative train --out {run.path}` begins to learn")
    return stacked(drawings)


def glance(run: TrainingRun) -> Glance:
    """Return what a notebook shows of a run: what it is, its figures, and what it makes."""
    evaluation, facts = run.facts("evaluation"), _facts(run)
    shown = [name for name in ("preset", "seed", "state", "steps", "time", "trained numbers") if name in facts]
    files = [path for ending in PICTURE_ENDINGS for path in _drawn(run, ending)[-1:]]
    media = {f"after {_step(path)}": path.read_bytes() for path in files}
    media |= {name: content for name, content, _ in _beside(run)}
    media |= {} if media or not run.history() else {"losses": png_bytes(picture(plot(run)))}
    command = f"generative train --out {run.path}" if run.facts() is None else f"generative evaluate {run.path}"
    return Glance(
        title=f"{_title(run)}: {run.path}",
        kind=KIND,
        warnings=_warnings(evaluation),
        said=_headline(evaluation),
        columns=COLUMNS if evaluation else (),
        rows=_figures(evaluation) or [(name, facts[name]) for name in shown],
        media=media,
        text=(_texts(run)[-1:] or [("", "")])[0][1],
        command="" if evaluation else command,
    )


def _title(run: TrainingRun) -> str:
    return f"{run.config.model.type} on {run.config.data.type}"


def _warnings(evaluation: Facts | None) -> list[str]:
    return [
        f"{each['problem']}: {each['evidence']}. Remedy: {each['remedy']}."
        for each in (evaluation or {}).get("verdicts", [])
    ]


def _facts(run: TrainingRun) -> dict[str, str]:
    versions = read_json(run.path / "versions.json", "restore it from a copy of the run")
    shown, facts = {"run": str(run.path), "preset": run.config.preset, "seed": str(run.config.seed)}, run.facts()
    if facts:
        shown |= {
            "steps": f"{facts['steps']:,} of {run.config.batch} items" if facts["steps"] else "none: nothing to train",
            "time": duration(facts["seconds"]),
            "trained numbers": f"{facts['numbers']:,}",
            "device": facts["device"],
        }
    else:
        shown["state"] = "training has not ended"
    begun = run.facts("start")
    if begun:
        shown["started with"] = f"{begun['path']}: {'; '.join(begun['lines'])}"
    return shown | {"versions": f"torch {versions['torch']}, numpy {versions['numpy']}, Python {versions['python']}"}


def _headline(evaluation: Facts | None) -> str:
    """Return in a sentence the figure that stands for the model."""
    row = (evaluation or {}).get("headline")
    if not evaluation or not row:
        return ""
    said = f"{row['name'].split('[')[0]} {_known(row['value'])}"
    if row["baseline"]:
        than = "better" if evaluation["beats_baseline"] else "not better"
        said += f": {than} than the baseline ({row['baseline']}, {_known(row['baseline_value'])})"
    good = "The nearer to real data the better" if row["better"] == "near" else f"A {row['better']} figure is better"
    return f"{said}. Real data: {_real(row)}. {good}."


def _real(row: Facts) -> str:
    """Return what real data get, with its interval where there is one."""
    said = _known(row["reference"])
    return said if row["low"] is None else f"{said} ({_known(row['low'])} to {_known(row['high'])})"


def _known(value: float | None) -> str:
    return "none" if value is None else number(value, 4)


def _figures(evaluation: Facts | None) -> list[tuple[str, ...]]:
    return [
        (
            row["name"].split("[")[0],
            _known(row["value"]),
            _real(row),
            f"{_known(row['baseline_value'])} ({row['baseline']})" if row["baseline"] else "none",
            row["better"],
            f"{row['samples']:,}",
        )
        for row in (evaluation or {"figures": []})["figures"]
    ]


def _stages(run: TrainingRun) -> list[tuple[str, bytes]]:
    """Return the grids drawn on the way, the last one whole: all of the same noise, or of the same held-out images."""
    files = [path for ending in PICTURE_ENDINGS for path in _drawn(run, ending)]
    found = [(_step(path), _shrunk(path) if path.suffix == ".png" else path.read_bytes()) for path in files]
    return [*found, (found[-1][0], files[-1].read_bytes())] if found else []


def _beside(run: TrainingRun) -> list[tuple[str, bytes, str]]:
    """Return what lies beside the last picture: sound to play, scores to download."""
    files = [path for ending in SOUND_ENDINGS for path in _drawn(run, ending)[-1:]]
    return [(path.stem, path.read_bytes(), f"After {_step(path)}") for path in files]


def _texts(run: TrainingRun) -> list[tuple[str, str]]:
    """Return the beginnings of the texts written on the way."""
    return [(_step(path), path.read_text()[:TEXT_CHARACTERS]) for path in _drawn(run, "txt")]


def _drawn(run: TrainingRun, ending: str) -> list[Path]:
    """Return some of the files drawn on the way, the first and the last among them."""
    files = [path for path in sorted((run.path / "samples").glob(f"*.{ending}")) if path.stem.isdigit()]
    chosen = sorted({round(place) for place in np.linspace(0, len(files) - 1, STAGES)}) if files else []
    return [files[place] for place in chosen]


def _step(path: Path) -> str:
    return f"step {int(path.stem):,}"


def _shrunk(path: Path) -> bytes:
    """Return a grid as a PNG that fits in a square of `STAGE_PIXELS`."""
    image = _image(path)
    share = min(1.0, STAGE_PIXELS / max(image.shape[:2]))
    size = round(image.shape[1] * share), round(image.shape[0] * share)
    return png_bytes(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _image(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise ComponentError(f"{path}: no whole picture; remove it and write the report again")
    return image.astype(np.uint8)


def _curves(history: Sequence[Facts], others: FactsView) -> list[tuple[str, str, Drawing]]:
    """Return the figures of the losses, and of other columns with these labels: each its name, label and drawing."""
    first = history[0] if history else {}
    drawn: dict[str, str] = {"loss": "loss"} if "loss" in first else {}
    drawn |= {name: name.replace("_", " ") for name in first if name.endswith("_loss") and name != "held_out_loss"}
    found: list[tuple[str, str, Drawing]] = []
    for name, label in {**drawn, **others}.items():
        held_out = "held_out_loss" if name == "loss" else ""
        rows = [{"step": row["step"], "train_loss": row[name], "held_out_loss": row.get(held_out)}
                for row in history if name in row]  # fmt: skip
        if rows:
            found.append((f"curve-{name.replace('_', '-')}", label, partial(loss_curves, rows, {}, label, ())))
    return found


def _pictures(run: TrainingRun) -> list[tuple[str, bytes, str]]:
    files = [(run.path / "pictures" / name, caption) for name, caption in PICTURES.items()]
    return [(path.stem, path.read_bytes(), caption) for path, caption in files if path.is_file()]


def _attributes(run: TrainingRun) -> list[Facts]:
    shown = []
    for path in sorted((run.path / "attribute").glob("*.json")):
        found = read_json(path, f"remove it, or run `generative attribute {run.path} --attribute {path.stem}` again")
        rows = sorted(found["others"].items(), key=lambda item: -abs(item[1]))
        image = path.with_suffix(".png")
        shown.append(
            {
                "name": found["name"],
                "said": attribute_words(found),
                "picture": image.read_bytes() if image.is_file() else b"",
                "others": [(name, number(effect, 2)) for name, effect in rows],
            }
        )
    return shown


def attribute_words(found: Facts) -> str:
    """Return in a sentence or two what `attribute/NAME.json` says."""
    said = f"Cohen's d of {found['effect']:.2f} along the vector on held-out images."
    judgement = found.get("judgement")
    if judgement:
        kept = "".join(f", {name} stays for {share:.1%}" for name, share in judgement["kept"].items())
        said += (
            f" Added {found['strength']:g} times to all {judgement['images']:,} held-out images without it, an "
            f"independent judge sees it come for {judgement['flipped']:.1%}{kept}. "
            f"{found['realism']['after']:.1%} look real afterwards, {found['realism']['before']:.1%} before."
        )
    return said
