from dataclasses import dataclass
from typing import Literal

import pytest

from generative.core.views import Slider
from generative.play.controls import Control, dials_of


@dataclass(frozen=True)
class Turned:
    whole: int = 3
    share: float = 0.5
    least: float | None = None
    on: bool = True
    way: Literal["line", "arc"] = "arc"
    labels: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (1, 2)
    moved: tuple[float, ...] = ()
    prompt: str = "so"

    def __post_init__(self):
        if self.whole < 1:
            raise ValueError(f"whole={self.whole}: give 1 or more")


@dataclass(frozen=True)
class Other:
    temperature: float = 1.0


def control(**makes):
    sliders = {"moved": [Slider("z0", -1.0, 1.0), Slider("z1", -2.0, 2.0)]}
    dials = dials_of(Turned, {"whole": "How many."}, sliders, {"labels": ("dog", "cat")}) + dials_of(Other, {})
    return Control("says", (Turned, Other), dials, **makes or {"make": lambda dials, seed: {}})


def test_every_type_of_field_is_turned_its_own_way():
    dials = {dial.name: dial for dial in control().dials}
    assert {name: dial.kind for name, dial in dials.items()} == {
        "whole": "whole", "share": "number", "least": "number", "on": "tick", "way": "choice", "labels": "names",
        "sizes": "list", "moved": "sliders", "prompt": "text", "temperature": "number",
    }  # fmt: skip
    assert dials["whole"].says == "How many." and dials["whole"].value == 3
    assert dials["way"].choices == ("line", "arc") and dials["labels"].choices == ("dog", "cat")
    assert dials["sizes"].value == [1, 2] and dials["moved"].value == [0.0, 0.0]
    assert control().facts("one")["dials"][7]["sliders"] == [["z0", -1.0, 1.0], ["z1", -2.0, 2.0]]


def test_dials_go_to_the_class_that_has_them_and_the_rest_stay():
    turned, other = control().turned({"whole": 5, "labels": ["cat"], "moved": [0, 1.5], "temperature": 2})
    assert (turned.whole, turned.labels, turned.moved, turned.way) == (5, ("cat",), (0.0, 1.5), "arc")
    assert other.temperature == 2.0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"hole": 1}, "hole: no such dial; did you mean 'whole'"),
        ({"whole": 0}, "whole=0: give 1 or more"),
        ({"whole": "x"}, "whole"),
        ({"share": float("inf")}, "share=inf: must be a finite number"),
        ({"way": "round"}, "way"),
        ({"whole": 10**400}, "a number of hundreds of digits: too large"),
    ],
)
def test_a_dial_that_cannot_be_turned_so_is_named(values, said):
    with pytest.raises(ValueError, match=said):
        control().turned(values)


def test_a_control_makes_files_or_a_text():
    for makes in ({"make": None}, {"make": lambda dials, seed: {}, "stream": lambda dials, seed: iter(())}):
        with pytest.raises(ValueError, match="one of the two"):
            control(**makes)
