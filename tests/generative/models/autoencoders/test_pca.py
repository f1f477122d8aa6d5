import pytest
import torch
from torch.distributions import MultivariateNormal

from generative import MODELS, PCA
from generative.capabilities import draw

OPTIONS = {"image_size": 4, "channels": 1, "latent": 3}


def frames(n: int, seed: int = 0) -> torch.Tensor:
    """Images of three factors of different strength around grey, and a little noise."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.linalg.qr(torch.randn(16, 3, generator=torch.Generator().manual_seed(99)))[0]
    factors = torch.randn(n, 3, generator=generator) * torch.tensor([0.2, 0.1, 0.05])
    noise = 0.005 * torch.randn(n, 16, generator=generator)
    return (0.5 + factors @ directions.T + noise).unflatten(1, (1, 4, 4))


def estimated(count: int) -> PCA:
    module = MODELS.create("pca", {**OPTIONS, "frames": count}, 0)
    assert isinstance(module, PCA)
    module.estimate(iter(frames(count).split(7)), torch.Generator())
    return module


@pytest.mark.parametrize("count", [12, 500])  # fewer frames than pixels, and more
def test_it_finds_the_components_of_a_singular_value_decomposition(count):
    module, flat = estimated(count), frames(count).flatten(1)
    _, values, vectors = torch.linalg.svd((flat - flat.mean(0)).double(), full_matrices=False)
    overlap = (module.components.double() @ vectors[:3].T).abs()
    torch.testing.assert_close(overlap, torch.eye(3, dtype=torch.float64), atol=1e-3, rtol=0)
    torch.testing.assert_close(module.spread.double(), values[:3] / count**0.5, rtol=1e-3, atol=0)
    torch.testing.assert_close(module.residual.double(), values[3:].square().sum() / count / 13, rtol=1e-2, atol=1e-8)
    z, _ = module.encode(frames(count))
    torch.testing.assert_close(z.T @ z / count, torch.eye(3), atol=1e-2, rtol=0)
    plain = (flat - flat.mean(0)) @ vectors[:3].T.float() @ vectors[:3].float() + flat.mean(0)
    torch.testing.assert_close(module.reconstruct(frames(count)).flatten(1), plain.clamp(0, 1), atol=1e-4, rtol=0)


def test_its_density_is_the_gaussian_of_probabilistic_pca():
    module = estimated(500)
    scaled = module.components.T * module.spread  # (D Z)
    plane = module.components.T @ module.components
    covariance = scaled @ scaled.T + module.residual * (torch.eye(16) - plane)
    reference = MultivariateNormal(module.mean.double(), covariance.double())
    obs = frames(20, seed=1)
    torch.testing.assert_close(
        module.log_prob(obs).double(), reference.log_prob(obs.flatten(1).double()), rtol=1e-3, atol=1e-2
    )
    assert module.log_prob(frames(50, seed=2)).mean() > module.log_prob(torch.rand(50, 1, 4, 4)).mean() + 100


def test_samples_have_the_spread_of_the_frames():
    module = estimated(500)
    drawn = draw(module, 5000, torch.Generator().manual_seed(0)).flatten(1)
    torch.testing.assert_close(drawn.var(0).sum(), frames(500).flatten(1).var(0).sum(), rtol=0.1, atol=0)
    assert torch.equal(module.sample(1, module.Sampling(0.0), torch.Generator())[0].flatten(), module.mean)


def test_random_directions_are_not_called_healthy():
    untrained = MODELS.create("pca", {**OPTIONS, "image_size": 16}, 0)
    generator = torch.Generator().manual_seed(0)
    dark = torch.rand(100, 1, 16, 16, generator=generator) * 0.1
    assert untrained.diagnose(dark)["verdict"] == "collapsed"
    assert estimated(500).diagnose(frames(100, seed=1))["verdict"] == "healthy"


def test_too_few_frames_or_pixels_are_refused():
    with pytest.raises(ValueError, match="frames=3"):
        MODELS.create("pca", {**OPTIONS, "frames": 3}, 0)
    with pytest.raises(ValueError, match="latent=16"):
        MODELS.create("pca", {**OPTIONS, "latent": 16}, 0)
