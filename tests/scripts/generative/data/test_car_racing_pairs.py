import dataclasses

import numpy as np
import pytest

from generative.runs.run_folder import Choice
from scripts.generative.data.car_racing_pairs import CarRacingPairsConfig
from scripts.generative.data.data_sets import load

OPTIONS = {"tracks": 3, "frames": 6, "size": 32}


ALL = np.arange(18)


@pytest.fixture(scope="module")
def pairs():
    return load(Choice("car-racing-pairs", OPTIONS))


def read(data, name):
    """All items of both parts."""
    return data.readers[name](ALL)


def test_frames_of_one_number_show_the_same_moment_in_other_colours(pairs):
    assert list(pairs.fields) == ["image", "other", "factors", "label", "attributes"] and pairs.main == "image"
    usual, other = (read(pairs, name).astype(int) for name in ("image", "other"))
    assert usual.shape == (18, 32, 32, 3) and ((usual != other).any(-1).mean((1, 2)) > 0.8).all()
    for one, two in zip(usual, other, strict=True):  # where a frame of one domain has an edge, its twin has one
        edges = [np.abs(np.diff(frame.mean(-1), axis=1)).ravel() for frame in (one, two)]
        assert np.corrcoef(*edges)[0, 1] > 0.2
    apart = np.abs(usual[:, None] - usual).mean((2, 3, 4))[~np.eye(18, dtype=bool)]
    assert (apart > 0).all()  # no moment twice


def test_a_translator_reads_them_unpaired(pairs):
    one, other = next(pairs.batches(4, 0, ("image", "other"), "unpaired")(0))
    assert one.shape == other.shape == (4, 3, 32, 32)
    again = [pairs.tensor(name, np.arange(len(pairs))) for name in ("image", "other")]
    places = [[int((whole == each).flatten(1).all(1).nonzero()[0]) for each in part]
              for whole, part in zip(again, (one, other), strict=True)]  # fmt: skip
    assert places[0] != places[1]


def test_each_track_has_one_palette_and_stays_on_one_side(pairs):
    palettes = np.array([np.median(frame.reshape(-1, 3), 0) for frame in read(pairs, "other")]).reshape(3, 6, 3)
    assert (np.ptp(palettes, 1) < 30).all() and (np.ptp(palettes, 0) > 30).any()
    sides = [{item // 6 for item in part.items.tolist()} for part in (pairs, pairs.held_out())]
    assert not sides[0] & sides[1] and len(sides[0] | sides[1]) == 3


def test_they_are_driven_once_and_follow_from_the_seed(monkeypatch, tmp_path):
    config = CarRacingPairsConfig(tracks=2, frames=2, size=16)

    def frames(options):
        return options.load().readers["other"](np.arange(4)).copy()

    first = frames(config)
    assert (first != frames(dataclasses.replace(config, seed=1))).any()
    with monkeypatch.context() as patch:
        patch.setattr(CarRacingPairsConfig, "_drive", None)
        assert (frames(config) == first).all()
    monkeypatch.setenv("GENERATIVE_CACHE", str(tmp_path))
    assert (frames(config) == first).all()


def test_the_driver_stays_on_the_road(pairs):
    state, names = read(pairs, "factors"), pairs.names("factors")
    assert state[:, names.index("on_road")].mean() > 0.8 and state[:, names.index("speed")].min() > 3


@pytest.mark.parametrize("options", [{"tracks": 1}, {"frames": 0}, {"every": 0}, {"size": 8}, {"seed": -1}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        CarRacingPairsConfig(**options)
    with pytest.raises(ValueError, match=r"crop=\(84, 84\)"):
        CarRacingPairsConfig(crop=(84, 84))
