"""The run at a glance: everything a run folder knows, as one HTML file that opens anywhere.

The page loads nothing: style, figures, pictures and films are inside it, so it can be mailed or archived and
looks the same years later. The headline is the mean return on test tracks with its interval, the number of
tracks and the random policy's score; a best episode is never a headline. A stage that has not run is named
together with the command that runs it. All text is escaped: a run's name or config cannot inject markup.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from worldmodels.plots import learning_curve, loss_curves, return_strip
from worldmodels.statistics import SOLVED_RETURN, Summary

_PLACED_IMAGES = ("reconstructions", "dream", "contact_sheet")
_PLACED_VIDEOS = ("drive", "dream")


@dataclass(frozen=True)
class ReportData:
    """What the page shows, in plain types; every field but `name` may stay empty.

    Rows and dicts may carry further keys, which are ignored unless said otherwise. None stands for "not
    measured".
    """

    name: str
    """The run, as its commands name it: it stands in the title and in `worldmodels STAGE name`."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What was run, shown in this order: preset, environment, action repeat, the wrapper that stops training
    episodes early (say "training only"), seeds, commit, versions, hardware."""
    summary: Summary | None = None
    """Returns on the test tracks; the headline."""
    baseline: Summary | None = None
    """The random policy's returns, best on the same tracks."""
    generations: Sequence[Mapping[str, Any]] = ()
    """One row per generation: `generation`, `mean`, `best`, `worst`, `std` of the population's returns,
    optionally `quantile_10` and `quantile_90`; `validation` (None or `mean`, `ci_low`, `ci_high` of the
    distribution's mean on validation tracks); `frames` simulated; `seconds` in all; `timings` (part ->
    seconds, parts do not overlap)."""
    vision: Mapping[str, Any] | None = None
    """`history` (rows with `step` and `train_loss` and/or `held_out_loss`), `curve_label` (what the loss is,
    with unit), `curve_baselines` (name -> value, only if in the unit of the loss); then squared errors in one
    unit: `train_error`, `held_out_error`, `mean_frame_error`, and around the car `car_crop_error`,
    `car_crop_baseline` (the mean frame's); `error_unit` (str) and `verdict` (one sentence)."""
    memory: Mapping[str, Any] | None = None
    """`history`, `curve_label`, `curve_baselines` as for vision; held-out `nll`, `persistence_nll`,
    `shuffled_nll` (actions shuffled) and `nll_unit` (str); `reward_explained_variance`; `termination` (None
    where the world never terminates, or metric -> value); `verdict` (one sentence)."""
    images: Mapping[str, bytes] = field(default_factory=dict)
    """PNG files by name, shown at their own size without smoothing. "reconstructions", "dream" and
    "contact_sheet" have their places; others follow at the end, captioned by their name."""
    videos: Mapping[str, bytes] = field(default_factory=dict)
    """WebM or animated WebP files by name: "drive" beside the score, "dream" with the memory, others last."""
    episodes: Sequence[Mapping[str, Any]] = ()
    """One row per test episode; its keys are the columns: `seed`, `return`, `steps`, `tiles`, `lap`..."""
    config_yaml: str = ""
    """The resolved config."""
    warnings: Sequence[str] = ()
    """What a reader must know before believing the figures, such as a collapsed posterior."""
    command: str = ""
    """The commands that reproduce the run."""


def render_report(data: ReportData) -> str:
    """Returns the page as one HTML document that needs no other file.

    Raises:
        ValueError: an image is not a PNG, or a video neither WebM nor WebP.
    """
    more = [_picture(key, data.images[key], key) for key in data.images if key not in _PLACED_IMAGES]
    more += [_film(key, data.videos[key], key) for key in data.videos if key not in _PLACED_VIDEOS]
    sections = [
        _warnings(data.warnings),
        f'<div class="hero">{_score(data)}{_drive(data)}</div>',
        _section("Test tracks", _episodes(data)),
        _section("Learning", _learning(data)),
        _section("Vision", _vision(data)),
        _section("Memory", _memory(data)),
        _section("More pictures", "".join(more)) if more else "",
        _section("Reproduce", _reproduce(data)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(data.name)} · worldmodels</title><style>{_CSS}</style></head>\n<body><main>"
        f'<header><p class="eyebrow">worldmodels run</p><h1>{escape(data.name)}</h1>{_facts(data.facts)}'
        "</header>\n" + "\n".join(section for section in sections if section) + "\n</main></body></html>\n"
    )


def _score(data: ReportData) -> str:
    if data.summary is None:
        missing = _missing(data, "evaluate")
        return f'<div class="card"><p class="eyebrow">Mean return on test tracks</p>{missing}</div>'
    score = data.summary
    tiles = (
        ("median", _number(score.median)),
        ("worst 5 %", _number(score.worst_5_percent)),
        ("std", _number(score.std) if score.episodes > 1 else "n/a"),
        (f"at least {SOLVED_RETURN:.0f}", f"{100 * score.success_rate:.0f} %"),
    )
    tracks = "1 test track" if score.episodes == 1 else f"{score.episodes:,} test tracks"
    if data.baseline is None:
        random_policy = f"<p>Random policy: {_missing(data, 'evaluate', tag='span')}</p>"
    else:
        tail = f"{_interval(data.baseline)}, {data.baseline.episodes:,} tracks"
        random_policy = (
            f"<p>Random policy <b>{_number(data.baseline.mean)}</b> <span class='muted'>{tail}</span></p>"
        )
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
    return (
        f'<div class="card"><p class="eyebrow">Mean return over {tracks}</p>'
        f'<p class="score">{_number(score.mean)}</p><p class="interval">{_interval(score)}</p>'
        f'{random_policy}<dl class="tiles">{cells}</dl></div>'
    )


def _drive(data: ReportData) -> str:
    return _film("drive", data.videos["drive"], "One drive on a test track") if "drive" in data.videos else ""


def _episodes(data: ReportData) -> str:
    if data.summary is None or not data.episodes:
        return _missing(data, "evaluate")
    body = ""
    if all(row.get("return") is not None for row in data.episodes):
        returns = np.array([row["return"] for row in data.episodes], dtype=np.float64)
        body += _plot(
            return_strip(returns, data.summary, data.baseline), "One dot per track; bars count them."
        )
    if "contact_sheet" in data.images:
        body += _picture("contact sheet", data.images["contact_sheet"], "Frames of episodes, first to last")
    columns = list(dict.fromkeys(key for row in data.episodes for key in row))
    rows = [[_cell(row.get(column)) for column in columns] for row in data.episodes]
    return body + _details(f"All {len(rows):,} episodes", _table(columns, rows))


def _learning(data: ReportData) -> str:
    if not data.generations:
        return _missing(data, "evolve")
    last = next((row["validation"] for row in reversed(data.generations) if row.get("validation")), None)
    caption = (
        "The population's returns are those it is selected by; each best is a lucky maximum, not a score."
    )
    if last:
        caption += f" Last validation of the distribution's mean: {_number(last['mean'])}"
        caption += f" (95 % {_number(last['ci_low'])} to {_number(last['ci_high'])})."
    return _plot(learning_curve(data.generations, data.baseline), caption) + _timings(data.generations)


def _timings(generations: Sequence[Mapping[str, Any]]) -> str:
    """Where a generation's time went: parts by size, what no part claims last."""
    parts: dict[str, float] = {}
    for row in generations:
        for part, seconds in (row.get("timings") or {}).items():
            parts[part] = parts.get(part, 0.0) + seconds
    if not parts:
        return ""
    total = sum(row.get("seconds") or 0.0 for row in generations)
    ordered = sorted(parts.items(), key=lambda item: -item[1])
    unclaimed = total - sum(parts.values())
    total = max(total, sum(parts.values()))
    if unclaimed > 0.005 * total:
        ordered.append(("other", unclaimed))
    rows = []
    for part, seconds in ordered:
        share = seconds / total if total else 0.0
        bar = f'<span class="bar"><i style="width:{100 * share:.1f}%"></i></span>'
        rows.append([escape(part), f"{seconds / len(generations):.2f} s", f"{100 * share:.0f} %", bar])
    frames = sum(row.get("frames") or 0 for row in generations)
    speed = f", {frames:,} frames at {frames / total:,.0f} per second" if frames and total else ""
    note = f'<p class="muted">{len(generations):,} generations in {_duration(total)}{speed}.</p>'
    return (
        "<h3>Where a generation's time went</h3>"
        + _table(["part", "per generation", "share", ""], rows)
        + note
    )


def _vision(data: ReportData) -> str:
    vision = data.vision
    if vision is None:
        return _missing(data, "train-vision")
    rows = [
        ("held-out frames", "held_out_error"),
        ("training frames", "train_error"),
        ("baseline: the mean frame", "mean_frame_error"),
        ("around the car, held out", "car_crop_error"),
        ("around the car, the mean frame", "car_crop_baseline"),
    ]
    unit = f" ({vision['error_unit']})" if vision.get("error_unit") else ""
    body = _verdict(vision) + _losses(vision, "vision") + _measures(vision, f"squared error{unit}", rows)
    if "reconstructions" in data.images:
        body += _picture(
            "reconstructions", data.images["reconstructions"], "Frames and their reconstructions"
        )
    return body


def _memory(data: ReportData) -> str:
    memory = data.memory
    if memory is None:
        return _missing(data, "train-memory")
    unit = f", {memory['nll_unit']}" if memory.get("nll_unit") else ""
    rows = [
        (f"negative log-likelihood of the next z{unit}", "nll"),
        ("baseline: persistence", "persistence_nll"),
        ("the same, actions shuffled", "shuffled_nll"),
        ("reward, explained variance", "reward_explained_variance"),
    ]
    termination = memory.get("termination")
    flat = {**memory, **{f"termination {key}": value for key, value in (termination or {}).items()}}
    rows += [(f"termination, {key}", f"termination {key}") for key in termination or {"": None}]
    if not termination:
        rows[-1] = ("termination", "no such key")
    body = _verdict(memory) + _losses(memory, "memory") + _measures(flat, "held-out episodes", rows)
    if "dream" in data.images:
        body += _picture("dream", data.images["dream"], "A dream: frames imagined by the memory, decoded")
    if "dream" in data.videos:
        body += _film("dream", data.videos["dream"], "A dream: frames imagined by the memory, decoded")
    if "dream" not in data.images and "dream" not in data.videos:
        body += f"<h3>Dream</h3>{_missing(data, 'dream')}"
    return body


def _reproduce(data: ReportData) -> str:
    body = f"<pre>{escape(data.command)}</pre>" if data.command else ""
    if data.config_yaml:
        body += _details("Resolved config", f"<pre>{escape(data.config_yaml)}</pre>")
    return body or '<p class="muted">No command and no config were recorded.</p>'


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    lines = "".join(f"<li>{escape(line)}</li>" for line in warnings)
    return f'<aside class="warnings" role="alert"><b>Read this first</b><ul>{lines}</ul></aside>'


def _facts(facts: Mapping[str, str]) -> str:
    cells = (
        f"<div><dt>{escape(key)}</dt><dd>{escape(str(value))}</dd></div>" for key, value in facts.items()
    )
    return f'<dl class="facts">{"".join(cells)}</dl>' if facts else ""


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _missing(data: ReportData, stage: str, tag: str = "p") -> str:
    return f'<{tag} class="muted">not run yet: <code>worldmodels {stage} {escape(data.name)}</code></{tag}>'


def _verdict(stage: Mapping[str, Any]) -> str:
    return f'<p class="verdict">{escape(stage["verdict"])}</p>' if stage.get("verdict") else ""


def _losses(stage: Mapping[str, Any], name: str) -> str:
    if not stage.get("history"):
        return ""
    return _plot(
        loss_curves(
            stage["history"],
            stage.get("curve_baselines"),
            stage.get("curve_label", "loss"),
            name=f"{name}-loss",
        )
    )


def _measures(values: Mapping[str, Any], heading: str, rows: Sequence[tuple[str, str]]) -> str:
    cells = [
        [escape(label), "n/a" if values.get(key) is None else _number(values[key], 4)] for label, key in rows
    ]
    return _table([heading, ""], cells)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Column names are escaped here; cells come escaped, since some hold markup."""
    head = "".join(f"<th>{escape(str(column))}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _details(title: str, body: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def _plot(svg: str, caption: str = "") -> str:
    note = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="plot"><div class="wide">{svg}</div>{note}</figure>'


def _picture(name: str, png: bytes, caption: str) -> str:
    if not png.startswith(b"\x89PNG"):
        raise ValueError(f"images[{name!r}] is not a PNG file: encode it with worldmodels.video.png_bytes")
    return _media(f'<img alt="{escape(name)}" src="{_data_url("image/png", png)}">', caption)


def _film(name: str, film: bytes, caption: str) -> str:
    if film.startswith(b"\x1aE\xdf\xa3"):
        source = _data_url("video/webm", film)
        return _media(f'<video autoplay loop muted playsinline controls src="{source}"></video>', caption)
    if film.startswith(b"RIFF") and film[8:12] == b"WEBP":
        return _media(f'<img alt="{escape(name)}" src="{_data_url("image/webp", film)}">', caption)
    raise ValueError(f"videos[{name!r}] is neither WebM nor WebP: write it with worldmodels.video.write_webm")


def _media(element: str, caption: str) -> str:
    return f'<figure class="media">{element}<figcaption>{escape(caption)}</figcaption></figure>'


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _interval(summary: Summary) -> str:
    if summary.episodes == 1:
        return "one episode: no interval"
    return f"95 % interval {_number(summary.ci_low)} to {_number(summary.ci_high)}"


def _number(value: float | int, significant: int | None = None) -> str:
    """One decimal, or so many significant digits; with a typographic minus."""
    return (f"{value:,.1f}" if significant is None else f"{value:.{significant}g}").replace("-", "−")


def _duration(seconds: float | int) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.1f}" if isinstance(value, float) else escape(str(value))


_CSS = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1f2431; --muted: #687083;
  --line: #e2e5eb; --accent: #2f6fde; --warn: #9a4a00; --warn-page: #fff4e5;
  --plot-ink: #1f2431; --plot-grid: #e2e5eb }
@media (prefers-color-scheme: dark) { :root { --page: #14171d; --card: #1c2028; --ink: #e8eaf0;
  --muted: #98a1b3; --line: #2f3541; --accent: #7aa7ff; --warn: #ffc078; --warn-page: #33260f;
  --plot-ink: #d5d9e2; --plot-grid: #343b48 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); -webkit-text-size-adjust: 100%;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif }
main { max-width: 1000px; margin: 0 auto; padding: 2.5rem 1.25rem 4rem }
h1 { font-size: clamp(1.7rem, 5vw, 2.5rem); line-height: 1.15; margin: 0; overflow-wrap: anywhere;
  letter-spacing: -.02em }
h2 { font-size: 1.3rem; margin: 0 0 .75rem; letter-spacing: -.01em }
h3 { font-size: 1rem; margin: 1.75rem 0 .5rem }
p { margin: 0 0 .75rem } figure { margin: 0 0 1.25rem }
.eyebrow, dt { font-size: .78rem; color: var(--muted); margin: 0 } .eyebrow { font-weight: 600 }
.muted, figcaption { color: var(--muted); font-size: .9rem } figcaption { margin-top: .4rem }
dl, dd { margin: 0 } dd { overflow-wrap: anywhere; font-size: .92rem }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(12rem, 45%), 1fr));
  gap: .7rem 1.5rem; margin: 1.25rem 0 0 }
section, .card, .hero > figure { background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 1.5rem; margin: 0 0 1.25rem }
.hero { display: flex; flex-wrap: wrap; gap: 0 1.25rem; align-items: stretch } .hero > * { flex: 1 1 20rem }
.score { font-size: clamp(3.4rem, 11vw, 5.2rem); font-weight: 700; line-height: 1; letter-spacing: -.04em;
  margin: .35rem 0; font-variant-numeric: tabular-nums }
.interval { font-size: 1.15rem; font-weight: 600; color: var(--accent) }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: .75rem;
  border-top: 1px solid var(--line); padding-top: 1rem; margin-top: 1rem }
.tiles dd { font-size: 1.1rem; font-weight: 600; font-variant-numeric: tabular-nums }
.warnings { background: var(--warn-page); color: var(--warn); border-radius: 14px; padding: 1rem 1.5rem;
  margin: 0 0 1.25rem } .warnings ul { margin: .25rem 0 0; padding-left: 1.2rem }
.verdict { border-left: 3px solid var(--accent); padding-left: .8rem }
.wide { overflow-x: auto } .plot svg { display: block; width: 100%; min-width: 20rem; height: auto }
.plot svg text { font-family: inherit !important }
section > :last-child { margin-bottom: 0 }
.media { overflow-x: auto } .wide + .media { margin-top: 1.25rem }
.media img, .media video { display: block; max-width: 100%; height: auto; margin: 0 auto;
  border-radius: 6px; image-rendering: pixelated }
.wide + p { margin-top: .6rem } header { margin-bottom: 1.75rem }
.hero .media { margin-bottom: 1.25rem } .hero .media video, .hero .media img { width: 100% }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums }
th { text-align: left; font-weight: 600; color: var(--muted); font-size: .82rem }
th, td { padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--line); white-space: nowrap }
td:first-child { white-space: normal }
.bar { display: block; width: 12rem; height: .55rem; border-radius: 4px; background: var(--line) }
.bar i { display: block; height: 100%; border-radius: 4px; background: var(--accent) }
details { margin-top: 1rem } summary { cursor: pointer; color: var(--accent); font-weight: 600 }
details .wide { max-height: 28rem; overflow-y: auto; margin-top: .5rem }
pre, code { font: .86rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
pre { background: var(--page); border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem;
  margin: .5rem 0; overflow-x: auto } code { overflow-wrap: anywhere }
@media (max-width: 40rem) { main { padding: 1.25rem .75rem 2rem } section, .card { padding: 1rem }
  .hero > figure { padding: 1rem } .tiles { grid-template-columns: repeat(2, 1fr) } .bar { width: 4rem }
  section .media img { max-width: none } }
@media print { body { background: #fff } section, .card { break-inside: avoid } }
"""
