import numpy as np
import pytest

from generative import ComponentError
from generative.data import load_data
from generative.data.drawn.glyphs import ATTRIBUTES, FACTORS, FONTS, RANGES, GlyphsConfig

PLACES = np.arange(300)


def test_images_follow_from_seed_and_number_and_from_the_factors():
    data, same, other = (GlyphsConfig(count=400, seed=seed).load() for seed in (1, 1, 2))
    images = data.get("image", PLACES)
    assert (images == same.get("image", PLACES)).all() and (images != other.get("image", PLACES)).any(
        (1, 2, 3)
    ).mean() > 0.99
    factors = data.get("factors", PLACES)
    assert data.names("factors") == FACTORS[:6]  # grey images have no hues
    assert (factors[:, 0] == data.get("label", PLACES)).all()
    for column, (low, high) in enumerate(list(RANGES.values())[:4], 2):
        assert low <= factors[:, column].min() < factors[:, column].max() <= high
    assert np.corrcoef(images.mean((1, 2, 3)), factors[:, 2])[0, 1] > 0.2  # larger letters, more ink


@pytest.mark.parametrize("character", "IgQ@")
@pytest.mark.parametrize("size", [16, 32])
def test_no_character_is_cut_off_or_missing(character, size):
    data = GlyphsConfig(size=size, characters=character, count=300).load()
    images = data.get("image", np.arange(200))[..., 0].astype(int)
    assert (images.max((1, 2)) > 130).all()
    border = np.concatenate([images[:, [0, -1]].reshape(200, -1), images[:, :, [0, -1]].reshape(200, -1)], 1)
    assert (border.max(1) > 200).mean() < 0.05


def test_a_centre_moves_with_x_and_y_and_the_font_says_how_heavy_it_is():
    data = GlyphsConfig(characters="O", count=2000).load()
    images, factors = data.get("image", np.arange(500))[..., 0] / 255, data.get("factors", np.arange(500))
    at = np.arange(32) + 0.5
    centre = (images.sum(1) * at).sum(1) / images.sum((1, 2)) / 32
    assert np.abs(centre - factors[:, 3]).max() < 0.02
    bold = data.get("attributes", np.arange(500))[:, list(ATTRIBUTES).index("bold")] == 1
    ink = images.mean((1, 2)) / factors[:, 2] ** 2
    assert ink[bold].mean() > 1.3 * ink[~bold].mean() and 0.2 < bold.mean() < 0.6


def test_options_drive_what_is_drawn():
    data = load_data("glyphs", {"size": 24, "channels": 3, "characters": "ab7", "fonts": ["cmtt10"], "count": 100})
    assert data.get("image", np.arange(3)).shape == (3, 24, 24, 3) and data.names("label") == ("a", "b", "7")
    assert set(data.get("factors", np.arange(50))[:, 1]) == {FONTS.index("cmtt10")} and data.names("factors") == FACTORS
    attributes = dict(zip(data.names("attributes"), data.get("attributes", np.arange(1))[0], strict=True))
    assert attributes == {"serif": 1, "bold": 0, "slanted": 0, "monospaced": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 8}, "size=8"),
        ({"characters": "AA"}, "each once"),
        ({"characters": "Ä"}, "give ASCII"),
        ({"fonts": ("Arial",)}, "DejaVuSans"),
        ({"count": 1}, "count=1"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        GlyphsConfig(**options)


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch):
    from generative.data.drawn import glyphs

    monkeypatch.setattr(glyphs.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ComponentError, match="pip install matplotlib"):
        GlyphsConfig(characters="~", count=20).load()
