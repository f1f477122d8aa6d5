from pathlib import Path

import numpy as np
import pytest

from generative import ComponentError
from generative.data.images import emoji
from generative.data.images.emoji import FACTORS, RANGES, EmojiConfig

HERE = pytest.mark.skipif(not Path(EmojiConfig().path).is_file(), reason="the emoji font is not installed")


@pytest.fixture
def font(tmp_path, monkeypatch):
    """A font of twenty emoji: squares of a colour each, red at their left half, the kinds in turn."""
    pictures = []
    for number in range(20):
        picture = np.zeros((160, 160, 4), np.uint8)
        picture[30:130, 30:130] = [0, 10 * number, 0, 255]
        picture[30:130, 30:80, 0] = 255
        pictures.append(picture)
    monkeypatch.setattr(emoji, "_pictures", lambda path, kinds: (pictures, np.arange(20) % len(kinds)))
    path = tmp_path / "emoji.ttf"
    path.write_bytes(b"font")
    return str(path)


def test_images_follow_from_seed_and_number_and_show_their_factors(font):
    data, same, other = (EmojiConfig(font, size=32, count=400, seed=seed).load() for seed in (1, 1, 2))
    places = np.arange(200)
    images, factors = data.get("image", places), data.get("factors", places)
    assert images.shape == (200, 32, 32, 3) and (images == same.get("image", places)).all()
    assert (images != other.get("image", places)).any((1, 2, 3)).all()
    column = dict(zip(FACTORS, factors.T, strict=True))
    assert np.abs(images[:, 16, 16, 1] - 10 * column["emoji"]).max() < 12
    red = images[:, 16].astype(int)[:, :, 0] * (np.abs(images[:, 16].astype(int)[..., 2]) < 30)
    left = (red[:, :16].sum(1) > red[:, 16:].sum(1)).astype(int)
    assert (left == 1 - column["mirrored"]).mean() > 0.95
    assert (data.get("label", places) == column["emoji"].astype(int) % len(RANGES)).all()
    assert (images[:, 0, 0].min(1) > 150).all()  # the corner shows the background


def test_held_out_emoji_are_never_trained_on(font):
    data = EmojiConfig(font, size=16, count=2000).load()
    seen, held = (set(part.get("factors", np.arange(len(part)))[:, 0]) for part in (data, data.held_out()))
    assert len(held) == 2 and not seen & held and len(seen | held) == 20
    assert data.origin.files.keys() == {"emoji.ttf"}


@HERE
def test_the_font_of_debian_has_all_kinds():
    data = EmojiConfig(count=2000).load()
    images = data.get("image", np.arange(100))
    assert len({image.tobytes() for image in images}) == 100 and data.names("label") == tuple(RANGES)
    assert set(data.get("label", np.arange(len(data)))) == set(range(len(RANGES)))


def test_without_the_font_one_line_says_what_to_install(tmp_path):
    with pytest.raises(ComponentError, match="install the package fonts-noto-color-emoji"):
        EmojiConfig(str(tmp_path / "none.ttf")).load()


@pytest.mark.parametrize("options", [{"kinds": ("flags",)}, {"size": 8}, {"count": 20}, {"seed": -1}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        EmojiConfig(**options)
