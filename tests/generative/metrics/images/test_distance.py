import pytest
import torch

from generative.core.options import ComponentError
from generative.hardware.device import seeded
from generative.metrics import frechet_distance, kernel_distance


def exact(mean, root, count, seed):
    """Rows whose sample mean and covariance are exactly `mean` and `root @ root.T`."""
    rows = torch.randn(count, len(mean), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rows = rows - rows.mean(0)
    whitening = torch.linalg.inv(torch.linalg.cholesky(torch.cov(rows.T)))
    return rows @ whitening.T @ root.T + mean


def normal(count, size, seed, shift=0.0):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def test_fd_of_gaussians_in_closed_form():
    a = exact(torch.zeros(3).double(), torch.diag(torch.tensor([1.0, 2.0, 3.0]).double()), 200, 0)
    b = exact(torch.tensor([1.0, 0.0, -2.0]).double(), torch.diag(torch.tensor([2.0, 2.0, 0.5]).double()), 300, 1)
    # Commuting covariances: |m|^2 + sum (s_a - s_b)^2.
    assert frechet_distance(a, b) == pytest.approx(5 + (1 + 0 + 6.25), abs=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_fd_of_covariances_that_do_not_commute():
    turn = torch.tensor([[1.0, 1.0], [-1.0, 1.0]]).double() / 2**0.5
    root_a, root_b = torch.diag(torch.tensor([1.0, 3.0]).double()), turn @ torch.diag(torch.tensor([2.0, 1.0]).double())
    a, b = exact(torch.zeros(2).double(), root_a, 100, 2), exact(torch.zeros(2).double(), root_b, 100, 3)
    # In two dimensions tr sqrt(P) = sqrt(tr P + 2 sqrt(det P)).
    product = root_a @ root_a.T @ root_b @ root_b.T
    root_trace = (product.trace() + 2 * torch.linalg.det(product).sqrt()).sqrt()
    expected = (root_a.square().sum() + root_b.square().sum() - 2 * root_trace).item()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_fd_keeps_double_precision_far_from_the_origin():
    a, b = normal(100, 4, 0), normal(100, 4, 1)
    assert frechet_distance(a + 1000, b + 1000) == pytest.approx(frechet_distance(a, b), rel=1e-3)


def test_kd_is_zero_in_expectation():
    values = [kernel_distance(normal(60, 8, 2 * k), normal(60, 8, 2 * k + 1)) for k in range(120)]
    values_of_v_statistic = [v_statistic(normal(60, 8, 2 * k), normal(60, 8, 2 * k + 1)) for k in range(120)]
    spread = torch.tensor(values).std() / 120**0.5
    assert abs(sum(values) / 120) < 4 * spread
    assert min(values) < 0
    assert sum(values_of_v_statistic) / 120 > 20 * spread  # the biased one would fail by far


def v_statistic(a, b):
    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    return (kernel(a, a).mean() + kernel(b, b).mean() - 2 * kernel(a, b).mean()).item()


def test_kd_of_two_pairs_by_hand():
    a, b = torch.tensor([[0.0], [1.0]]).double(), torch.tensor([[2.0], [3.0]]).double()
    # k(0,1)=1, k(2,3)=343; across: k(0,2)=k(0,3)=1, k(1,2)=27, k(1,3)=64.
    assert kernel_distance(a, b) == pytest.approx(1 + 343 - 2 * (1 + 1 + 27 + 64) / 4)


def test_kd_grows_with_the_shift_and_follows_its_seed():
    a, b, c = normal(300, 4, 0), normal(300, 4, 1, 0.5), normal(300, 4, 2, 1.0)
    near, far = (kernel_distance(a, each, subset_size=100) for each in (b, c))
    assert 0 < near < far
    assert kernel_distance(a, b, subset_size=100, seed=1) != near
    assert kernel_distance(a, b, subset_size=100) == near


def test_kd_leaves_the_global_stream_alone():
    with seeded(3, torch.device("cpu")):
        expected = torch.rand(1)
    with seeded(3, torch.device("cpu")):
        kernel_distance(normal(50, 2, 0), normal(60, 2, 1), subset_size=20)
        assert torch.equal(torch.rand(1), expected)


def test_unusable_features_are_refused():
    good = normal(10, 2, 0)
    with pytest.raises(ComponentError, match="NaN or infinity"):
        frechet_distance(good, good / 0)
    with pytest.raises(ComponentError, match="at least 2 rows"):
        kernel_distance(good[:1], good)
    with pytest.raises(ComponentError, match="subset_size=1"):
        kernel_distance(good, good, subset_size=1)
