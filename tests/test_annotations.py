"""Annotations with and without shapes are checked, unless a test switches that off."""

import importlib
import sys

import jaxtyping
import pytest
import torch

from tests.annotations import CHECKED, check_anew, check_annotations

MODULE = """
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

def length(word: str) -> int:
    return len(word) if word else "none"

def dot(one: Float[Tensor, "size"], other: Float[Tensor, "size"]) -> Float[Tensor, ""]:
    return one @ other if len(one) > 1 else one

@dataclass
class Named:
    name: str

@dataclass
class Point:
    place: Float[Tensor, "2"]

class Below(Named):
    def again(self, times: int) -> str:
        return self.name * times
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "checked_here.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "checked_here", raising=False)
    with check_annotations(["checked_here"]):
        yield importlib.import_module("checked_here")


def test_what_is_annotated_is_checked(module):
    assert module.length("word") == 4 and module.dot(torch.ones(3), torch.ones(3)) == 3
    assert module.Below("a").again(2) == "aa" and module.Point(torch.zeros(2)).place.sum() == 0
    wrong = [
        lambda: module.length(4),
        lambda: module.length(""),
        lambda: module.dot(torch.ones(3), torch.ones(2)),
        lambda: module.dot(torch.ones(1), torch.ones(1)),
        lambda: module.Named(3),
        lambda: module.Below(3),
        lambda: module.Below("a").again("b"),
        lambda: module.Point(torch.zeros(3)),
    ]
    for call in wrong:
        with pytest.raises(Exception, match=r"(?i)type|violates"):
            call()


def test_checks_can_be_switched_off(module, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    assert module.length("") == "none" and module.Named(3).name == 3 and module.Point(torch.zeros(3)).place.sum() == 0


def test_the_first_calls_in_a_test_are_checked(module):
    for _ in range(CHECKED):
        assert module.length("word") == 4
    assert module.length("") == "none"  # one of an inner loop
    check_anew()
    with pytest.raises(Exception, match=r"(?i)type|violates"):
        module.length("")
