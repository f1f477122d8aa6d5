import pytest
import torch

from generative.latent import spread_order, traverse


def test_only_the_dimension_of_a_row_moves():
    z = torch.tensor([1.0, 2.0, 3.0])
    seen = traverse(lambda latents: latents[:, :, None, None], z, [2, 0], torch.tensor([-1.0, 5.0]))[..., 0, 0]
    expected = torch.tensor([[[1.0, 2.0, -1.0], [1.0, 2.0, 5.0]], [[-1.0, 2.0, 3.0], [5.0, 2.0, 3.0]]])
    assert torch.equal(seen, expected)
    assert torch.equal(z, torch.tensor([1.0, 2.0, 3.0]))


def test_dimensions_come_by_how_much_they_vary():
    means = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.1, 2.0, 0.0, 1.0])
    assert spread_order(means) == [1, 3, 0, 2]


@pytest.mark.parametrize(("dimensions", "values"), [([], [0.0]), ([0], []), ([3], [0.0]), ([-1], [0.0])])
def test_what_cannot_be_moved_is_refused(dimensions, values):
    with pytest.raises(ValueError, match="dimensions"):
        traverse(lambda z: z, torch.zeros(3), dimensions, torch.tensor(values))
