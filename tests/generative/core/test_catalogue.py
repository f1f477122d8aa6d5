import importlib.metadata
import sys

import pytest

from generative import ComponentError
from generative.core.catalogue import Catalogue


def checked(found, name, place):
    if not callable(found):
        raise ComponentError(f"{place}: must be callable")
    return found


def catalogue(**entries):
    return Catalogue("thing", "kind of thing", entries, checked)


def test_a_place_is_imported_when_it_is_asked_for(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    things = catalogue(hue="colorsys:rgb_to_hls", length=len)
    assert things.names() == ["hue", "length"] and list(things.found()) == ["length"]
    assert "colorsys" not in sys.modules
    assert things.find("hue")(0.0, 0.0, 0.0) == (0.0, 0.0, 0.0)
    assert list(things.found()) == ["hue", "length"]


def test_names_are_checked():
    things = catalogue(length=len)
    with pytest.raises(ComponentError, match="'lenght': no such kind of thing; did you mean 'length'"):
        things.find("lenght")
    with pytest.raises(ComponentError, match=r"thing\.length: this name is taken"):
        things.add("length", sum)
    with pytest.raises(ComponentError, match=r"thing\.pi: must be callable"):
        things.add("pi", 3.14)  # type: ignore[arg-type]


def test_packages_of_third_parties_join(monkeypatch):
    group = "worldmodels.components"
    points = [
        importlib.metadata.EntryPoint("thing.root", "math:sqrt", group),
        importlib.metadata.EntryPoint("thing.pi", "math:pi", group),
        importlib.metadata.EntryPoint("thing.broken", "no_such_package:it", group),
        importlib.metadata.EntryPoint("other.root", "no_such_package:it", group),
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    things = catalogue(length=len)
    assert things.names() == ["length", "broken", "pi", "root"] and things.find("root")(9.0) == 3.0
    with pytest.raises(ComponentError, match=r"thing\.broken: cannot import 'no_such_package:it'.*uninstall it"):
        things.find("broken")
    with pytest.raises(ComponentError, match=r"thing\.pi \(math:pi\): must be callable"):
        things.find("pi")
