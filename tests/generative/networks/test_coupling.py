"""Every invertible layer comes back to what went in, and says its determinant as autograd finds it."""

import pytest
import torch
from torch import nn
from torch.func import jacrev

from generative.networks.coupling import ActNorm, AffineCoupling, Chain, Squeeze, image_flow, point_flow


def stirred(module: nn.Module) -> nn.Module:
    """Weights far from the identity, in double precision."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for each in module.parameters():
            each.add_(0.1 * torch.randn(each.shape, generator=generator))
    return module.double().eval().requires_grad_(False)


FLOWS = {
    "points": (lambda: point_flow(3, 4, 8, 2), (3,)),
    "one scale": (lambda: image_flow(2, 4, 1, 2, 8, 1), (2, 4, 4)),
    "two scales": (lambda: image_flow(1, 4, 2, 2, 8, 1), (1, 4, 4)),
    "three scales": (lambda: image_flow(1, 8, 3, 2, 4, 1), (1, 8, 8)),
    "squeeze": (Squeeze, (3, 4, 4)),
    "norm": (lambda: ActNorm(3, 2), (3, 2, 2)),
}


@pytest.fixture(params=FLOWS)
def flow(request):
    torch.manual_seed(0)
    make, shape = FLOWS[request.param]
    return stirred(make()), torch.randn(4, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def test_the_inverse_is_one(flow):
    module, x = flow
    y, _ = module(x)
    assert (module.inverse(y) - x).abs().max() < 1e-9
    assert (y.flatten(1) - x.flatten(1)).abs().max() > 0.1  # it does something
    single = module.float()
    assert (single.inverse(single(x.float())[0]) - x).abs().max() < 1e-5


def test_the_determinant_is_that_of_the_jacobian(flow):
    module, x = flow
    _, log_det = module(x)
    for row, said in zip(x, log_det, strict=True):
        jacobian = jacrev(lambda flat, shape=row.shape: module(flat.view(1, *shape))[0].flatten())(row.flatten())
        sign, found = torch.linalg.slogdet(jacobian)
        assert abs(sign) == 1 and found.item() == pytest.approx(said.item(), abs=1e-8)


def test_a_coupling_leaves_what_it_is_told_alone_and_moves_the_rest_by_it():
    torch.manual_seed(0)
    mask = torch.tensor([1.0, 0.0, 1.0])
    coupling = AffineCoupling(mask, nn.Linear(3, 6))
    x = torch.randn(5, 3)
    y, log_det = coupling(x)
    assert torch.equal(y[:, [0, 2]], x[:, [0, 2]]) and (y[:, 1] != x[:, 1]).all() and log_det.any()
    other = x.clone()
    other[:, 1] = 0.0  # what is moved must not be looked at
    assert torch.equal(coupling(other)[1], log_det)


def test_all_numbers_are_moved_and_all_are_looked_at():
    torch.manual_seed(0)
    for make, shape in (FLOWS["points"], FLOWS["two scales"], FLOWS["three scales"]):
        module = stirred(make())
        x = torch.randn(1, *shape, dtype=torch.float64)
        jacobian = jacrev(lambda flat, shape=shape, module=module: module(flat.view(1, *shape))[0].flatten())(
            x.flatten()
        )
        assert ((jacobian - torch.eye(len(jacobian))).abs().sum(1) > 0.01).all()
        assert ((jacobian.abs() > 1e-12).sum(0) > 1).all()


def test_a_squeeze_puts_the_checkerboard_first():
    board = ((torch.arange(4)[:, None] + torch.arange(4)) % 2).float().expand(1, 2, 4, 4)
    y, _ = Squeeze()(board)
    assert y.shape == (1, 8, 2, 2) and not y[:, :4].any() and (y[:, 4:] == 1).all()


def test_a_norm_is_set_by_the_first_batch_and_no_other():
    norm = ActNorm(3, 2)
    torch.manual_seed(0)
    first = 5 + 3 * torch.randn(64, 3, 4, 4)
    norm.eval()(first)
    assert not norm.shift.any()  # only while training
    y, log_det = norm.train()(first)
    assert y.mean((0, 2, 3)).abs().max() < 1e-5 and (y.std((0, 2, 3)) - 1).abs().max() < 1e-2
    assert log_det[0].item() == pytest.approx(-16 * first.std((0, 2, 3)).log().sum().item(), abs=0.1)
    shift = norm.shift.detach().clone()
    norm(first + 10)
    assert torch.equal(norm.shift, shift)


def test_an_item_has_the_density_that_it_has_alone():
    """As it would not with batch norm, while training and at test time."""
    torch.manual_seed(0)
    flow = image_flow(1, 4, 2, 2, 8, 1).train()
    x = torch.randn(8, 1, 4, 4)
    flow(x)
    for training in (True, False):
        whole = flow.train(training)(x)
        alone = [flow(row[None]) for row in x]
        for place in range(2):
            torch.testing.assert_close(whole[place], torch.cat([each[place] for each in alone]))


def test_a_constant_channel_is_not_blown_up():
    norm = ActNorm(1, 0).train()
    y, log_det = norm(torch.full((4, 1), 7.0))
    assert not y.any() and log_det.isfinite().all()


def test_a_chain_adds_determinants():
    torch.manual_seed(0)
    parts = [stirred(ActNorm(2, 0)), stirred(ActNorm(2, 0))]
    x = torch.randn(3, 2, dtype=torch.float64)
    assert torch.allclose(Chain(parts)(x)[1], parts[0](x)[1] + parts[1](x)[1])
