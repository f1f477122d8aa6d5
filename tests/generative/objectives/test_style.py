"""Content, style and smoothness of pictures, against numbers worked out by hand."""

import pytest
import torch

from generative.objectives.style import content_loss, gram, style_loss, total_variation

MAPS = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, 1.0]]]])


def test_a_gram_matrix_says_what_occurs_together_and_not_where():
    assert torch.equal(gram(MAPS)[0], torch.tensor([[30.0, 6.0], [6.0, 2.0]]) / 4)
    moved = MAPS.flatten(2)[..., [3, 1, 0, 2]].view_as(MAPS)
    assert torch.allclose(gram(moved), gram(MAPS)) and not torch.equal(moved, MAPS)
    assert torch.allclose(gram(MAPS.repeat(1, 1, 2, 3)), gram(MAPS))  # whatever the size


def test_terms_are_shares():
    assert content_loss(MAPS, MAPS) == 0 and content_loss(0 * MAPS, MAPS) == 1
    wanted = [gram(MAPS)]
    assert style_loss([MAPS.flip(2)], wanted) == 0
    assert style_loss([0 * MAPS], wanted) == 1
    both = style_loss([MAPS, 0 * MAPS], 2 * wanted)
    assert both == pytest.approx(0.5)  # the mean over layers
    assert style_loss([1e3 * MAPS], [gram(1e3 * MAPS)]) == style_loss([MAPS], wanted)


def test_total_variation_is_the_mean_step_between_neighbours():
    assert total_variation(MAPS) == pytest.approx((2 + 2) / 4 + (4 + 0) / 4)
    assert total_variation(torch.ones(1, 3, 4, 4)) == 0
