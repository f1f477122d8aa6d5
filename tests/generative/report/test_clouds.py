import pytest
import torch

from generative.report.clouds import SIDE, by_angle, cloud, heat, raster


def test_a_point_is_where_it_belongs_and_up_is_up():
    picture = cloud(torch.tensor([[1.9, 1.9], [-1.9, -1.9], [5.0, 0.0]]), 2.0)
    dark = (picture.sum(0) < 3).nonzero().tolist()
    assert dark == [[2, SIDE - 3], [SIDE - 3, 2]]


def test_colours_in_one_pixel_are_mixed():
    points, colours = torch.zeros(2, 2), torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    picture = cloud(points, 1.0, colours).flatten(1)
    assert torch.equal(picture[:, picture.sum(0).argmin()], torch.tensor([0.5, 0.0, 0.5]))


def test_the_raster_has_the_pixels_in_their_order():
    places = raster(2.0)
    assert places[0].tolist() == pytest.approx([-2 + 2 / SIDE, 2 - 2 / SIDE]) and places[SIDE - 1, 0] > 1.9
    assert (cloud(places, 2.0) == 0).all()  # one in each pixel
    values = places[:, 1]  # the higher, the more
    assert heat(values)[0, 0].mean() < 0.2 < 0.9 < heat(values)[0, -1].mean()


def test_directions_have_colours():
    points = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    colours = by_angle(points)
    assert colours.min() >= 0 and colours.max() <= 1
    assert torch.allclose(colours[0], colours[3]) and torch.cdist(colours[:3], colours[:3])[0, 1:].min() > 0.3
