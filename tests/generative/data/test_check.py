import dataclasses

import numpy as np
import pytest

from generative.data import AvatarsConfig, FacesConfig, GridConfig, ShapesConfig, array_data, check_data, image_data
from generative.data.images.source import ImageSource

IMAGES = np.random.default_rng(3).integers(0, 256, (40, 8, 8, 3), np.uint8)


def source(**changes):
    whole = ImageSource((8, 8, 3), 40, lambda items: IMAGES[items])
    return image_data("mine", dataclasses.replace(whole, **changes))


@pytest.mark.slow
def test_good_data_passes():
    check_data(FacesConfig(size=32).load(), batch=64, names=("image", "attributes"))
    check_data(ShapesConfig(size=16).load(), batch=64, names=("image", "factors"))
    check_data(GridConfig().load(), batch=64, names=("point", "label"))
    check_data(source(), batch=36)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"batch": 37}, "batch=37: the data has 36 items"),
        ({}, {"names": ("image", "label")}, "no field 'label', it has image"),
        ({"images": lambda items: IMAGES[items] // 128}, {}, "training part: no value above 1 of 255"),
        (
            {"images": lambda items: IMAGES[items, :4]},
            {},
            r"image of uint8 \(4, 8, 3\), but the data says",
        ),
        ({"images": lambda items: IMAGES[items * 0]}, {}, "all items looked at are the same"),
        (
            {"classes": ("a", "b"), "labels": lambda items: items},
            {"names": ("image", "label")},
            "label from [01] to 39, but numbers lie below 2",
        ),
        (
            {"factor_names": ("x",), "factors": lambda items: np.full((len(items), 1), np.nan, np.float32)},
            {"names": ("image", "factors")},
            "factors: some values are NaN",
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
        (lambda items: np.full((len(items), 6), 4), r"training part: row from 4 to 4, but numbers lie below \(5, 5, 2"),
        (lambda items: np.full((len(items), 6), -1), "row from -1 to -1"),
        (lambda items: np.zeros((len(items), 5), np.int64), r"row of int64 \(5,\), but the data says int64 \(6,\)"),
    ],
)
def test_rows_of_wrong_values_are_found(rows, message):
    data = AvatarsConfig(count=100).load()
    check_data(data, batch=4)
    with pytest.raises(ValueError, match=message):
        check_data(dataclasses.replace(data, readers={"row": rows}), batch=4)


def test_points_that_are_no_numbers_are_found():
    data = GridConfig(count=100).load()
    broken = {**data.readers, "point": lambda items: data.readers["point"](items) * np.float32(np.inf)}
    with pytest.raises(ValueError, match="grid, training part: point: some values are NaN or infinite"):
        check_data(dataclasses.replace(data, readers=broken), batch=4)
