"""What is known of a world model, in plain words: one verdict for the accuracy page, the report and `info`.

The figures are those of the accuracy card; before there is one, those that the training stages noted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from generative.core.facts import FactsView
from generative.report.pages import number

Grade = Literal["good", "fair", "poor"]
SIGHT = (0.8, 0.5)
"""Shares of the mean frame's error that reconstructions explain, from which on a vision sees well, and roughly."""
OBEYS = 0.01
"""Nats per dimension that other actions cost a memory at least, if its dreams follow the actions."""
RETURNS = (0.6, 0.2)
"""Shares of the variance of real returns or rewards that are explained, for good and for fair."""
ENDS = (0.9, 0.7)
"""AUROC of the end of an episode, for good and for fair."""
AGREES = (0.7, 0.3)
"""Rank correlations of dream and real return, for good and for fair."""


@dataclass(frozen=True)
class Findings:
    """Figures of a world model; None where something was not measured."""

    measured: str
    """Where they are from: a sentence."""
    sight: float | None = None
    """Share of the mean frame's squared error that reconstructions do not make."""
    gain: float | None = None
    """Nats per dimension by which the next latent is better predicted than by persistence."""
    sensitivity: float | None = None
    """Nats per dimension that another episode's actions cost."""
    horizons: Sequence[int] = ()
    """Steps alone after which dreams were compared with reality."""
    beats_persistence: Sequence[int] | None = None
    """Those at which dreams are nearer than what stays as it was."""
    returns: float | None = None
    """Share of the variance of real returns that dreams with the same actions explain."""
    reward: float | None = None
    """Share of the variance of the next reward that is explained."""
    ends: float | None = None
    """AUROC of the end of an episode."""
    agreement: FactsView | None = None
    """Rank correlation of dream and real return over controllers: `value`, `ci_low`, `ci_high`."""
    controllers: int = 0
    """How many controllers that is over."""


@dataclass(frozen=True)
class Verdict:
    """What figures of a world model mean."""

    grade: Grade
    headline: str
    """The verdict in a sentence."""
    reasons: tuple[str, ...] = field(default=())
    """A sentence for each thing that is known."""
    measured: str = ""
    """Where the figures are from."""


def findings_of_card(card: FactsView) -> Findings:
    """Return what an accuracy card found, on the agent's own episodes where there are some."""
    name = judged_set(card)
    found = card["sets"][name]
    agreed = card["agreement"]
    dreams = found.get("open_loop") or {}
    return Findings(
        measured=f"Measured on {found['episodes']} held-out episodes ({name}), on tracks that nothing was trained or "
        "chosen on.",
        sight=_known(found, "reconstruction", "explained"),
        gain=_known(found, "one_step", "gain", "persistence", "value"),
        sensitivity=_known(found, "one_step", "action_sensitivity", "value"),
        horizons=dreams.get("horizons", ()),
        beats_persistence=(dreams.get("beats_persistence_at") or {}).get("energy"),
        returns=_known(found, "reward", "open_loop", "r2", "value"),
        ends=_known(found, "termination", "auroc", "value"),
        agreement=agreed.get("spearman"),
        controllers=agreed.get("controllers", 0),
    )


def judged_set(card: FactsView) -> str:
    """Return the set of episodes that a card is judged by: the agent's own if they were measured."""
    return "on-policy" if "one_step" in card["sets"].get("on-policy", {}) else "random"


def findings_of_stages(vision: FactsView | None, memory: FactsView | None, run: str) -> Findings:
    """Return what the training stages noted.

    Args:
        vision: the facts that a finished `train-vision` left, or None.
        memory: likewise of `train-memory`.
        run: as commands name it.
    """
    seen, remembered = vision or {}, memory or {}
    error, baseline = (_known(seen, name) for name in ("squared_error", "baseline_squared_error"))
    nll, persistence, shuffled = (_known(remembered, f"nll{end}") for end in ("", "_persistence", "_shuffled_action"))
    return Findings(
        measured="Not measured on held-out tracks yet: this is what the training stages noted on episodes that they "
        f"held out. `worldmodels accuracy {run}` measures it.",
        sight=1 - error / baseline if error is not None and baseline else None,
        gain=None if nll is None or persistence is None else persistence - nll,
        sensitivity=None if nll is None or shuffled is None else shuffled - nll,
        reward=_known(remembered, "reward_explained"),
        ends=_known(remembered, "termination_auroc"),
    )


def _known(content: object, *path: str) -> float | None:
    """Follow a path into nested data to a number; None where it ends early, or is at no number."""
    for key in path:
        content = content.get(key) if isinstance(content, Mapping) else None
    return float(content) if isinstance(content, int | float) and math.isfinite(content) else None


def verdict(found: Findings) -> Verdict:
    """Say what the figures mean: a sentence in all, and one for each of them."""
    said = [_sight(found), _next(found), _actions(found), _dreams(found), _rewards(found), _ends(found), _agrees(found)]
    grade, headline = _all_in_all(found)
    return Verdict(grade, headline, tuple(each for each in said if each), found.measured)


def _all_in_all(found: Findings) -> tuple[Grade, str]:
    """Judge prediction by dreams where they were measured: a step ahead, vision's noise can hide what is known."""
    if found.gain is None or found.sensitivity is None:
        return "fair", "Not known yet: there is no trained memory."
    if not (found.gain > 0 if found.beats_persistence is None else found.beats_persistence):
        return "poor", "Not usable: it predicts no better than if nothing ever changed."
    if found.sensitivity < OBEYS:
        return "poor", "Not usable: its dreams do not obey the controller."
    if found.agreement is None:
        return "fair", "It predicts, and it follows the actions. Whether its dreams teach is not measured."
    grade = _graded(found.agreement["value"], AGREES)
    low, high = found.agreement.get("ci_low"), found.agreement.get("ci_high")
    if low is None or high is None or (low <= 0 and high >= AGREES[1]):
        return "fair", "It predicts, and it follows the actions. Whether its dreams teach is not clear."
    headlines = {
        "good": "Good: what is better in its dreams is better in the real world.",
        "fair": "Usable with care: its dreams rank controllers only roughly as the real world does.",
        "poor": "Misleading: better in its dreams does not mean better in the real world.",
    }
    return grade, headlines[grade]


def _graded(value: float, limits: tuple[float, float]) -> Grade:
    return "good" if value >= limits[0] else "fair" if value >= limits[1] else "poor"


def _percent(share: float) -> str:
    return number(100 * share, 2 if abs(share) < 0.995 else 3) + " %"


def _sight(found: Findings) -> str:
    if found.sight is None:
        return ""
    if found.sight <= 0:
        return "Vision sees nothing: the mean of all frames would be as good a picture."
    how = {"good": "well", "fair": "roughly", "poor": "little"}[_graded(found.sight, SIGHT)]
    return f"Vision sees {how}: it explains {_percent(found.sight)} of what makes frames differ."


def _next(found: Findings) -> str:
    if found.gain is None:
        return ""
    if found.gain <= 0:
        return "One step ahead, vision's noise included, the memory predicts no better than “nothing changes”."
    return (
        f"The memory predicts the next moment better than “nothing changes”, by {number(found.gain, 2)} nats per "
        "dimension."
    )


def _actions(found: Findings) -> str:
    if found.sensitivity is None:
        return ""
    if found.sensitivity < OBEYS:
        return "It hardly looks at the actions."
    return f"It follows the actions: other actions cost it {number(found.sensitivity, 2)} nats per dimension."


def _dreams(found: Findings) -> str:
    at = found.beats_persistence
    if at is None or not found.horizons:
        return ""
    if not at:
        return "Left alone, its dreams are nowhere nearer to reality than “nothing changes”."
    if len(at) == len(found.horizons):
        return f"Left alone, its dreams beat “nothing changes” at every horizon up to {max(at)} steps."
    return (
        f"Left alone, its dreams beat “nothing changes” at {len(at)} of {len(found.horizons)} horizons, the longest "
        f"of {max(at)} steps."
    )


def _rewards(found: Findings) -> str:
    for share, what in (
        (found.returns, "returns of dreams with recorded actions"),
        (found.reward, "the next reward"),
    ):
        if share is not None:
            how = {"good": "well", "fair": "roughly", "poor": "hardly"}[_graded(share, RETURNS)]
            if share <= 0:
                return f"It does not know {what}: the mean would be a better guess."
            return f"It knows {what} {how}: {_percent(share)} of the variance is explained."
    return ""


def _ends(found: Findings) -> str:
    if found.ends is None:
        return ""
    how = {"good": "well", "fair": "roughly", "poor": "hardly"}[_graded(found.ends, ENDS)]
    return f"It tells the end of an episode {how} (AUROC {number(found.ends, 3)}; a coin has 0.5)."


def _agrees(found: Findings) -> str:
    if found.agreement is None:
        return ""
    value, low, high = (found.agreement.get(name) for name in ("value", "ci_low", "ci_high"))
    interval = "" if low is None or high is None else f" (95 % {number(low, 2)} to {number(high, 2)})"
    return (
        f"Over {found.controllers} controllers, dream and real return correlate with {number(value or 0.0, 2)} in "
        f"rank{interval}."
    )
