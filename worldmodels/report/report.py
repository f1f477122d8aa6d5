"""The run at a glance: everything a run folder knows, as one HTML file that opens anywhere.

The page loads nothing: style, figures, pictures and films are inside it, so it can be mailed or archived and
looks the same years later. The headline is the mean return on test tracks with its interval, the number of
tracks and the random policy's score; a best episode is never a headline. A stage that has not run is named
together with the command that runs it. All text is escaped: a run's name or config cannot inject markup.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from worldmodels.accuracy.verdict import Verdict, verdict_html
from worldmodels.report.page import CSS, cell, details, duration, film, number, picture, plot, table
from worldmodels.report.plots import Breaks, learning_curve, loss_curves, return_strip
from worldmodels.report.rounds import Rounds, rounds_section
from worldmodels.statistics import SOLVED_RETURN, Summary

_PLACED_IMAGES = ("rollouts", "reconstructions", "contact_sheet")
_PLACED_VIDEOS = ("drive",)


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
    seconds, parts do not overlap). Those of a loop's rounds follow one another."""
    dreamt: bool = False
    """Whether the population's returns are those of dreams."""
    breaks: Breaks = ()
    """Generations at which a round begins, with its name."""
    rounds: Rounds | None = None
    """What a loop's rounds reached; None without a loop."""
    verdict: Verdict | None = None
    """What the figures of the world model mean; None as long as there is none."""
    vision: Mapping[str, Any] | None = None
    """`history` (rows with `step` and `train_loss` and/or `held_out_loss`), `curve_label` (what the loss is,
    with unit), `curve_baselines` (name -> value, only if in the unit of the loss), `breaks` as above, in steps; then
    squared errors in one unit: `train_error`, `held_out_error`, `mean_frame_error`, and around the car
    `car_crop_error`, `car_crop_baseline` (the mean frame's); `error_unit` (str) and `verdict` (one sentence)."""
    memory: Mapping[str, Any] | None = None
    """`history`, `curve_label`, `curve_baselines`, `breaks` as for vision; held-out `nll`, `persistence_nll`,
    `shuffled_nll` (actions shuffled) and `nll_unit` (str); `reward_explained_variance`; `termination` (None
    where the world never terminates, or metric -> value); `verdict` (one sentence)."""
    images: Mapping[str, bytes] = field(default_factory=dict)
    """PNG files by name, shown at their own size without smoothing. "rollouts", "reconstructions" and
    "contact_sheet" (of test episodes) have their places; others follow at the end, captioned by their name."""
    videos: Mapping[str, bytes] = field(default_factory=dict)
    """WebM or animated WebP files by name: "drive" beside the score, others last."""
    dreams: Mapping[str, bytes] = field(default_factory=dict)
    """Films and PNG files of dreams by name, in the order of the page."""
    dream_captions: Mapping[str, str] = field(default_factory=dict)
    """What they show, by name; `not_filmed` says why there is nothing to see."""
    episodes: Sequence[Mapping[str, Any]] = ()
    """One row per test episode; its keys are the columns: `seed`, `return`, `steps`, `tiles`, `lap`..."""
    config_yaml: str = ""
    """The resolved config."""
    round_differences: Sequence[tuple[str, str, str]] = ()
    """Fields that the chosen round has otherwise than its loop: name, the loop's value, the round's."""
    warnings: Sequence[str] = ()
    """What a reader must know before believing the figures, such as a collapsed posterior."""
    command: str = ""
    """The commands that reproduce the run."""


def render_report(data: ReportData) -> str:
    """Return the page as one HTML document that needs no other file.

    Raises:
        ValueError: an image is not a PNG, or a video neither WebM nor WebP.
    """
    more = [picture(key, data.images[key], key) for key in data.images if key not in _PLACED_IMAGES]
    more += [film(key, data.videos[key], key) for key in data.videos if key not in _PLACED_VIDEOS]
    sections = [
        _warnings(data.warnings),
        f'<div class="hero">{_score(data)}{_drive(data)}</div>',
        _section("In its dream", _dreams(data)),
        _section("World model", verdict_html(data.verdict)) if data.verdict else "",
        _section("Rounds", rounds_section(data.rounds, data.baseline)) if data.rounds else "",
        _section("Test tracks", _episodes(data)),
        _section("Rollouts", _rollouts(data)),
        _section("Learning", _learning(data)),
        _section("Vision", _vision(data)),
        _section("Memory", _memory(data)),
        _section("More pictures", "".join(more)) if more else "",
        _section("Reproduce", _reproduce(data)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(data.name)} · worldmodels</title><style>{CSS}</style></head>\n<body><main>"
        f'<header><p class="eyebrow">worldmodels run</p><h1>{escape(data.name)}</h1>{_facts(data.facts)}'
        "</header>\n" + "\n".join(section for section in sections if section) + "\n</main></body></html>\n"
    )


def _score(data: ReportData) -> str:
    if data.summary is None:
        missing = _missing(data, "evaluate")
        return f'<div class="card"><p class="eyebrow">Mean return on test tracks</p>{missing}</div>'
    score = data.summary
    tiles = (
        ("median", number(score.median)),
        ("worst 5 %", number(score.worst_5_percent)),
        ("std", number(score.std) if score.episodes > 1 else "n/a"),
        (f"at least {SOLVED_RETURN:.0f}", f"{100 * score.success_rate:.0f} %"),
    )
    tracks = "1 test track" if score.episodes == 1 else f"{score.episodes:,} test tracks"
    if data.baseline is None:
        random_policy = f"<p>Random policy: {_missing(data, 'evaluate', tag='span')}</p>"
    else:
        tail = f"{_interval(data.baseline)}, {data.baseline.episodes:,} tracks"
        random_policy = f"<p>Random policy <b>{number(data.baseline.mean)}</b> <span class='muted'>{tail}</span></p>"
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
    return (
        f'<div class="card"><p class="eyebrow">Mean return over {tracks}</p>'
        f'<p class="score">{number(score.mean)}</p><p class="interval">{_interval(score)}</p>'
        f'{random_policy}<dl class="tiles">{cells}</dl></div>'
    )


def _drive(data: ReportData) -> str:
    return film("drive", data.videos["drive"], "One drive on a test track") if "drive" in data.videos else ""


def _episodes(data: ReportData) -> str:
    if data.summary is None or not data.episodes:
        return _missing(data, "evaluate")
    body = ""
    if all(row.get("return") is not None for row in data.episodes):
        returns = np.array([row["return"] for row in data.episodes], dtype=np.float64)
        body += plot(return_strip(returns, data.summary, data.baseline), "One dot per track; bars count them.")
    if "contact_sheet" in data.images:
        body += picture("contact sheet", data.images["contact_sheet"], "Frames of episodes, first to last")
    columns = list(dict.fromkeys(key for row in data.episodes for key in row))
    rows = [[cell(row.get(column)) for column in columns] for row in data.episodes]
    return body + details(f"All {len(rows):,} episodes", table(columns, rows))


def _rollouts(data: ReportData) -> str:
    if "rollouts" not in data.images:
        return _missing(data, "collect")
    return picture(
        "rollouts", data.images["rollouts"], "What vision and memory learn from: episodes, first frame to last"
    )


def _learning(data: ReportData) -> str:
    if not data.generations:
        return _missing(data, "evolve")
    last = next((row["validation"] for row in reversed(data.generations) if row.get("validation")), None)
    caption = "The population's returns are those it is selected by; each best is a lucky maximum, not a score."
    if data.dreamt:
        caption += " They are returns of dreams, charges included, so validation has an axis of its own."
    if data.breaks:
        caption += " Lines: where a round begins; each has a memory, and so dreams, of its own."
    if last:
        caption += f" Last validation of the distribution's mean: {number(last['mean'])}"
        caption += f" (95 % {number(last['ci_low'])} to {number(last['ci_high'])})."
    drawn = learning_curve(data.generations, data.baseline, dreamt=data.dreamt, breaks=data.breaks)
    return plot(drawn, caption) + _timings(data.generations)


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
    note = f'<p class="muted">{len(generations):,} generations in {duration(total)}{speed}.</p>'
    return "<h3>Where a generation's time went</h3>" + table(["part", "per generation", "share", ""], rows) + note


def _vision(data: ReportData) -> str:
    vision = data.vision
    if vision is None:
        return _missing(data, "train-vision")
    rows = [
        ("held-out frames", "held_out_error"),
        ("training frames", "train_error"),
        ("baseline: the mean frame", "mean_frame_error"),
    ]
    if vision.get("car_crop_error") is not None:
        rows.append(("around the car, held out", "car_crop_error"))
        rows.append(("around the car, the mean frame", "car_crop_baseline"))
    unit = f" ({vision['error_unit']})" if vision.get("error_unit") else ""
    body = _verdict(vision) + _losses(vision, "vision") + _measures(vision, f"squared error{unit}", rows)
    if "reconstructions" in data.images:
        body += picture("reconstructions", data.images["reconstructions"], "Frames and their reconstructions")
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
    return body


def _dreams(data: ReportData) -> str:
    """Every film and picture of dreams with its caption."""
    if not data.dreams and "not_filmed" not in data.dream_captions:
        return _missing(data, "dream")
    body = ""
    for name, content in data.dreams.items():
        show = picture if content.startswith(b"\x89PNG") else film
        body += show(name, content, data.dream_captions.get(name, name))
    if "not_filmed" in data.dream_captions:
        body += f"<p>{escape(data.dream_captions['not_filmed'])}</p>"
    return body


def _reproduce(data: ReportData) -> str:
    body = f"<pre>{escape(data.command)}</pre>" if data.command else ""
    if data.config_yaml:
        body += details("Resolved config", f"<pre>{escape(data.config_yaml)}</pre>")
    if data.round_differences:
        rows = [[escape(str(each)) for each in row] for row in data.round_differences]
        body += details("What the chosen round has otherwise", table(["field", "the loop", "the round"], rows))
    return body or '<p class="muted">No command and no config were recorded.</p>'


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    lines = "".join(f"<li>{escape(line)}</li>" for line in warnings)
    return f'<aside class="warnings" role="alert"><b>Read this first</b><ul>{lines}</ul></aside>'


def _facts(facts: Mapping[str, str]) -> str:
    cells = (f"<div><dt>{escape(key)}</dt><dd>{escape(str(value))}</dd></div>" for key, value in facts.items())
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
    return plot(
        loss_curves(
            stage["history"],
            stage.get("curve_baselines"),
            stage.get("curve_label", "loss"),
            name=f"{name}-loss",
            breaks=stage.get("breaks", ()),
        ),
        stage.get("curve_caption", ""),
    )


def _measures(values: Mapping[str, Any], heading: str, rows: Sequence[tuple[str, str]]) -> str:
    cells = [[escape(label), "n/a" if values.get(key) is None else number(values[key], 4)] for label, key in rows]
    return table([heading, ""], cells)


def _interval(summary: Summary) -> str:
    if summary.episodes == 1:
        return "one episode: no interval"
    return f"95 % interval {number(summary.ci_low)} to {number(summary.ci_high)}"
