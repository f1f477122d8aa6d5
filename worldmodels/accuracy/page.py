"""The card as one HTML page: figures with intervals, plots, and what may be compared with what."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from generative.plain import FactsView
from worldmodels.accuracy.plots import drawable, measured, png, probed_set, svg
from worldmodels.accuracy.verdict import findings_of_card, verdict, verdict_html
from worldmodels.report.page import CSS, details, number, plot, table

Card = FactsView
CAPTIONS = {
    "open-loop": "Lower is better. Solid: dreams with the recorded actions, with 95 % intervals over episodes; dashed: "
    "the latent stays as it was. Energy score in units of the latents' spread, above what vision's own noise costs.",
    "pixels": "Squared error per pixel in [0, 1], vision's own error subtracted. The decoded mean over samples.",
    "calibration": "A heap in the middle: predictions too wide. Heaps at both ends: too narrow.",
    "reward": "Each point is a piece of an episode, dreamt with the actions that were really taken.",
    "probes": "Linear probes, fitted on the other half of the tracks. What z and h know beyond z and an untrained "
    "memory's h was learnt.",
    "agreement": "What evolution in the dream relies on: better in the dream should mean better in the real world.",
}


def render_card(card: Card) -> str:
    """Return the page as one HTML document that needs no other file."""
    name = str(card["facts"].get("run", ""))
    figures = drawable(card)
    sections = [
        ("At a glance", _glance(card)),
        ("What may be compared with what", _comparisons(card)),
        ("One step", _one_step(card) + _figure("calibration", card, figures)),
        ("Dreams with recorded actions", _figure("open-loop", card, figures) + _open_loop(card)
         + _figure("pixels", card, figures)),
        ("Reward and termination", _figure("reward", card, figures) + _heads(card)),
        ("What z and h know of the simulator", _figure("probes", card, figures) + _probes(card)),
        ("Dream and real return", _figure("agreement", card, figures) + _agreement(card)),
        ("How it was measured", _settings(card)),
    ]  # fmt: skip
    body = "\n".join(f"<section><h2>{escape(title)}</h2>{content}</section>" for title, content in sections)
    facts = "".join(
        f"<div><dt>{escape(key.replace('_', ' '))}</dt><dd>{escape(str(value))}</dd></div>"
        for key, value in card["facts"].items()
        if not isinstance(value, Mapping)
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)} · accuracy</title><style>{CSS}</style></head>\n<body><main>"
        f'<header><p class="eyebrow">accuracy of a world model</p><h1>{escape(name)}</h1>'
        f'<dl class="facts">{facts}</dl></header>\n{_left_out(card)}{body}\n</main></body></html>\n'
    )


def sheet(card: Card) -> bytes:
    """Return the page's plots on one sheet, a PNG."""
    return png(card)


def _figure(name: str, card: Card, figures: Sequence[str]) -> str:
    return plot(svg(name, card), CAPTIONS[name]) if name in figures else ""


def _left_out(card: Card) -> str:
    """List what could not be measured and why."""
    lines = [f"agreement: {card['agreement']['skipped']}"] if "skipped" in card["agreement"] else []
    for name, content in card["sets"].items():
        if "skipped" in content:
            lines.append(f"{name}: {content['skipped']}")
        for part, inner in content.items():
            if isinstance(inner, Mapping) and "skipped" in inner:
                lines.append(f"{name}, {part.replace('_', ' ')}: {inner['skipped']}")
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<aside class="warnings" role="alert"><b>Not measured</b><ul>{items}</ul></aside>\n'


def _sets(card: Card) -> list[str]:
    return [name for name, content in card["sets"].items() if "skipped" not in content]


def figure(value: Any, significant: int = 3) -> str:
    """Return a number, a list, or an estimate with its interval, as text; n/a where it is not known."""
    if value is None:
        return "n/a"
    if isinstance(value, Sequence):
        return ", ".join(escape(str(item)) for item in value) or "none"
    if not isinstance(value, Mapping):
        return number(value, significant)
    text = number(value["value"], significant)
    if value.get("ci_low") is None or value["episodes"] < 2:
        return text
    bounds = f"{number(value['ci_low'], significant)} to {number(value['ci_high'], significant)}"
    return f'<span>{text} <span class="muted">({bounds})</span></span>'


def pick(content: Any, *path: str | int) -> Any:
    """Follow a path into nested data; None where it ends early."""
    for key in path:
        if content is None or (isinstance(content, Mapping) and key not in content):
            return None
        content = content[key]
    return content


def _rows(card: Card, wanted: Sequence[tuple[str, tuple[str | int, ...]]]) -> str:
    names = _sets(card)
    rows = [[escape(label), *(figure(pick(card["sets"][name], *path)) for name in names)] for label, path in wanted]
    return table(["", *names], rows)


def _glance(card: Card) -> str:
    wanted: list[tuple[str, tuple[str | int, ...]]] = [
        ("reconstruction, squared error per pixel", ("reconstruction", "mse")),
        ("its share of the mean frame's error that is explained", ("reconstruction", "explained")),
        ("next latent: better than nothing-changes by (nats per dimension)", ("one_step", "gain", "persistence")),
        ("next latent: better than linear by", ("one_step", "gain", "linear")),
        ("action sensitivity (nats per dimension; 0 is blind)", ("one_step", "action_sensitivity")),
        ("dreams beat nothing-changes at (steps alone, energy score)", ("open_loop", "beats_persistence_at", "energy")),
        ("dreams have half its error at (steps alone)", ("open_loop", "half_persistence_at", "energy")),
        ("return of dreams, explained variance", ("reward", "open_loop", "r2")),
        ("termination, AUROC (0.5 knows nothing)", ("termination", "auroc")),
        ("coverage of 90 % intervals", ("calibration", "coverage", "90")),
    ]
    counts = ", ".join(
        f"{name}: {card['sets'][name]['episodes']} episodes, {card['sets'][name]['frames']:,} frames, mean return "
        f"{number(card['sets'][name]['return_mean'])}"
        for name in _sets(card)
    )
    return (
        verdict_html(verdict(findings_of_card(card)))
        + _rows(card, wanted)
        + f'<p class="muted">In brackets: 95 % bootstrap intervals over episodes. {escape(counts)}.</p>'
    )


def _comparisons(card: Card) -> str:
    rows = [[escape(row["figure"]), escape(row["with"]), escape(row["not_with"])] for row in card["comparisons"]]
    style = "<style>.compared td { white-space: normal; vertical-align: top }</style>"
    return style + f'<div class="compared">{table(["figure", "may be compared between", "but not"], rows)}</div>'


def _one_step(card: Card) -> str:
    labels = {
        "memory": "the memory",
        "shuffled_action": "the memory, with another episode's actions",
        "linear": "linear in latent and action",
        "linear_no_action": "linear in the latent alone",
        "persistence": "nothing changes",
    }
    note = (
        '<p class="muted">Negative log-likelihood of the next sampled latent, in nats per dimension of standardised '
        "latents; lower is better.</p>"
    )
    nll = _rows(card, [(label, ("one_step", "nll", name)) for name, label in labels.items()])
    wanted: list[tuple[str, tuple[str | int, ...]]] = [
        ("coverage of 50 % intervals", ("calibration", "coverage", "50")),
        ("coverage of 90 % intervals", ("calibration", "coverage", "90")),
        ("Kolmogorov-Smirnov distance from calibrated", ("calibration", "ks")),
    ]
    return note + nll + "<h3>Calibration</h3>" + _rows(card, wanted)


def _open_loop(card: Card) -> str:
    columns = {
        "energy score above the floor": ("excess", "memory"),
        "nothing changes": ("excess", "persistence"),
        "shuffled start": ("excess", "shuffled_start"),
        "floor": ("energy", "floor"),
        "RMSE of the mean": ("rmse", "memory"),
        "nothing changes ": ("rmse", "persistence"),
        "mean latent": ("rmse", "climate"),
    }
    blocks = []
    for name, content in measured(card, "open_loop").items():
        rows = [
            [
                str(horizon),
                *(figure(pick(content, kind, who, index)) for kind, who in columns.values()),
                figure(content["best"][index]),
                str(content["starts"][index]),
            ]
            for index, horizon in enumerate(content["horizons"])
        ]
        titles = ["steps alone", *columns, "best dream", "starts"]
        blocks.append(details(f"{name}: all horizons", table(titles, rows)))
    wanted: list[tuple[str, tuple[str | int, ...]]] = [
        (f"{label} ({kind})", ("open_loop", key, field))
        for key, label in (
            ("beats_persistence", "better than nothing-changes at every horizon up to"),
            ("beats_persistence_at", "horizons at which it is better"),
            ("half_persistence_at", "horizons at which it has half the error"),
        )
        for field, kind in (("energy", "energy score"), ("rmse", "RMSE of the mean"))
    ]
    return _rows(card, wanted) + "".join(blocks)


def _heads(card: Card) -> str:
    steps = next((content["steps"] for content in measured(card, "reward").values()), "")
    wanted: list[tuple[str, tuple[str | int, ...]]] = [
        (f"return of {steps} steps, {way}: {label}", ("reward", key, name))
        for key, way in (("open_loop", "dreamt"), ("real_latents", "from real latents"))
        for name, label in (("r2", "explained variance"), ("bias", "bias"), ("mae", "mean absolute error"))
    ]
    wanted += [
        (f"termination: {label}", ("termination", name))
        for name, label in (
            ("auroc", "AUROC"),
            ("auprc", "AUPRC"),
            ("base_rate", "base rate"),
            ("brier", "Brier score"),
            ("brier_base_rate", "Brier score of the base rate"),
        )
    ]
    return _rows(card, wanted)


def _probes(card: Card) -> str:
    chosen = probed_set(card)
    if chosen is None:
        return ""
    blocks = [f'<p class="muted">The figure shows {escape(chosen)} episodes.</p>']
    for name, probes in measured(card, "probes").items():
        kinds = list(probes["now"])
        rows = [
            [escape(title), *(figure(probes[when][kind][index]) for when in ("now", "ahead") for kind in kinds)]
            for index, title in enumerate(probes["names"])
        ]
        columns = ["state", *(f"{kind}, {when}" for when in ("now", f"{probes['ahead_steps']} steps on")
                              for kind in kinds)]  # fmt: skip
        blocks.append(details(f"{name}: share of variance explained", table(columns, rows)))
    for name, content in measured(card, "physical").items():
        rows = [
            [escape(title), *(_triple(rmse, index) for index in range(len(content["horizons"])))]
            for title, rmse in content["rmse"].items()
        ]
        columns = ["state", *(f"{horizon} steps" for horizon in content["horizons"])]
        note = '<p class="muted">Root mean squared error: dream / probe on real frames / nothing changes.</p>'
        blocks.append(
            details(f"{name}: dreams through the probe, in the simulator's units", note + table(columns, rows))
        )
    return "".join(blocks)


def _triple(rmse: FactsView, index: int) -> str:
    values = [pick(rmse, who, index, "value") for who in ("memory", "probe", "persistence")]
    return " / ".join(figure(value, 2) for value in values)


def _agreement(card: Card) -> str:
    agreed = card["agreement"]
    if "skipped" in agreed:
        return f'<p class="muted">{escape(agreed["skipped"])}</p>'
    rows = [
        ["Pearson correlation of mean returns", figure(agreed["pearson"])],
        ["Spearman rank correlation", figure(agreed["spearman"])],
        ["regret at 1: real return lost by choosing in the dream", figure(agreed["regret_at_1"])],
        ["as a share of the range of real returns", figure(agreed["regret_share"])],
        ["exploit gap: dream minus real return per frame", figure(agreed["exploit_gap"])],
    ]
    note = (
        f'<p class="muted">{agreed["controllers"]} controllers, each on {agreed["tracks"]} validation tracks and in '
        f"{agreed['dreams']} dreams; intervals over controllers. Best of several noisy means is a little too good, so "
        "regret is a little too high. Dreams start where the run's dreams start, real episodes at the start line.</p>"
    )
    return table(["", ""], rows) + note


def _settings(card: Card) -> str:
    settings = [[escape(name), escape(str(value))] for name, value in card["settings"].items()]
    dream = [[escape(name), escape(str(value))] for name, value in card["facts"].get("dream", {}).items()]
    body = table(["accuracy", ""], settings)
    return body + (details("The dream's options", table(["dream", ""], dream)) if dream else "")
