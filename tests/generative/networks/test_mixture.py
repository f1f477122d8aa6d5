import math

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal

from generative import Mixture, MixtureHead, mixture_log_prob, mixture_mean, mixture_sample


def random_mixture(*shape: int, seed: int = 0) -> Mixture:
    logits, mean, log_std = torch.randn(3, *shape, generator=torch.Generator().manual_seed(seed)).unbind(0)
    return Mixture(2 * logits, 3 * mean, log_std)


def noise(*shape: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator), torch.randn(*shape, generator=generator)


def reference(mixture: Mixture) -> MixtureSameFamily:
    return MixtureSameFamily(Categorical(logits=mixture.logits), Normal(mixture.mean, mixture.log_std.exp()))


@pytest.mark.parametrize("shape", [(7, 4, 5), (2, 3, 4, 5), (4, 1)])
def test_log_prob_and_mean_are_those_of_torch_distributions(shape):
    mixture = random_mixture(*shape)
    x = 3 * torch.randn(*shape[:-1])
    torch.testing.assert_close(mixture_log_prob(mixture, x), reference(mixture).log_prob(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(mixture_mean(mixture), reference(mixture).mean, atol=1e-5, rtol=1e-5)


def test_samples_have_the_moments_of_the_mixture():
    mixture = random_mixture(3, 5)
    n = 200_000
    many = Mixture(*(part.expand(n, 3, 5) for part in mixture))
    samples = mixture_sample(many, 1.0, *noise(n, 3))
    expected = reference(mixture)
    error = expected.variance.sqrt() / n**0.5
    assert ((samples.mean(0) - expected.mean).abs() < 5 * error).all()
    torch.testing.assert_close(samples.var(0), expected.variance, rtol=0.02, atol=0)


def test_samples_follow_the_component_weights():
    mixture = Mixture(
        torch.tensor([[0.1, 0.6, 0.3]]).log(), torch.tensor([[0.0, 10.0, 20.0]]), torch.full((1, 3), -5.0)
    )
    uniform = torch.linspace(0, 1, 1001)[:-1, None]
    many = Mixture(*(part.expand(1000, 1, 3) for part in mixture))
    samples = mixture_sample(many, 1.0, uniform, torch.zeros(1000, 1))
    counts = [(samples == value).sum().item() for value in (0.0, 10.0, 20.0)]
    assert counts == pytest.approx([100, 600, 300], abs=1)


def test_temperature_scales_variance_and_sharpens_weights():
    single = Mixture(torch.zeros(1, 1), torch.full((1, 1), 2.0), torch.zeros(1, 1))
    uniform, normal = torch.zeros(1), torch.ones(1)
    for temperature in (0.25, 1.0, 4.0):
        assert mixture_sample(single, temperature, uniform, normal).item() == pytest.approx(2 + temperature**0.5)

    logits = torch.tensor([[0.0, 1.0]])
    two = Mixture(
        logits.expand(10_000, 1, 2),
        torch.tensor([[0.0, 1.0]]).expand(10_000, 1, 2),
        torch.full((10_000, 1, 2), -9.0),
    )
    for temperature in (0.5, 1.0, 2.0):
        share = mixture_sample(two, temperature, *noise(10_000, 1)).mean().item()
        assert share == pytest.approx(torch.sigmoid(torch.tensor(1 / temperature)).item(), abs=0.02)


def test_temperature_zero_is_the_likeliest_mean_and_the_limit_of_small_ones():
    mixture = random_mixture(50, 4, 5)
    uniform, normal = noise(50, 4)
    expected = mixture.mean.gather(-1, mixture.logits.argmax(-1, keepdim=True))[..., 0]
    assert torch.equal(mixture_sample(mixture, 0.0, uniform, normal), expected)
    torch.testing.assert_close(mixture_sample(mixture, 1e-30, uniform, normal), expected)


def test_extreme_uniform_numbers_choose_a_component_with_weight():
    mixture = Mixture(torch.tensor([[-200.0, 0.0, 0.0]]), torch.tensor([[-99.0, 1.0, 2.0]]), torch.full((1, 3), -9.0))
    assert mixture_sample(mixture, 1.0, torch.zeros(1), torch.zeros(1)).item() == 1.0
    assert mixture_sample(mixture, 1.0, torch.tensor([1 - 2**-24]), torch.zeros(1)).item() == 2.0


@pytest.mark.parametrize("temperature", [-0.1, math.nan, math.inf])
def test_a_senseless_temperature_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature"):
        mixture_sample(random_mixture(2, 3), temperature, *noise(2))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("log_std", [-500.0, 0.0, 500.0])
def test_density_and_gradients_are_finite_at_extremes(scale, log_std):
    parts = [torch.randn(8, 4, 5) * scale, torch.randn(8, 4, 5) * scale, torch.full((8, 4, 5), log_std)]
    mixture = Mixture(*(part.requires_grad_() for part in parts))
    log_prob = mixture_log_prob(mixture, torch.randn(8, 4) * scale)
    log_prob.sum().backward()
    assert log_prob.isfinite().all()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in parts)


def test_head_has_the_papers_size_and_floors_the_standard_deviation():
    head = MixtureHead(256, 32, 5)
    assert sum(each.numel() for each in head.parameters()) == 123_360
    small = MixtureHead(4, 2, 3, std_floor=0.1)
    features = torch.full((6, 4), 100.0)
    with torch.no_grad():
        small.linear.weight.fill_(-1)
    mixture = small(features)
    assert mixture.logits.shape == mixture.mean.shape == mixture.log_std.shape == (6, 2, 3)
    torch.testing.assert_close(mixture.log_std.exp(), torch.full((6, 2, 3), 0.1))
    with torch.no_grad():
        small.linear.weight.fill_(0)
        small.linear.bias.fill_(0)
    torch.testing.assert_close(small(features).log_std.exp(), torch.full((6, 2, 3), 1.1))


def test_head_learns_a_bimodal_density():
    """The answer is +1 or -1 at even odds, with standard deviation 0.1: about 0.69 - 0.88 nats of entropy."""
    generator = torch.Generator().manual_seed(0)
    head = MixtureHead(1, 1, 2, std_floor=0.01)
    with torch.no_grad():
        head.linear.bias.copy_(torch.tensor([0.0, 0.0, -0.5, 0.5, 0.0, 0.0]))
    optimiser = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(300):
        sign = torch.randint(0, 2, (256, 1), generator=generator) * 2.0 - 1
        x = sign + 0.1 * torch.randn(256, 1, generator=generator)
        loss = -mixture_log_prob(head(torch.ones(256, 1)), x).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    entropy = math.log(2) + 0.5 * math.log(2 * math.pi * math.e * 0.01)
    assert loss.item() == pytest.approx(entropy, abs=0.1)
