import math

import pytest
import torch
from torch import nn

from generative.core.options import ComponentError
from generative.hardware.device import seeded
from generative.metrics import lipschitz_bounds, lipschitz_lower, lipschitz_upper, slope


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def built(make, seed=0):
    with seeded(seed, torch.device("cpu")):
        return make()


def jacobian_norm(module, shape):
    """The exact norm of an affine module."""
    matrix = torch.autograd.functional.jacobian(lambda x: module(x[None])[0].flatten(), torch.zeros(shape))
    return torch.linalg.matrix_norm(matrix.reshape(matrix.shape[0], -1), 2).item()


def test_a_linear_map_is_known_from_both_sides():
    layer = built(lambda: nn.Linear(6, 4))
    layer.weight.data = torch.diag(torch.tensor([3.0, 1.0, 0.5, 0.1])) @ torch.linalg.qr(normal(6, 6)).Q[:4]
    lower, upper = lipschitz_bounds(nn.Sequential(layer), normal(3, 6))
    assert lower == pytest.approx(3, rel=1e-3)
    assert upper == pytest.approx(3, rel=1e-6)


def test_one_power_iteration_is_still_below_the_truth():
    layer = nn.Sequential(built(lambda: nn.Linear(30, 30)))
    first, many = (lipschitz_lower(layer, normal(2, 30), iterations=k) for k in (1, 100))
    assert first < many
    assert many == pytest.approx(jacobian_norm(layer, (30,)), rel=1e-3)


def test_the_gradient_of_a_critic_is_found_where_it_is_steepest():
    def critic(x):  # gradient 2 |x|
        return x.square().sum(1, keepdim=True)

    points = torch.tensor([[1.0, 0.0], [3.0, 4.0]])
    assert lipschitz_lower(critic, points) == pytest.approx(10, rel=1e-5)
    assert lipschitz_lower(critic, points[:1]) == pytest.approx(2, rel=1e-5)


def test_slopes_are_lower_bounds():
    a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [1.0]])
    assert slope(lambda x: x.abs().sqrt(), a, b) == pytest.approx(2**0.5 / 2)
    with pytest.raises(ComponentError, match="equal points"):
        slope(lambda x: x, a, a)


@pytest.mark.slow
@pytest.mark.parametrize("make", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 1, 1), (4, 2, 1), (3, 2, 0), (4, 4, 0), (5, 1, 2), (3, 3, 2)]
)
def test_bounds_of_convolutions_hold_and_are_near(make, kernel, stride, padding):
    for seed in range(3):
        layer = built(lambda: make(2, 3, kernel, stride=stride, padding=padding, bias=False), seed)
        exact = jacobian_norm(layer, (2, 8, 8))
        upper = lipschitz_upper(nn.Sequential(layer), (2, 8, 8))
        assert exact <= upper * (1 + 1e-6)
        assert upper < 1.35 * exact


def test_a_convolution_that_moves_pixels_has_norm_one():
    layer = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    layer.weight.data = torch.zeros(1, 1, 3, 3)
    layer.weight.data[0, 0, 0, 2] = 1
    assert lipschitz_upper(nn.Sequential(layer), (1, 8, 8)) == pytest.approx(1)


def test_the_truth_lies_between_for_a_deep_network():
    def make():
        convolutions = nn.Sequential(nn.Conv2d(1, 4, 4, stride=2, padding=1), nn.BatchNorm2d(4), nn.LeakyReLU(0.2))
        return nn.Sequential(convolutions, nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 1))

    critic = built(make)
    critic(normal(64, 1, 8, 8))  # moves the running statistics
    lower, upper = lipschitz_bounds(critic, normal(50, 1, 8, 8))
    assert critic.training  # left as it was
    critic.eval()
    sampled = slope(critic, normal(200, 1, 8, 8, seed=1), normal(200, 1, 8, 8, seed=2))
    assert 0 < sampled < upper and 0 < lower < upper


@pytest.mark.parametrize(("make", "size"), [(nn.Conv2d, 4), (nn.ConvTranspose2d, 3)])
def test_differences_of_neighbours_in_closed_form(make, size):
    layer = make(1, 1, (1, 2), bias=False)
    layer.weight.data = torch.tensor([1.0, -1.0]).reshape(1, 1, 1, 2)
    assert jacobian_norm(layer, (1, 1, size)) == pytest.approx(2 * math.cos(math.pi / 8))
    assert lipschitz_upper(nn.Sequential(layer), (1, 1, size)) == pytest.approx(2)  # a grid of 3 would say 1.73


def test_batch_norm_counts_its_gain_and_spread():
    layer = nn.BatchNorm1d(2, eps=0.0)
    layer.weight.data, layer.running_var = torch.tensor([-3.0, 1.0]), torch.tensor([4.0, 0.25])
    assert lipschitz_upper(nn.Sequential(layer), (2,)) == pytest.approx(2)
    assert lipschitz_lower(nn.Sequential(layer), normal(3, 2)) == pytest.approx(2, rel=1e-4)


def test_activations_count():
    double = nn.Linear(1, 1, bias=False)
    double.weight.data = torch.full((1, 1), 2.0)
    for activation, expected in ((nn.Sigmoid(), 0.5), (nn.LeakyReLU(3.0), 6.0), (nn.ReLU(), 2.0)):
        assert lipschitz_upper(nn.Sequential(double, activation), (1,)) == pytest.approx(expected)


def test_layers_without_a_bound_are_refused():
    with pytest.raises(ComponentError, match="InstanceNorm2d: no sound bound"):
        lipschitz_upper(nn.Sequential(nn.InstanceNorm2d(3)), (3, 8, 8))
    with pytest.raises(ComponentError, match="dilation=1"):
        lipschitz_upper(nn.Sequential(nn.Conv2d(1, 1, 3, dilation=2)), (1, 8, 8))
    with pytest.raises(ComponentError, match="not finite"):
        lipschitz_lower(lambda x: x.sqrt(), torch.zeros(1, 1))
