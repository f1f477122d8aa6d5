import math

import pytest
import torch

from generative import MODELS
from generative.latent import between
from generative.latent.interpolation import encode_means


def test_a_line_is_even_and_has_both_ends():
    start, end = torch.tensor([[0.0, 2.0]]), torch.tensor([[4.0, 0.0]])
    way = between(start, end, 5)
    torch.testing.assert_close(way[0], torch.tensor([[0.0, 2.0], [1.0, 1.5], [2.0, 1.0], [3.0, 0.5], [4.0, 0.0]]))


def test_an_arc_turns_evenly_and_keeps_the_length():
    way = between(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 3.0]]), 4, "spherical")[0]
    torch.testing.assert_close(way.norm(dim=1), torch.full((4,), 3.0))
    angles = torch.atan2(way[:, 1], way[:, 0])
    torch.testing.assert_close(angles, torch.linspace(0, math.pi / 2, 4))


def test_an_arc_goes_evenly_from_one_length_to_the_other():
    way = between(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 5.0]]), 5, "spherical")[0]
    torch.testing.assert_close(way.norm(dim=1), torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))


def test_an_arc_through_many_dimensions_stays_where_the_prior_is_and_a_line_does_not():
    ends = torch.randn(2, 40, 512, generator=torch.Generator().manual_seed(0))
    middle = {mode: between(*ends, 3, mode)[:, 1].norm(dim=1).mean().item() for mode in ("linear", "spherical")}
    assert abs(middle["spherical"] - math.sqrt(512)) < 0.5
    assert abs(middle["linear"] - math.sqrt(256)) < 0.5


@pytest.mark.parametrize("end", [[2.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])
def test_an_arc_without_a_plane_to_turn_in_is_a_line(end):
    way = between(torch.tensor([[1.0, 0.0]]), torch.tensor([end]), 5, "spherical")
    assert way.isfinite().all()
    torch.testing.assert_close(way[0, [0, -1]], torch.tensor([[1.0, 0.0], end]))


@pytest.mark.parametrize("mode", ["linear", "spherical"])
def test_two_steps_are_the_ends_and_one_is_refused(mode):
    start, end = torch.rand(3, 4), torch.rand(3, 4)
    assert torch.equal(between(start, end, 2, mode), torch.stack([start, end], 1))
    with pytest.raises(ValueError, match="steps=1"):
        between(start, end, 1, mode)


def test_codes_of_many_images_are_those_of_a_few_with_their_own_labels():
    model = MODELS.create("conditional-vae", {"image_size": 16, "latent": 4, "width": 8, "classes": 3}).eval()
    images, labels = torch.rand(7, 1, 16, 16, generator=torch.Generator().manual_seed(0)), torch.arange(7) % 3
    together = encode_means(model, images, (labels,), batch=3)
    torch.testing.assert_close(together, model.encode(images, labels)[0], atol=1e-5, rtol=1e-4)
