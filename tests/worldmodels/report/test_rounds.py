"""A loop in the report: what its rounds reached, and why one was chosen."""

import re

import pytest

from generative.report.plots import svg
from tests.page import Page
from worldmodels.report.plots import rounds_curve
from worldmodels.report.report import ReportData, render_report
from worldmodels.report.rounds import Rounds, choice, course, rounds_values


def mean(value):
    return {"mean": value, "ci_low": value - 20, "ci_high": value + 20, "episodes": 24}


def row(number, value, started, dream=1.0):
    return {"round": number, "frames": 40_000 * (number + 1), "validation": mean(value), "dream_reward": dream,
            "started_at": started, "squared_error": 7.5, "nll": -0.2, "seconds": 130.0}  # fmt: skip


CURVE = [row(0, 390, ""), row(1, 680, "00"), row(2, 200, "01", 3.0), row(3, 700, "01"), row(4, 640, "03")]
FINALS = [row(3, 700, "01") | {"final": mean(610)}, row(1, 680, "00") | {"final": mean(655)}]


def test_the_choice_is_told_with_its_reason():
    said = " ".join(choice(Rounds(5, CURVE, FINALS, 1)))
    assert "Of 5 rounds, 00 to 04, round 01 was chosen." in said
    assert "evaluated again on 24 further validation tracks" in said and "655.0 (95 % 635.0 to 675.0)" in said
    assert "Round 03 had the highest validation (700.0), and reached 610.0 there." in said
    alone = " ".join(choice(Rounds(5, CURVE, FINALS[:1], 3)))
    assert "Its validation was the best: 700.0" in alone


def test_a_loop_under_way_says_how_far_it_is():
    said = " ".join(choice(Rounds(5, CURVE[:2])))
    assert "2 of 5 rounds are finished; none is chosen yet." in said and "best so far is round 01" in said
    assert "0 of 5 rounds" in rounds_values(Rounds(5, []), "")["said"]


def test_a_round_that_went_back_or_began_anew_is_told():
    assert course(Rounds(5, CURVE)) == [
        "Round 03 went back to the controller of round 01: the dream of round 02 promised more while the real return "
        "fell."
    ]
    assert course(Rounds(5, [row(0, 1, ""), row(1, 2, "")])) == ["Round 01 evolved from scratch."]


def drawn(*args):
    return svg(rounds_curve(*args), "rounds", "")


def test_the_page_shows_return_over_frames_and_dreams_on_an_axis_of_their_own():
    words = Page(render_report(ReportData(name="looped", rounds=Rounds(5, CURVE, FINALS, 1)))).words
    assert "real frames, thousands" in words and "dream: per step" in words and "validation (95 %)" in words
    assert "01, chosen 80,000 680.0 660.0 to 700.0 655.0" in words and "top-k re-evaluation (95 %)" in words
    for number in range(5):
        assert f"0{number}" in words


def test_rounds_in_the_real_world_have_no_dream_axis():
    real = [each | {"dream_reward": None} for each in CURVE]
    figure = drawn(real)
    assert "dream" not in figure and "chosen" not in figure
    assert rounds_values(Rounds(5, real), "")["rows"][0][4] == "n/a"
    with pytest.raises(ValueError, match="nothing to draw"):
        rounds_curve([])


def test_frames_are_told_in_a_unit_that_fits():
    few, many = ([each | {"frames": each["frames"] * factor // 1000} for each in CURVE] for factor in (1, 1_000_000))
    assert re.search(r">real frames<", drawn(few)) and "real frames, millions" in drawn(many)
