import sys

import numpy as np
import pytest

from generative import ComponentError
from generative.data import DigitsConfig, PhotographsConfig


def test_digits_are_the_bundled_ones():
    datasets = pytest.importorskip("sklearn.datasets")
    bundle = datasets.load_digits()
    data = DigitsConfig(size=8).load()
    assert len(data) + len(data.held_out()) == 1797 and data.item.shape == (8, 8, 1)
    places = np.arange(len(data))
    assert np.abs(data.get("image", places)[..., 0] / 255 * 16 - bundle.images[data.items]).max() < 0.05
    assert (data.get("label", places) == bundle.target[data.items]).all() and data.names("label") == tuple("0123456789")
    assert set(data.held_out().get("label", np.arange(100))) == set(range(10))
    large = DigitsConfig(size=32).load()
    shrunk = large.get("image", places).reshape(-1, 8, 4, 8, 4, 1).mean((2, 4))
    assert np.corrcoef(shrunk.ravel(), data.get("image", places).ravel())[0, 1] > 0.98


@pytest.mark.slow
def test_photographs_held_out_share_no_pixel_with_training():
    datasets = pytest.importorskip("sklearn.datasets")
    photographs = datasets.load_sample_images().images
    data = PhotographsConfig(size=48, count=400).load()
    columns = {"training": [], "held": []}
    for name, part in (("training", data), ("held", data.held_out())):
        places = np.arange(min(len(part), 40))
        for crop, label in zip(part.get("image", places), part.get("label", places), strict=True):
            photograph = photographs[label]
            windows = np.lib.stride_tricks.sliding_window_view(photograph[..., 0], 48, 1)  # (427, 593, 48)
            found = np.argwhere((windows == crop[0, :, 0]).all(-1))
            assert any((photograph[y : y + 48, x : x + 48] == crop).all() for y, x in found)
            columns[name] += [x for y, x in found if (photograph[y : y + 48, x : x + 48] == crop).all()]
    assert max(columns["training"]) + 48 <= 480 <= min(columns["held"])
    assert min(columns["training"]) < 60 and max(columns["training"]) > 350
    assert len(data.held_out()) == 40 and data.names("label") == ("china", "flower")


def test_photographs_follow_from_seed_and_number():
    pytest.importorskip("sklearn.datasets")
    first, same, other = (PhotographsConfig(size=32, reduce=2, count=50, seed=seed).load() for seed in (1, 1, 2))
    places = np.arange(20)
    assert first.get("image", places).shape == (20, 32, 32, 3)
    assert (first.get("image", places) == same.get("image", places)).all()
    assert (first.get("image", places) != other.get("image", places)).any()


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "sklearn.datasets", raising=False)
    with pytest.raises(ComponentError, match="pip install scikit-learn"):
        DigitsConfig().load()


@pytest.mark.parametrize("options", [{"size": 0}, {"size": 100, "reduce": 2}, {"count": 1}, {"seed": -1}])
def test_impossible_photographs_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        PhotographsConfig(**options)


def test_impossible_digits_are_refused():
    with pytest.raises(ValueError, match="size=4"):
        DigitsConfig(size=4)
