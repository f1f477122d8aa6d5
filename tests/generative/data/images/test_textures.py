import importlib.util
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from generative import ComponentError
from generative.data import load_data
from generative.data.images.textures import FILES, TexturesConfig


@pytest.fixture(autouse=True)
def scikit_image(tmp_path, monkeypatch):
    """A scikit-image whose pictures say where each pixel lies: its column, and its picture."""
    folder = tmp_path / "skimage" / "data"
    folder.mkdir(parents=True)
    for number, name in enumerate(FILES.values()):
        picture = np.broadcast_to((np.arange(256) // 2 + 10 * number).astype(np.uint8), (200, 256))
        cv2.imwrite(str(folder / name), picture if number < 3 else np.stack([picture, picture, picture // 2], -1))
    found = SimpleNamespace(submodule_search_locations=[str(folder.parent)])
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: found if name == "skimage" else real(name, *rest)
    )
    return folder


def test_held_out_crops_lie_in_the_right_quarter_and_no_others():
    data = load_data("textures", {"size": 16, "count": 300})
    assert data.names("label") == ("brick", "grass", "gravel") and data.item.shape == (16, 16, 1)
    for part, (low, high) in ((data, (0, 191)), (data.held_out(), (192, 255))):
        places = np.arange(len(part))
        column = (part.get("image", places)[..., 0].astype(int) - 10 * part.get("label", places)[:, None, None]) * 2
        assert column.min() >= low - 1 and column.max() <= high
    assert (data.get("image", places) == load_data("textures", {"size": 16, "count": 300}).get("image", places)).all()
    assert (
        data.get("image", places) != load_data("textures", {"size": 16, "count": 300, "seed": 1}).get("image", places)
    ).any()


def test_photographs_are_red_green_blue_and_grey_ones_beside_them_too():
    data = TexturesConfig(pictures=("brick", "coffee"), size=32, count=100).load()
    images, labels = data.get("image", np.arange(50)), data.get("label", np.arange(50))
    assert images.shape == (50, 32, 32, 3) and set(labels) == {0, 1}
    assert (images[labels == 0, :, :, 0] == images[labels == 0, :, :, 2]).all()
    assert images[labels == 1, :, :, 0].mean() < 0.6 * images[labels == 1, :, :, 2].mean()  # OpenCV writes blue first
    assert set(data.origin.files) == {"brick.png", "coffee.png"} and "2 of 2 pictures used" in data.origin.lines()[0]


def test_fewer_pixels_show_more():
    small = TexturesConfig(size=8, reduce=4, count=50).load().get("image", np.arange(20))
    assert (np.ptp(small, axis=(1, 2, 3)) >= 12).all()


def test_one_line_says_what_is_missing(scikit_image, monkeypatch):
    with pytest.raises(ComponentError, match=r"quarter of brick\.png that is held out \(64 pixels\)"):
        TexturesConfig(size=65).load()
    (scikit_image / "brick.png").write_bytes(b"no picture")
    with pytest.raises(ComponentError, match=r"brick\.png: no such picture, or it is damaged"):
        TexturesConfig(size=16).load()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ComponentError, match="pip install scikit-image"):
        TexturesConfig().load()


@pytest.mark.parametrize("options", [{"pictures": ("moon",)}, {"size": 0}, {"reduce": 0}, {"count": 5}, {"seed": -1}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        TexturesConfig(**options)
