"""The card as one HTML page: the verdict, figures with intervals, plots, and what may be compared with what."""

from collections.abc import Mapping, Sequence
from typing import Any

from generative.core.facts import Facts, FactsView
from generative.report.pages import Remark, number, render
from generative.report.plots import svg
from worldmodels.accuracy.plots import FIGURES, drawable, drawn, measured, probed_set
from worldmodels.accuracy.verdict import findings_of_card, verdict

Card = FactsView
Wanted = Sequence[tuple[str, tuple[str | int, ...]]]
"""Rows of a table: what each is called, and its path in the figures of a set."""
Table = tuple[Sequence[str], Sequence[Sequence[object]]]
"""Names of columns, and rows of cells."""
GLANCE: Wanted = (
    ("reconstruction, squared error per pixel", ("reconstruction", "mse")),
    ("its share of the mean frame's error that is explained", ("reconstruction", "explained")),
    ("next latent: gain over persistence (nats per dimension)", ("one_step", "gain", "persistence")),
    ("next latent: gain over a linear model", ("one_step", "gain", "linear")),
    ("action sensitivity (nats per dimension; 0 is blind)", ("one_step", "action_sensitivity")),
    ("dreams beat persistence at (steps ahead, energy score)", ("open_loop", "beats_persistence_at", "energy")),
    ("dreams have half its error at (steps ahead)", ("open_loop", "half_persistence_at", "energy")),
    ("return of dreams, explained variance", ("reward", "open_loop", "r2")),
    ("termination, AUROC (0.5 knows nothing)", ("termination", "auroc")),
    ("coverage of 90 % intervals", ("calibration", "coverage", "90")),
)
ONE_STEP: Wanted = (
    ("the memory", ("one_step", "nll", "memory")),
    ("the memory, with another episode's actions", ("one_step", "nll", "shuffled_action")),
    ("baseline: linear in latent and action", ("one_step", "nll", "linear")),
    ("baseline: linear in the latent alone", ("one_step", "nll", "linear_no_action")),
    ("baseline: persistence", ("one_step", "nll", "persistence")),
)
CALIBRATION: Wanted = (
    ("coverage of 50 % intervals", ("calibration", "coverage", "50")),
    ("coverage of 90 % intervals", ("calibration", "coverage", "90")),
    ("Kolmogorov-Smirnov distance from calibrated", ("calibration", "ks")),
)
HORIZONS: Wanted = tuple(
    (f"{label} ({kind})", ("open_loop", key, field))
    for key, label in (
        ("beats_persistence", "better than persistence at every horizon up to"),
        ("beats_persistence_at", "horizons at which it is better"),
        ("half_persistence_at", "horizons at which it has half the error"),
    )
    for field, kind in (("energy", "energy score"), ("rmse", "RMSE of the mean"))
)
OPEN_LOOP = {
    "energy score above vision's noise": ("excess", "memory"),
    "persistence": ("excess", "persistence"),
    "shuffled start": ("excess", "shuffled_start"),
    "vision's noise": ("energy", "floor"),
    "RMSE of the mean": ("rmse", "memory"),
    "persistence ": ("rmse", "persistence"),
    "mean latent": ("rmse", "climate"),
}
TERMINATION: Wanted = (
    ("termination: AUROC", ("termination", "auroc")),
    ("termination: AUPRC", ("termination", "auprc")),
    ("termination: base rate", ("termination", "base_rate")),
    ("termination: Brier score", ("termination", "brier")),
    ("termination: Brier score of the base rate", ("termination", "brier_base_rate")),
)


def render_card(card: Card) -> str:
    """Return the page as one HTML document that needs no other file."""
    facts = {key.replace("_", " "): value for key, value in card["facts"].items() if not isinstance(value, Mapping)}
    dream = card["facts"].get("dream", {})
    return render(
        __package__,
        "card.html",
        title=str(card["facts"].get("run", "")),
        kind="accuracy of a world model",
        facts=facts,
        warnings=left_out(card),
        warned="Not measured",
        card=card,
        said=verdict(findings_of_card(card)),
        counts=[
            f"{name}: {content['episodes']} episodes, {content['frames']:,} frames, mean return "
            f"{number(content['return_mean'])}"
            for name, content in _sets(card).items()
        ],
        figures={name: svg(drawn(name, card), name, FIGURES[name][0]) for name in drawable(card)},
        glance=main_figures(card),
        comparisons=[[row["figure"], row["with"], row["not_with"]] for row in card["comparisons"]],
        one_step=_rows(card, ONE_STEP),
        calibration=_rows(card, CALIBRATION),
        horizons=_rows(card, HORIZONS),
        open_loop={name: _open_loop(content) for name, content in measured(card, "open_loop").items()},
        heads=_rows(card, _heads(card)),
        probed=probed_set(card),
        probes={name: _probes(content) for name, content in measured(card, "probes").items()},
        physical={name: _physical(content) for name, content in measured(card, "physical").items()},
        agreement=_agreement(card),
        settings=list(card["settings"].items()),
        dream=list(dream.items()),
    )


def main_figures(card: Card) -> Table:
    """Return the table of the figures that say most, a column for each set of episodes."""
    return _rows(card, GLANCE)


def _sets(card: Card) -> Facts:
    return {name: content for name, content in card["sets"].items() if "skipped" not in content}


def left_out(card: Card) -> list[str]:
    """Return what could not be measured and why."""
    lines = [f"agreement: {card['agreement']['skipped']}"] if "skipped" in card["agreement"] else []
    for name, content in card["sets"].items():
        if "skipped" in content:
            lines.append(f"{name}: {content['skipped']}")
        for part, inner in content.items():
            if isinstance(inner, Mapping) and "skipped" in inner:
                lines.append(f"{name}, {part.replace('_', ' ')}: {inner['skipped']}")
    return lines


def figure(value: float | str | Sequence[object] | FactsView | None, significant: int = 3) -> str | Remark:
    """Return a number, a list, or an estimate with its interval, as a cell; n/a where it is not known."""
    if value is None:
        return "n/a"
    if isinstance(value, Sequence):
        return ", ".join(map(str, value)) or "none"
    if not isinstance(value, Mapping):
        return number(value, significant)
    text = number(value["value"], significant)
    if value.get("ci_low") is None or value["episodes"] < 2:
        return text
    return Remark(text, f"({number(value['ci_low'], significant)} to {number(value['ci_high'], significant)})")


def pick(content: Any, *path: str | int) -> Any:
    """Follow a path into nested data; None where it ends early."""
    for key in path:
        if content is None or (isinstance(content, Mapping) and key not in content):
            return None
        content = content[key]
    return content


def _rows(card: Card, wanted: Wanted) -> Table:
    sets = _sets(card)
    return ["", *sets], [[label, *(figure(pick(each, *path)) for each in sets.values())] for label, path in wanted]


def _open_loop(content: FactsView) -> Table:
    rows = [
        [
            str(horizon),
            *(figure(pick(content, kind, who, index)) for kind, who in OPEN_LOOP.values()),
            figure(content["best"][index]),
            str(content["starts"][index]),
        ]
        for index, horizon in enumerate(content["horizons"])
    ]
    return ["steps ahead", *OPEN_LOOP, "best dream", "starts"], rows


def _heads(card: Card) -> Wanted:
    steps = next((content["steps"] for content in measured(card, "reward").values()), "")
    rewards = [
        (f"return of {steps} steps, {way}: {label}", ("reward", key, name))
        for key, way in (("open_loop", "dreamt"), ("real_latents", "from real latents"))
        for name, label in (("r2", "explained variance"), ("bias", "bias"), ("mae", "mean absolute error"))
    ]
    return [*rewards, *TERMINATION]


def _probes(probes: FactsView) -> Table:
    kinds = list(probes["now"])
    rows = [
        [title, *(figure(probes[when][kind][index]) for when in ("now", "ahead") for kind in kinds)]
        for index, title in enumerate(probes["names"])
    ]
    times = ("now", f"{probes['ahead_steps']} steps on")
    return ["state", *(f"{kind}, {when}" for when in times for kind in kinds)], rows


def _physical(content: FactsView) -> Table:
    rows = [
        [title, *(_triple(rmse, index) for index in range(len(content["horizons"])))]
        for title, rmse in content["rmse"].items()
    ]
    return ["state", *(f"{horizon} steps" for horizon in content["horizons"])], rows


def _triple(rmse: FactsView, index: int) -> str:
    values = [pick(rmse, who, index, "value") for who in ("memory", "probe", "persistence")]
    return " / ".join(str(figure(value, 2)) for value in values)


def _agreement(card: Card) -> list[list[object]]:
    agreed = card["agreement"]
    if "skipped" in agreed:
        return []
    return [
        ["Pearson correlation of mean returns", figure(agreed["pearson"])],
        ["Spearman rank correlation", figure(agreed["spearman"])],
        ["regret at 1: real return lost by choosing in the dream", figure(agreed["regret_at_1"])],
        ["as a share of the range of real returns", figure(agreed["regret_share"])],
        ["exploit gap: dream minus real return per frame", figure(agreed["exploit_gap"])],
    ]
