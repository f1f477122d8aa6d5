import torch

from generative.metrics.images.colour_maps import fitted_colours, matched_colours, tabled_colours

MATRIX = torch.tensor([[0.5, 0.1, 0.0], [0.1, 0.3, 0.1], [0.0, 0.1, 0.4]])


def images(seed=0):
    return torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def mapped(first):
    return torch.einsum("dc,nchw->ndhw", MATRIX, first) + 0.1


def test_an_affine_map_is_found_from_pairs_and_a_symmetric_one_without():
    first, others = images(), images(1)
    torch.testing.assert_close(fitted_colours(first, mapped(first))(others), mapped(others), atol=1e-4, rtol=0)
    shuffled = mapped(first)[torch.randperm(20, generator=torch.Generator().manual_seed(2))]
    assert (fitted_colours(first, shuffled)(others) - mapped(others)).abs().mean() > 0.05  # it does need pairs
    torch.testing.assert_close(matched_colours(first, shuffled)(others), mapped(others), atol=1e-3, rtol=0)


def test_matched_colours_have_the_mean_and_covariance_of_the_others():
    first, second = images(), 0.2 + 0.5 * images(1)[:, [1, 0, 2]] ** 2
    made, wanted = (each.movedim(1, -1).flatten(0, -2).T for each in (matched_colours(first, second)(first), second))
    torch.testing.assert_close(made.mean(1), wanted.mean(1), atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.cov(made), torch.cov(wanted), atol=2e-3, rtol=0)


def test_a_table_is_any_function_of_colour_and_falls_back_where_a_colour_is_new():
    first = images().mul(4).floor().div(4)
    twins = (first * 7 % 1 + first[:, [2, 0, 1]]) / 2  # no affine map
    table = tabled_colours(first, twins)
    assert (table(first) - twins).abs().max() < 1e-5 < (fitted_colours(first, twins)(first) - twins).abs().mean()
    new = torch.full((1, 3, 2, 2), 0.6)
    torch.testing.assert_close(table(new), fitted_colours(first, twins)(new))


def test_no_map_of_colours_knows_where_a_pixel_is():
    """The same colour twice, in two places, becomes two colours: the best table gives their mean to both."""
    first = torch.full((4, 1, 2, 2), 0.5)
    twins = torch.tensor([[0.2, 0.2], [0.8, 0.8]]).expand(4, 1, 2, 2)
    for fit in (matched_colours, fitted_colours, tabled_colours):
        assert abs(float((fit(first, twins)(first) - twins).abs().mean()) - 0.3) < 1e-3
