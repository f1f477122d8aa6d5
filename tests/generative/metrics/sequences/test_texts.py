import pytest

from generative import ComponentError
from generative.metrics.registry import METRICS
from generative.metrics.sequences.texts import bleu, chrf, distinct, exact_match, repetition

RIGHT = [[" the", " cat", " sat", " on", " the", " mat"], [" a", " dog"]]


def test_an_answer_is_right_as_a_whole():
    assert METRICS.find("exact match")(RIGHT, RIGHT) == 1.0
    assert exact_match([RIGHT[0], [" a"]], RIGHT) == 0.5 and exact_match([["x"], [" a", " dog", "x"]], RIGHT) == 0.0
    with pytest.raises(ComponentError, match="1 for 2 targets"):
        exact_match(RIGHT[:1], RIGHT)


def test_bleu_and_chrf_know_what_is_nearly_right():
    for metric in (bleu, chrf):
        near = metric([[" the", " cat", " sat", " on", " the", " rug"], [" a", " dog"]], RIGHT)
        assert metric(RIGHT, RIGHT) == pytest.approx(100)
        assert 99 > near > metric([["x"], ["y"]], RIGHT)
    assert bleu([["b", "a", "c", "d", "e"]], [["b", "a", "c", "d", "f"]]) == pytest.approx(
        100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    )


def test_runs_are_counted():
    assert distinct(["abab"]) == pytest.approx(2 / 3) and distinct(["abcd", "abcd"]) == pytest.approx(0.5)
    assert distinct([""]) == repetition([""]) == 0.0
    assert repetition(["abcdabcd"]) == pytest.approx(1 / 5) and repetition(["abcdefgh", "abcdefgh"]) == 0.0
