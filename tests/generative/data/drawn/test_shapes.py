import numpy as np
import pytest

from generative.data import ShapesConfig, draw_shapes
from generative.data.drawn.shapes import FACTORS, RANGES, SHAPES

MIDDLE = np.array([[0, 0.2, 0.5, 0.5, 0.0, 0.3, 0.1]])


def with_factor(name, *values):
    rows = np.repeat(MIDDLE, len(values), 0)
    rows[:, FACTORS.index(name)] = values
    return draw_shapes(rows, 64)


def cover(image):
    """Share of each pixel that is not background, from the red channel's neighbours."""
    return np.abs(image.astype(float) - image[0, 0].astype(float)).sum(-1)


def test_images_follow_from_seed_and_number():
    data, same, other = (ShapesConfig(size=32, count=100, seed=seed).load() for seed in (1, 1, 2))
    places = np.arange(50)
    assert (data.get("image", places) == same.get("image", places)).all()
    assert (data.get("image", places) != other.get("image", places)).any((1, 2, 3)).all()
    assert (data.get("image", places[::-1]) == data.get("image", places)[::-1]).all()


def test_images_are_those_of_their_factors_and_labels():
    data = ShapesConfig(size=32, count=100, shapes=("heart", "ellipse")).load()
    places = np.arange(80)
    factors = data.get("factors", places)
    assert (data.get("image", places) == draw_shapes(factors, 32)).all()
    assert {data.names("label")[label] for label in data.get("label", places)} == {"heart", "ellipse"}
    assert all(
        SHAPES[int(row[0])] == data.names("label")[label]
        for row, label in zip(factors, data.get("label", places), strict=True)
    )
    for column, (low, high) in zip(factors[:, 1:].T, RANGES.values(), strict=True):
        assert low <= column.min() < low + 0.1 * (high - low) and high - 0.1 * (high - low) < column.max() <= high


def test_factors_are_independent():
    data = ShapesConfig(count=20_000).load()
    correlation = np.corrcoef(data.get("factors", np.arange(len(data))).T) - np.eye(len(FACTORS))
    assert np.abs(correlation).max() < 0.04


def test_place_and_size_are_those_of_the_factors():
    for name, axis in (("x", 1), ("y", 0)):
        for value in (0.35, 0.5, 0.6):
            weights = cover(with_factor(name, value)[0]).sum(1 - axis)
            centre = (weights * (np.arange(64) + 0.5)).sum() / weights.sum() / 64
            assert abs(centre - value) < 0.005
    small, large = (cover(each) > 0 for each in with_factor("size", 0.14, 0.28))
    assert abs(large.sum() / small.sum() - 4) < 0.6
    assert abs((large.any(0).sum()) - 2 * 0.28 * 64) <= 2


def test_colour_and_background_change_only_what_they_name():
    red, blue = with_factor("hue", 0.0, 0.66)
    inside = (cover(red) > 0) | (cover(blue) > 0)
    assert (red == blue)[~inside].all() and red[32, 32, 0] > 200 > red[32, 32, 2] and blue[32, 32, 2] > 200
    dark, light = with_factor("background", 0.0, 0.35)
    assert (dark[0, 0] == 0).all() and (light[0, 0] == 89).all() and (dark[32, 32] == light[32, 32]).all()


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_every_orientation_looks_different(shape):
    rows = np.repeat(MIDDLE, 13, 0)
    rows[:, 0], rows[:, 4] = shape, np.linspace(-60, 60, 13)
    images = draw_shapes(rows, 64).reshape(13, -1).astype(float)
    distances = np.abs(images[:, None] - images).mean(2)
    assert distances[~np.eye(13, dtype=bool)].min() > 0.5


def test_small_steps_of_a_factor_are_small_steps_of_the_image():
    images = with_factor("x", 0.5, 0.502, 0.504).astype(float)
    first, second = np.abs(np.diff(images, axis=0)).mean((1, 2, 3))
    assert 0 < first < 1 and 0 < second < 1


def test_grey_images_keep_the_factors():
    data = ShapesConfig(size=24, channels=1, count=40).load()
    assert data.get("image", np.arange(3)).shape == (3, 24, 24, 1)
    rows = np.repeat(MIDDLE, 2, 0)
    rows[1, 5] = 0.8
    first, second = draw_shapes(rows, 24, 1)
    assert (first != second).any()


def test_impossible_options_are_refused():
    with pytest.raises(ValueError, match=r"shape from -1\.0 to 4\.0: give 0 to 3"):
        with_factor("shape", -1, 4)
    with pytest.raises(ValueError, match=r"shapes=.*rectangle, ellipse"):
        ShapesConfig(shapes=("star",))
    for name in ("size", "count", "seed"):
        with pytest.raises(ValueError, match=f"{name}=-1"):
            ShapesConfig(**{name: -1})
