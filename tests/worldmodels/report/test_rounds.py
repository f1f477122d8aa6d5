"""A loop in the report: what its rounds reached, and why one was chosen."""

import re

import pytest

from tests.worldmodels.report.test_report import Page
from worldmodels.evolution.config import LoopConfig
from worldmodels.report.report import ReportData, render_report
from worldmodels.report.round_plots import rounds_curve
from worldmodels.report.rounds import Rounds, choice, course, rounds_section


def mean(value):
    return {"mean": value, "ci_low": value - 20, "ci_high": value + 20}


def row(number, value, started, dream=1.0):
    return {"round": number, "frames": 40_000 * (number + 1), "validation": mean(value), "dream_reward": dream,
            "started_at": started, "squared_error": 7.5, "nll": -0.2, "seconds": 130.0}  # fmt: skip


CURVE = [row(0, 390, ""), row(1, 680, "00"), row(2, 200, "01", 3.0), row(3, 700, "01"), row(4, 640, "03")]
FINALS = [row(3, 700, "01") | {"final": mean(610)}, row(1, 680, "00") | {"final": mean(655)}]
CONFIG = LoopConfig(rounds=5)


def test_the_choice_is_told_with_its_reason():
    said = " ".join(choice(Rounds(CONFIG, CURVE, FINALS, 1)))
    assert "Of 5 rounds, 00 to 04, round 01 was chosen." in said
    assert "drove further validation tracks" in said and "655.0 (95 % 635.0 to 675.0)" in said
    assert "Round 03 had validated highest (700.0), and made 610.0 there." in said
    alone = " ".join(choice(Rounds(CONFIG, CURVE, FINALS[:1], 3)))
    assert "Its validation was the best: 700.0" in alone


def test_a_loop_under_way_says_how_far_it_is():
    said = " ".join(choice(Rounds(CONFIG, CURVE[:2])))
    assert "2 of 5 rounds are finished; none is chosen yet." in said and "best so far is round 01" in said
    assert "0 of 5 rounds" in rounds_section(Rounds(CONFIG, []), None)


def test_a_round_that_went_back_or_began_anew_is_told():
    assert course(Rounds(CONFIG, CURVE)) == [
        "Round 03 went back to the controller of round 01: the dream of round 02 promised more while the real world "
        "paid less."
    ]
    assert course(Rounds(CONFIG, [row(0, 1, ""), row(1, 2, "")])) == ["Round 01 evolved from scratch."]


def test_the_page_shows_return_over_frames_and_dreams_on_an_axis_of_their_own():
    page = Page(render_report(ReportData(name="looped", rounds=Rounds(CONFIG, CURVE, FINALS, 1))))
    words = " ".join(page.words.split())
    assert "real frames, thousands" in words and "dream: return a step" in words and "validation (95 %)" in words
    assert "01, chosen 80,000 680.0 660.0 to 700.0 655.0" in words and "measured again (95 %)" in words
    for number in range(5):
        assert f"0{number}" in words


def test_rounds_in_the_real_world_have_no_dream_axis():
    real = [each | {"dream_reward": None} for each in CURVE]
    figure = rounds_curve(real)
    assert "dream" not in figure and "chosen" not in figure
    assert "n/a" in rounds_section(Rounds(CONFIG, real), None)
    with pytest.raises(ValueError, match="nothing to draw"):
        rounds_curve([])


def test_frames_are_told_in_a_unit_that_fits():
    few, many = ([each | {"frames": each["frames"] * factor // 1000} for each in CURVE] for factor in (1, 1_000_000))
    assert re.search(r">real frames<", rounds_curve(few)) and "real frames, millions" in rounds_curve(many)
