import dataclasses

import numpy as np
import pytest

from generative.data import AvatarsConfig, FacesConfig, GridConfig, ShapesConfig, array_data, check_data, image_data
from generative.data.contract import ImageSource

IMAGES = np.random.default_rng(3).integers(0, 256, (40, 8, 8, 3), np.uint8)


def source(**changes):
    whole = ImageSource((8, 8, 3), 40, lambda items: IMAGES[items])
    return image_data("mine", dataclasses.replace(whole, **changes))


def test_good_data_passes():
    check_data(FacesConfig(size=32).load(), batch=64, shape=(32, 32, 3), beside="attributes")
    check_data(ShapesConfig(size=16).load(), batch=64, shape=[16, 16, 3], beside="factors")
    check_data(GridConfig().load(), batch=64, shape=(2,), beside="labels")
    check_data(source(), batch=36)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"shape": (8, 8, 1)}, r"mine: items of shape \(8, 8, 3\), but the model takes \(8, 8, 1\)"),
        ({}, {"batch": 37}, "batch=37: the data has 36 items"),
        ({}, {"beside": "labels"}, "needs labels, which this data does not have"),
        ({}, {"beside": "factors"}, "needs factors"),
        ({"images": lambda items: IMAGES[items] // 128}, {}, "training part: no value above 1 of 255"),
        ({"images": lambda items: IMAGES[items, :4]}, {}, r"images of shape \(4, 8, 3\)"),
        ({"images": lambda items: IMAGES[items * 0]}, {}, "all images looked at are the same"),
        (
            {"classes": ("a", "b"), "labels": lambda items: items},
            {"beside": "labels"},
            "labels of int64 from .* expected int64 from 0 to 1",
        ),
        (
            {"factor_names": ("x",), "factors": lambda items: np.full((len(items), 1), np.nan, np.float32)},
            {"beside": "factors"},
            "some factors are NaN",
        ),
    ],
)
def test_bad_data_is_found_before_training(changes, options, message):
    with pytest.raises(ValueError, match=message):
        check_data(source(**changes), **{"batch": 4, **options})


def test_the_held_out_part_is_looked_at_too():
    held = source().held_out().items
    dark = IMAGES.copy()
    dark[held] = 0
    with pytest.raises(ValueError, match="held-out part: no value above"):
        check_data(array_data("mine", dark), batch=4)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lambda items: np.full((len(items), 6), 3), "training part: a value below 0 or not below its feature's count"),
        (lambda items: np.full((len(items), 6), -1), "a value below 0"),
        (lambda items: np.zeros((len(items), 5), np.int64), r"rows of int64 \(5,\), but the data says int64 \(6,\)"),
    ],
)
def test_rows_of_wrong_values_are_found(rows, message):
    data = AvatarsConfig(count=100).load()
    check_data(data, batch=4, shape=(6,))
    with pytest.raises(ValueError, match=message):
        check_data(dataclasses.replace(data, read=rows), batch=4)


def test_points_that_are_no_numbers_are_found():
    data = GridConfig(count=100).load()

    def read(items):
        points, labels = data.read(items)
        return points * np.float32(np.inf), labels

    with pytest.raises(ValueError, match="grid, training part: some points are NaN or infinite"):
        check_data(dataclasses.replace(data, read=read), batch=4)
    with pytest.raises(ValueError, match="needs factors"):
        check_data(data, batch=4, beside="factors")
