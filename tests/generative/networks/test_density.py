import itertools

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from generative.networks.density import GaussianMixture


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clusters(n: int, seed: int = 0) -> torch.Tensor:
    """A quarter of the rows around (5, 5), long and tilted, the others around (-2, 0)."""
    rows = torch.randn(n, 2, generator=noise(seed))
    tilted = rows @ torch.tensor([[2.0, 1.0], [0.0, 0.5]]) + 5
    return torch.where(torch.arange(n)[:, None] % 4 == 0, tilted, 0.5 * rows + torch.tensor([-2.0, 0.0]))


def fitted(components: int = 2, n: int = 4000) -> tuple[GaussianMixture, list[float]]:
    density = GaussianMixture(components, 2)
    return density, density.fit(clusters(n), noise())


def test_every_round_raises_the_likelihood():
    _, history = fitted(components=4, n=800)
    assert len(history) > 3
    assert all(after >= before - 1e-9 for before, after in itertools.pairwise(history))


def test_it_finds_the_clusters():
    density, history = fitted()
    order = density.weight.argsort()
    torch.testing.assert_close(density.weight[order], torch.tensor([0.25, 0.75]), atol=0.01, rtol=0)
    torch.testing.assert_close(density.mean[order], torch.tensor([[5.0, 5.0], [-2.0, 0.0]]), atol=0.15, rtol=0)
    covariance = (density.cholesky @ density.cholesky.mT)[order[0]]
    torch.testing.assert_close(covariance, torch.tensor([[4.0, 2.0], [2.0, 1.25]]), atol=0.4, rtol=0)
    assert history[-1] == pytest.approx(density.log_prob(clusters(4000)).mean().item(), abs=1e-2)


def test_the_density_is_torchs():
    density, _ = fitted(components=3)
    x = clusters(50, seed=1)
    reference = MixtureSameFamily(
        Categorical(density.weight), MultivariateNormal(density.mean, scale_tril=density.cholesky)
    )
    torch.testing.assert_close(density.log_prob(x), reference.log_prob(x), atol=1e-4, rtol=1e-4)


def test_samples_have_the_moments_of_the_data_and_narrow_with_temperature():
    density, _ = fitted()
    drawn = density.sample(20_000, 1.0, noise(1))
    torch.testing.assert_close(drawn.mean(0), clusters(4000).mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(torch.cov(drawn.T), torch.cov(clusters(4000).T), atol=0.4, rtol=0)
    cold = density.sample(100, 0.0, noise(1))
    assert torch.cdist(cold, density.mean).amin(1).max() < 1e-6


def test_too_little_data_is_refused():
    with pytest.raises(ValueError, match="2 rows for 3"):
        GaussianMixture(3, 2).fit(torch.rand(2, 2), noise())
    with pytest.raises(ValueError, match="different"):
        GaussianMixture(2, 2).fit(torch.ones(9, 2), noise())


def test_few_different_rows_do_not_break_it():
    density = GaussianMixture(3, 2)
    density.fit(torch.tensor([[0.0, 0.0], [1.0, 1.0]]).repeat(20, 1), noise())
    assert all(each.isfinite().all() for each in density.state_dict().values())
