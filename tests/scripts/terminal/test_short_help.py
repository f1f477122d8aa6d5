import pytest

from generative.training.fit import FitConfig
from scripts.terminal.short_help import COLUMNS, brief, cut

SCHEDULE = "Learning rate after the warm-up: constant, or half a cosine down to 0 at the last step"


@pytest.mark.parametrize(
    ("text", "room", "shown"),
    [
        ("Optimiser steps in total", 30, "Optimiser steps in total"),
        (SCHEDULE, 49, "Learning rate after the warm-up: constant, or…"),
        (SCHEDULE, 46, "Learning rate after the warm-up: constant…"),
        ("Most rows, columns and cells (of a table)", 35, "Most rows, columns and cells"),
        ("Steps of the film; dreams follow one another", 30, "Steps of the film"),
        ("Steps; dreams follow one another, each of them whole", 30, "Steps; dreams follow one…"),
        ("indivisible", 5, "indi…"),
    ],
)
def test_a_text_is_cut_after_a_whole_thought_or_says_that_it_goes_on(text, room, shown):
    """A list of choices is no thought of its own: what comes before its first comma would pass for all of it."""
    assert cut(text, room) == shown and len(shown) <= room + 1


def test_no_choice_is_shown_as_the_only_one():
    line = next(line for line in brief("x", "say", FitConfig).splitlines() if "--schedule" in line)
    assert line.endswith("…") and "constant, or" in line and len(line) <= COLUMNS + 1
