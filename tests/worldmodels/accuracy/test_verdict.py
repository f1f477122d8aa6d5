"""What figures of a world model mean in words."""

from dataclasses import replace

import pytest

from tests.page import Page
from worldmodels.accuracy.page import render_card
from worldmodels.accuracy.verdict import Findings, findings_of_card, findings_of_stages, verdict

KNOWN = Findings(
    "measured somewhere", sight=0.95, gain=1.2, sensitivity=0.7, horizons=(1, 5, 25), beats_persistence=(1, 5, 25),
    returns=0.8, ends=0.99, agreement={"value": 0.9, "ci_low": 0.7, "ci_high": 0.97}, controllers=30,
)  # fmt: skip
VISION = {"squared_error": 7.74, "baseline_squared_error": 162.69}
MEMORY = {"nll": -0.01, "nll_persistence": 0.98, "nll_shuffled_action": 0.70, "reward_explained": 0.91,
          "termination_auroc": 0.99}  # fmt: skip


def test_a_good_one_is_called_good_with_every_reason():
    said = verdict(KNOWN)
    assert said.grade == "good" and said.headline.startswith("Good")
    assert "no better" in " ".join(verdict(replace(KNOWN, gain=-1.0)).reasons)
    assert [reason.split()[0] for reason in said.reasons] == ["Vision", "The", "It", "Left", "It", "It", "Over"]
    assert "95 %" in said.reasons[0] and "at every horizon up to 25 steps" in said.reasons[3]
    assert "0.9 in rank (95 % 0.7 to 0.97)" in said.reasons[-1]


@pytest.mark.parametrize(
    ("changes", "grade", "words"),
    [
        ({"beats_persistence": ()}, "poor", "no better than if nothing ever changed"),
        ({"gain": -0.1, "beats_persistence": None}, "poor", "no better than if nothing ever changed"),
        ({"gain": -0.1}, "good", "better in the real world"),
        ({"sensitivity": 0.001}, "poor", "do not obey"),
        ({"agreement": {"value": -0.2, "ci_low": -0.5, "ci_high": 0.2}}, "poor", "does not mean better"),
        ({"agreement": {"value": 0.2, "ci_low": 0.1, "ci_high": 0.4}}, "poor", "does not mean better"),
        ({"agreement": {"value": -0.2, "ci_low": -0.9, "ci_high": 0.6}}, "fair", "not clear"),
        ({"agreement": {"value": 0.5, "ci_low": 0.2, "ci_high": 0.7}}, "fair", "only roughly"),
        ({"agreement": {"value": 0.8, "ci_low": -0.1, "ci_high": 1.0}}, "fair", "not clear"),
        ({"agreement": {"value": 0.8, "ci_low": None, "ci_high": None}}, "fair", "not clear"),
        ({"agreement": None}, "fair", "not measured"),
        ({"gain": None}, "fair", "no trained memory"),
    ],
)
def test_what_is_bad_decides(changes, grade, words):
    said = verdict(replace(KNOWN, **changes))
    assert said.grade == grade and words in said.headline


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sight": -0.1}, "Vision sees nothing"),
        ({"sight": 0.6}, "Vision sees roughly"),
        ({"beats_persistence": ()}, "nowhere nearer"),
        ({"beats_persistence": (5, 25)}, "at 2 of 3 horizons, the longest of 25 steps"),
        ({"returns": -3.0}, "does not know returns of dreams"),
        ({"returns": None, "reward": 0.3}, "knows the next reward roughly: 30 %"),
        ({"ends": 0.5}, "end of an episode hardly"),
    ],
)
def test_every_figure_has_its_words(changes, words):
    assert words in " ".join(verdict(replace(KNOWN, **changes)).reasons)


def test_the_stages_alone_say_what_they_know_and_what_would_measure_it():
    said = verdict(findings_of_stages(VISION, MEMORY, "runs/quick"))
    assert said.grade == "fair" and "not measured" in said.headline
    assert "95 %" in said.reasons[0] and "by 0.99 nats" in said.reasons[1] and "cost it 0.71 nats" in said.reasons[2]
    assert "the next reward well: 91 %" in said.reasons[3]
    assert "Not measured on held-out tracks yet" in said.measured and "worldmodels accuracy runs/quick" in said.measured
    unknown = verdict(findings_of_stages({"verdict": "healthy"}, MEMORY | {"reward_explained": "n/a"}, "r"))
    assert not any("Vision" in reason or "reward" in reason for reason in unknown.reasons)
    assert verdict(findings_of_stages(VISION, None, "r")).headline.startswith("Not known yet")


def test_a_card_is_judged_by_the_agents_own_episodes():
    def part(gain):
        return {"episodes": 3, "frames": 9, "return_mean": 1.0, "reconstruction": {"skipped": "no decoder"},
                "one_step": {"gain": {"persistence": {"value": gain, "episodes": 3}},
                             "action_sensitivity": {"value": 0.2, "episodes": 3}, "nll": {}},
                "open_loop": {"skipped": "short"}, "calibration": {"skipped": "x"}, "reward": {"skipped": "x"},
                "termination": {"skipped": "x"}, "probes": {"skipped": "x"}, "pixels": {"skipped": "x"},
                "physical": {"skipped": "x"}}  # fmt: skip

    card = {"sets": {"random": part(-1.0), "on-policy": part(1.0)}, "agreement": {"skipped": "none"}, "facts": {},
            "settings": {}, "comparisons": []}  # fmt: skip
    found = findings_of_card(card)
    assert (found.gain, found.sight, found.agreement) == (1.0, None, None) and "3 held-out episodes" in found.measured
    assert verdict(found).headline in Page(render_card(card)).words
    card["sets"]["on-policy"] = {"skipped": "no controller"}
    assert findings_of_card(card).gain == -1.0
