import numpy as np
import pytest

from generative.data import load_data
from generative.data.drawn.pen_digits import HAND, WAYS, PenDigitsConfig

PLACES = np.arange(600)


def test_images_follow_from_seed_and_number():
    data, same, other = (PenDigitsConfig(count=700, seed=seed).load() for seed in (1, 1, 2))
    images = data.get("image", PLACES)
    assert (images == same.get("image", PLACES)).all() and (images != other.get("image", PLACES)).any((1, 2, 3)).all()
    assert len({image.tobytes() for image in images}) == len(images)
    assert data.names("label") == tuple("0123456789") and data.names("factors") == ("digit", *HAND)
    assert (data.get("label", PLACES) == data.get("factors", PLACES)[:, 0]).all()


def test_digits_can_be_told_apart_by_those_nearest_to_them():
    data = PenDigitsConfig(size=16, count=4000).load()
    images, labels = data.get("image", np.arange(3000)), data.get("label", np.arange(3000))
    images = images.reshape(3000, -1).astype(np.float32)
    known, asked = images[:2700], images[2700:]
    apart = (asked**2).sum(1)[:, None] - 2 * asked @ known.T + (known**2).sum(1)
    assert (labels[:2700][apart.argmin(1)] == labels[2700:]).mean() > 0.9


def test_the_hand_shows():
    data = PenDigitsConfig(count=3000).load()
    images, factors = data.get("image", PLACES)[..., 0] / 255.0, data.get("factors", PLACES)
    column = dict(zip(data.names("factors"), factors.T, strict=True))
    assert np.corrcoef(images.max((1, 2)), column["ink"])[0, 1] > 0.9
    assert np.corrcoef(images.mean((1, 2)) / column["ink"], column["pen"])[0, 1] > 0.5
    rows, columns = np.mgrid[:32, :32] / 32
    weight = images / images.sum((1, 2), keepdims=True)
    down, across = (weight * rows).sum((1, 2)), (weight * columns).sum((1, 2))
    lean = (weight * (rows - down[:, None, None]) * (columns - across[:, None, None])).sum((1, 2))
    assert np.corrcoef(lean, column["slant"])[0, 1] < -0.4  # the top goes right where the slant is large
    for name, (low, high) in HAND.items():
        assert low <= column[name].min() < column[name].max() <= high


def test_a_grid_has_a_digit_in_each_cell_all_in_one_hand():
    data = load_data("pen-digits", {"size": 24, "rows": 2, "columns": 3, "count": 50})
    images = data.get("image", np.arange(10))
    assert images.shape == (10, 48, 72, 1) and data.names("label") == ()
    assert data.names("factors")[:6] == ("digit_0_0", "digit_0_1", "digit_0_2", "digit_1_0", "digit_1_1", "digit_1_2")
    cells = images.reshape(10, 2, 24, 3, 24).swapaxes(2, 3)
    assert (cells.max((3, 4)) > 150).all() and (cells.mean((3, 4)) < 120).all()
    with pytest.raises(ValueError, match="no field 'label'"):
        data.get("label", np.arange(2))


def test_ways_stay_inside():
    assert len(WAYS) == 10
    for ways in WAYS:
        for stroke in (stroke for way in ways for stroke in way):
            assert np.abs(np.array(stroke)).max() <= 1 and 3 <= len(stroke) <= 10


@pytest.mark.parametrize("options", [{"size": 8}, {"rows": 0}, {"columns": 9}, {"count": 1}, {"seed": -1}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        PenDigitsConfig(**options)
