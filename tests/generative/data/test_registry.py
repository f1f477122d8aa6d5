import dataclasses
import importlib.metadata

import pytest

from generative import ComponentError
from generative.data import DATA, RingConfig, load_data

GENERATED = {"shapes": (16, 16, 3), "faces": (16, 16, 3), "ring": (2,), "grid": (2,), "moons": (2,)}


@pytest.mark.parametrize("name", GENERATED)
def test_data_without_files_loads_by_name_and_options(name):
    data = load_data(name, {"count": 30, **({"size": 16} if len(GENERATED[name]) == 3 else {})})
    assert data.name == name and data.item.shape == GENERATED[name] and len(data) == 27 and len(data.held_out()) == 3


def test_every_entry_is_a_described_frozen_config():
    for name in DATA.names():
        config = DATA.find(name)
        assert dataclasses.is_dataclass(config) and config.__dataclass_params__.frozen and callable(config.load), name


def test_names_and_options_are_checked():
    with pytest.raises(ComponentError, match="'face': no such data set; did you mean 'faces'"):
        load_data("face")
    with pytest.raises(ComponentError, match="sise: FacesConfig has no such option; did you mean 'size'"):
        load_data("faces", {"sise": 32})
    with pytest.raises(ValueError, match="size='32': expected int"):
        load_data("faces", {"size": "32"})
    with pytest.raises(ComponentError, match="path: FolderConfig needs this option"):
        load_data("folder")


def test_packages_of_third_parties_can_add_data(monkeypatch):
    points = [
        importlib.metadata.EntryPoint(
            "data.mine", "generative.data.points.gaussians:RingConfig", "worldmodels.components"
        ),
        importlib.metadata.EntryPoint("data.broken", "no_such_package:Config", "worldmodels.components"),
        importlib.metadata.EntryPoint("data.other", "generative.data.points.gaussians:split", "worldmodels.components"),
        importlib.metadata.EntryPoint("vision.theirs", "no_such_package:Vision", "worldmodels.components"),
    ]
    built_in = DATA.names()
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    monkeypatch.setattr(DATA, "_found", dict(DATA.found()))
    assert DATA.names() == [*built_in, "broken", "mine", "other"]
    assert load_data("mine", {"modes": 3}).modes.centres.shape == RingConfig(modes=3).load().modes.centres.shape
    with pytest.raises(ComponentError, match=r"data\.broken: cannot import"):
        load_data("broken")
    with pytest.raises(ComponentError, match="must be a dataclass with a method load"):
        load_data("other")
