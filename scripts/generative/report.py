"""`generative report`: a run at a glance, as one self-contained HTML page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from generative import ComponentError
from generative.files import read_json, sweep, write_text
from generative.plain import Facts
from generative.run import TrainingRun
from worldmodels.report.page import CSS, data_url, details, duration, media, number, picture, plot, table
from worldmodels.report.plots import loss_curves
from worldmodels.report.video import png_bytes

STAGES = 6
"""Grids shown of those that were drawn while the model learned, the first and the last included."""
STAGE_PIXELS = 300
"""Height and width that a grid is shown at most in the row of stages."""
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
    "reconstructions.png": "Held-out images over what comes back of them.",
    "interpolation.png": "From one image to another: by the straight line, and by the arc that keeps a normal length.",
    "traversal.png": "A dimension of the latent moved in each row, the others at rest; the most telling ones on top.",
}
"""Files in pictures/ and their captions."""


@dataclass(frozen=True)
class ReportOptions:
    """Nothing to choose."""


def main(run: TrainingRun, options: ReportOptions) -> Sequence[str]:
    """Write the page from whatever the run folder holds."""
    return [f"report: {write_report(run)}"]


def write_report(run: TrainingRun) -> Path:
    """Write `report/index.html` and return where it is."""
    path = run.path / "report" / "index.html"
    sweep(path.parent)
    write_text(path, render(run))
    return path


def render(run: TrainingRun) -> str:
    """Return the page."""
    facts, title = run.facts(), f"{run.config.model.type} on {run.config.data.type}"
    sections = [_stages(run), _data(run), _figures(run), _curves(run), _pictures(run), _attributes(run), _settings(run)]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}{_STAGE_CSS}</style></head><body><main>"
        f'<header><p class="eyebrow">generative model</p><h1>{escape(title)}</h1>'
        f'<dl class="facts">{_facts(run, facts)}</dl></header>{_warnings(run)}'
        + "".join(f"<section>{section}</section>" for section in sections if section)
        + "</main></body></html>\n"
    )


_STAGE_CSS = """
.stages { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(15rem, 45%), 1fr)); gap: 1rem }
.stages figure { margin: 0 } .stages img { width: 100%; image-rendering: auto }
"""


def _facts(run: TrainingRun, facts: Facts | None) -> str:
    versions = read_json(run.path / "versions.json", "restore it from a copy of the run")
    shown = {"run": str(run.path), "preset": run.config.preset, "seed": str(run.config.seed)}
    if facts:
        shown |= {
            "steps": f"{facts['steps']:,} of {run.config.batch} items" if facts["steps"] else "none: nothing to train",
            "time": duration(facts["seconds"]),
            "trained numbers": f"{facts['numbers']:,}",
            "device": facts["device"],
        }
    else:
        shown["state"] = "training has not ended"
    shown["versions"] = f"torch {versions['torch']}, numpy {versions['numpy']}, Python {versions['python']}"
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in shown.items())


def _warnings(run: TrainingRun) -> str:
    found = (run.facts("evaluation") or {}).get("verdicts", [])
    if not found:
        return ""
    items = "".join(
        f"<li>{escape(each['problem'])}: {escape(each['evidence'])}. Remedy: {escape(each['remedy'])}.</li>"
        for each in found
    )
    return f'<div class="warnings"><strong>What went wrong</strong><ul>{items}</ul></div>'


def _stages(run: TrainingRun) -> str:
    """The grids drawn on the way; all of the same noise, or of the same held-out images."""
    files = [path for path in sorted((run.path / "samples").glob("*.png")) if path.stem.isdigit()]
    if not files:
        return ""
    chosen = (
        files if len(files) <= STAGES else [files[round(k * (len(files) - 1) / (STAGES - 1))] for k in range(STAGES)]
    )
    figures = []
    for path in chosen:
        content = png_bytes(_shrunk(_read(path)))
        image = f'<img alt="step {int(path.stem)}" src="{data_url("image/png", content)}">'
        figures.append(media(image, f"step {int(path.stem):,}"))
    last = picture("the last grid", files[-1].read_bytes(), f"Step {int(files[-1].stem):,}, in full size.")
    return f'<h2>As it learned</h2><div class="stages">{"".join(figures)}</div>{details("The last grid", last)}'


def _data(run: TrainingRun) -> str:
    """What was used of the data, and what was left out."""
    facts = run.facts("data")
    if facts is None or not facts["lines"]:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in facts["lines"])
    return f"<h2>Data</h2><p>{escape(facts['root'])}</p><ul>{items}</ul>"


def _figures(run: TrainingRun) -> str:
    evaluation = run.facts("evaluation")
    if evaluation is None:
        return f"<h2>Figures</h2><p>Not measured yet: <code>generative evaluate {escape(str(run.path))}</code></p>"
    rows = [
        [
            escape(row["name"].split("[")[0]),
            f"<strong>{number(row['value'], 4)}</strong>",
            number(row["floor"], 4),
            f"{number(row['ceiling'], 4)} ({escape(row['baseline'])})",
            escape(row["better"]),
            f"{row['samples']:,}",
        ]
        for row in evaluation["figures"]
    ]
    columns = ["figure", "model", "real data", "baseline", "better", "samples"]
    seen_by = sorted({row["extractor"] for row in evaluation["figures"] if row["extractor"]})
    note = "Distances between sets of images are those of features by "
    named = f'<p class="muted">{note}{escape(", ".join(seen_by))}; only figures of the same compare.</p>'
    return f"<h2>Figures</h2>{table(columns, rows)}{named if seen_by else ''}"


def _curves(run: TrainingRun) -> str:
    history = run.history()
    if not history:
        return ""
    plots = []
    if "loss" in history[0]:
        rows = [
            {"step": row["step"], "train_loss": row["loss"], "held_out_loss": row.get("held_out_loss")}
            for row in history
        ]
        plots.append(plot(loss_curves(rows, label="loss", name="loss")))
    parts = [name for name in history[0] if name.endswith("_loss") and name != "held_out_loss"]
    for name, label in {**{part: part.replace("_", " ") for part in parts}, **CURVES}.items():
        rows = [{"step": row["step"], "train_loss": row[name]} for row in history if name in row]
        if rows:
            plots.append(plot(loss_curves(rows, label=label, name=f"curve-{name.replace('_', '-')}")))
    return f"<h2>Curves</h2>{''.join(plots[:1])}{details('More curves', ''.join(plots[1:])) if plots[1:] else ''}"


def _pictures(run: TrainingRun) -> str:
    found = [(run.path / "pictures" / name, caption) for name, caption in PICTURES.items()]
    parts = [picture(path.stem, path.read_bytes(), caption) for path, caption in found if path.is_file()]
    morph = run.path / "pictures" / "morph.gif"
    if morph.is_file():
        image = f'<img alt="morph" src="{data_url("image/gif", morph.read_bytes())}">'
        parts.append(media(image, "A morph through several images."))
    return f"<h2>Latent space</h2>{''.join(parts)}" if parts else ""


def _attributes(run: TrainingRun) -> str:
    parts = []
    for path in sorted((run.path / "attribute").glob("*.json")):
        found = read_json(path, f"remove it, or run `generative attribute {run.path} --attribute {path.stem}` again")
        parts.append(f"<h3>{escape(found['name'])}</h3><p>{escape(attribute_words(found))}</p>")
        rows = sorted(found["others"].items(), key=lambda item: -abs(item[1]))
        cells = [[escape(name), number(effect, 2)] for name, effect in rows]
        image = path.with_suffix(".png")
        if image.is_file():
            parts.append(picture(found["name"], image.read_bytes(), "Held-out images, and the vector added so often."))
        parts.append(details("What else lies along the vector", table(["attribute", "Cohen's d"], cells)))
    return f"<h2>Attributes</h2>{''.join(parts)}" if parts else ""


def attribute_words(found: Facts) -> str:
    """Return in a sentence or two what `attribute/NAME.json` says."""
    said = f"Cohen's d of {found['effect']:.2f} along the vector on held-out images."
    judgement = found.get("judgement")
    if judgement:
        kept = "".join(f", {name} stays for {share:.1%}" for name, share in judgement["kept"].items())
        said += (
            f" Added {found['strength']:g} times to {judgement['images']:,} held-out images, independent classifiers "
            f"see it come for {judgement['flipped']:.1%}{kept}."
        )
    return said


def _settings(run: TrainingRun) -> str:
    text = (run.path / "config.yaml").read_text()
    again = f"generative train --out {run.path}"
    return f"<h2>Settings</h2><p>Again, or further: <code>{escape(again)}</code></p>" + details(
        "config.yaml", f"<pre>{escape(text)}</pre>"
    )


def _read(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    found = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if found is None:
        raise ComponentError(f"{path}: no whole picture; remove it and write the report again")
    return cv2.cvtColor(found, cv2.COLOR_BGR2RGB)


def _shrunk(image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Return an image that fits in a square of `STAGE_PIXELS`, twice that for sharp screens."""
    share = min(1.0, 2 * STAGE_PIXELS / max(image.shape[:2]))
    size = round(image.shape[1] * share), round(image.shape[0] * share)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA) if share < 1 else image
