import numpy as np
import pytest

from generative.data.images.pixels import padded, range_problem, resized, stored


def halves(height, width):
    """Left half red, right half blue."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = image[:, width // 2 :, 2] = 255
    return image


def test_crop_keeps_the_middle_undistorted():
    cropped = resized(halves(40, 120), 20, 20, "crop")
    assert (cropped == halves(20, 20)).all()


def test_pad_keeps_everything_between_bars_of_the_edges_colour():
    image = resized(halves(20, 40), 40, 40, "pad")
    assert image.shape == (40, 40, 3) and (image == halves(40, 40)).all()
    tall = resized(halves(80, 20), 40, 40, "pad")
    assert (tall[:, :19] == (255, 0, 0)).all() and (tall[:, 21:] == (0, 0, 255)).all()


def test_stretch_distorts():
    assert (resized(halves(10, 40), 20, 20, "stretch")[:, :9] == (255, 0, 0)).all()


def test_shrinking_averages_and_grey_keeps_its_axis():
    checks = (np.indices((16, 16)).sum(0) % 2 * 254).astype(np.uint8)[..., None]
    assert (resized(checks, 8, 8, "crop") == 127).all()
    assert resized(checks, 32, 24, "crop").shape == (32, 24, 1)


def test_padding_is_black_around_the_middle():
    image = padded(np.full((2, 3, 1), 9, np.uint8), 6, 6, "constant")
    assert image[2:4, 1:4].min() == 9 and image.sum() == 6 * 9


@pytest.mark.parametrize(
    ("values", "given"),
    [("unit", [0.0, 0.2, 1.0]), ("signed", [-1.0, -0.6, 1.0]), ("bytes", [0.0, 51.0, 255.0]), ("bytes", [0, 51, 255])],
)
def test_every_range_becomes_bytes(values, given):
    images = np.array(given).reshape(1, 1, 3, 1)
    assert stored(images, values, "HWC").ravel().tolist() == [0, 51, 255]
    assert stored(images, values, "HWC").dtype == np.uint8


def test_every_layout_becomes_channels_last():
    images = np.arange(24, dtype=np.uint8).reshape(1, 2, 3, 4)
    assert (stored(images, "bytes", "CHW") == images.transpose(0, 2, 3, 1)).all()
    assert stored(images[0], "bytes", "CHW").shape == (2, 3, 4, 1)


@pytest.mark.parametrize(
    ("low", "high", "values", "remedy"),
    [
        (0.0, 1.0, "bytes", "set range=unit"),
        (-1.0, 1.0, "unit", "set range=signed"),
        (0.0, 255.0, "unit", "set range=bytes"),
        (-3.0, 3.0, "signed", "scale them"),
        (0.0, float("nan"), "unit", "NaN"),
        (0.0, float("inf"), "bytes", "infinite"),
    ],
)
def test_wrong_ranges_come_with_a_remedy(low, high, values, remedy):
    assert remedy in range_problem(low, high, values)


@pytest.mark.parametrize(
    ("low", "high", "values"), [(0.0, 255.0, "bytes"), (0.0, 1.0001, "unit"), (-1.0, 1.0, "signed")]
)
def test_right_ranges_pass(low, high, values):
    assert range_problem(low, high, values) is None
