import pytest
import torch

from generative import ComponentError
from generative.latent.views import Edit, Interpolation, Morph, Traversal, view_named, views_of


class Planes(torch.nn.Module):
    """An image of as many pixels as the latent has numbers, each one of them."""

    inputs = ("image", "label")
    type_name = "planes"

    def decode(self, z, labels):
        return z[:, None, None] + 10 * labels[:, None, None, None]


class Source:
    classes = ("a", "b")

    def names(self, field):
        return ()

    def codes(self, count, seed):
        z = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)) * torch.tensor([1.0, 3.0, 2.0])
        return z, torch.arange(count) % 2

    def held_out(self, count):
        raise AssertionError("these views need no data")

    def attributes(self):
        return {"smiling": torch.tensor([0.0, 1.0, 0.0]), "glasses": torch.tensor([5.0, 0.0, 0.0])}


def test_a_traversal_moves_one_dimension_a_row_the_most_telling_first():
    made = Traversal(reach=1.0, steps=3, item=1).show(Planes(), Source(), 5)
    z, labels = Source().codes(1024, 0)
    assert list(made.rows) == ["z1", "z2", "z0"] and labels[1] == 1
    rows = made.images[:, :, 0, 0] - 10
    torch.testing.assert_close(rows[0, :, [0, 2]], z[1, [0, 2]].expand(3, 2), rtol=0, atol=1e-5)
    ends = z[:, 1].mean() + z[:, 1].std() * torch.tensor([-1.0, 0.0, 1.0])
    torch.testing.assert_close(rows[0, :, 1], ends, rtol=0, atol=1e-5)
    (row,) = Traversal(dimensions=(2,)).show(Planes(), Source(), 0).rows
    assert row == "z2" and len(Traversal(most=2).show(Planes(), Source(), 0).rows) == 2


def test_ways_lead_from_image_to_image_under_the_first_ones_label():
    made = Interpolation(pairs=3, steps=4).show(Planes(), Source(), 7)
    z, _ = Source().codes(6, 7)
    assert made.images.shape == (6, 4, 1, 1, 3) and list(made.rows) == ["line", "arc"] * 3
    for row, way in enumerate(made.images[:, :, 0, 0]):
        ends = torch.stack([z[row // 2], z[row // 2 + 3]]) + 10 * (row // 2 % 2)
        torch.testing.assert_close(way[[0, -1]], ends, rtol=0, atol=1e-4)
    assert not torch.allclose(made.images[0], made.images[1])  # the arc is another way than the line


def test_an_edit_moves_dimensions_by_deviations_and_adds_attributes():
    z, labels = Source().codes(1024, 0)
    before, after = Edit(item=1, moved=(0.0, 2.0), added=(0.0, -3.0)).show(Planes(), Source(), 5).images[0, :, 0, 0]
    torch.testing.assert_close(before, z[1] + 10 * labels[1], rtol=0, atol=1e-5)
    moved = torch.tensor([0.0, 2 * float(z[:, 1].std()) - 3.0, 0.0])  # glasses come before smiling
    torch.testing.assert_close(after - before, moved, rtol=0, atol=1e-4)
    sliders = Edit.sliders(Planes(), Source())
    assert [each.name for each in sliders["moved"]] == ["z0", "z1", "z2"]
    assert [each.name for each in sliders["added"]] == ["glasses", "smiling"]
    with pytest.raises(ValueError, match="moved: 4 numbers for 3"):
        Edit(moved=(1.0,) * 4).show(Planes(), Source(), 0)


def test_a_morph_comes_back_to_where_it_began():
    made = Morph(keys=3, frames=4, fps=7).show(Planes(), Source(), 7)
    z, _ = Source().codes(3, 7)
    assert made.frames.shape == (12, 1, 1, 1, 1, 3) and made.fps == 7
    torch.testing.assert_close(made.frames[::4, 0, 0, 0, 0], z, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (lambda: Traversal(steps=0), "steps=0"),
        (lambda: Traversal(item=-1), "item=-1"),
        (lambda: Traversal(item=1024).show(Planes(), Source(), 0), "item=1024: there are 1024"),
        (lambda: Traversal(dimensions=(3,)).show(Planes(), Source(), 0), "dimensions 0 to 2"),
        (lambda: Interpolation(pairs=0), "pairs=0"),
        (lambda: Morph(keys=1), "keys=1"),
    ],
)
def test_a_senseless_dial_is_refused_by_name(view, message):
    with pytest.raises(ValueError, match=message):
        view()


def test_a_model_has_its_own_views_beside_those_of_its_latent():
    class Own(Planes):
        views = {"own": Morph}  # noqa: RUF012

    class Points(Planes):
        inputs = ("point",)

    assert list(views_of(Own())) == ["edit", "traversal", "interpolation", "morph", "own"]
    assert list(views_of(Points())) == [] and view_named("own", Own) is Morph
    with pytest.raises(ComponentError, match=r"'morhp': planes has no such view; did you mean 'morph'"):
        view_named("morhp", Planes())
