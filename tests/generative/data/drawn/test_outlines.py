import numpy as np
import pytest

from generative.data import load_data
from generative.data.drawn.outlines import DARK, LIGHT


@pytest.mark.parametrize("seed", [0, 3])
def test_pairs_are_the_same_shape_at_the_same_place(seed):
    data, places = load_data("outlines", {"count": 100, "seed": seed}), np.arange(90)
    filled, lines = (data.get(name, places).astype(float) for name in ("image", "outline"))
    inside = np.abs(filled - LIGHT).sum(3) > 30
    on_line = np.abs(lines - DARK).sum(3) > 30
    for shape, line in zip(inside, on_line, strict=True):
        for axis in (0, 1):
            ends, line_ends = (np.flatnonzero(each.any(axis))[[0, -1]] for each in (shape, line))
            assert np.abs(ends - line_ends).max() <= 2
        assert (shape & ~line).any() and (line & ~shape).sum() < 0.5 * line.sum()
    colour = filled[inside & (np.abs(filled - LIGHT).sum(3) > 150)].mean(0)
    assert colour.std() > 10  # in colour
    assert (lines[on_line].max(0) > 200).all()


def test_images_follow_from_seed_and_number_and_fields_agree():
    data, other = (load_data("outlines", {"count": 50, "seed": seed}) for seed in (1, 2))
    places = np.arange(20)
    for name in ("image", "outline"):
        found = data.get(name, places)
        assert data.fields[name].problem(found) is None
        assert (found[::-1] == data.get(name, places[::-1])).all()
        assert (found != other.get(name, places)).any((1, 2, 3)).all()
    assert list(data.fields) == ["image", "outline", "label"] and data.main == "image"


def test_options_are_those_of_shapes():
    with pytest.raises(ValueError, match="size=4"):
        load_data("outlines", {"size": 4})
