import itertools
import math

import numpy as np
import pytest
import torch

from generative import FitConfig, fit
from generative.capabilities import HasLevels
from generative.data import MoonsConfig
from generative.models.likelihood.pixel_cnn import PixelCNN, PixelCNNConfig
from generative.models.likelihood.real_nvp import RealNVP, RealNVPConfig
from generative.sampling.dials import PriorSampling


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(**options) -> RealNVP:
    torch.manual_seed(0)
    usual = {"image_size": 4, "scales": 2, "couplings": 1, "width": 8, "hidden": 1}
    return RealNVP(RealNVPConfig(**{**usual, **options})).eval()


def grid(reach: float, count: int) -> tuple[torch.Tensor, float]:
    """Points of a square grid (N 2) and the area that each stands for."""
    ticks = torch.linspace(-reach, reach, count)
    return torch.cartesian_prod(ticks, ticks), (2 * reach / (count - 1)) ** 2


@pytest.fixture(scope="module")
def moons():
    """A flow that has seen two moons for a little while, and held-out points."""
    data = MoonsConfig(noise=0.1, count=20_000).load()
    module = made(layout="points", couplings=6, width=32, hidden=2).train()
    config = FitConfig(steps=250, learning_rate=5e-3, schedule="cosine", gradient_clip=10.0)
    list(fit(module, data.batches(256, 0), config, seed=0))
    held = data.held_out()
    return module, held.tensor("point", np.arange(1000)), data


def test_the_density_of_points_integrates_to_one(moons):
    module, _, _ = moons
    points, area = grid(5.0, 401)
    with torch.no_grad():
        total = (module.log_prob(points).double().exp() * area).sum().item()
    assert total == pytest.approx(1.0, abs=0.01)


def test_it_learns_two_moons(moons):
    module, held, data = moons
    with torch.no_grad():
        nats = -module.log_prob(held).mean().item()
    truth = -data.log_prob(held.numpy()).mean()
    bell = torch.distributions.MultivariateNormal(held.mean(0), torch.cov(held.T))
    assert truth < nats < truth + 0.35 < -bell.log_prob(held).mean().item() - 0.3


def test_points_come_back_and_noise_lies_where_data_do(moons):
    module, held, _ = moons
    with torch.no_grad():
        z, deviation = module.encode(held)
        assert (module.decode(z) - held).abs().max() < 1e-4
        assert not deviation.any() and z.mean(0).abs().max() < 0.2 and (z.std(0) - 1).abs().max() < 0.2
        drawn = module.sample(1000, PriorSampling(), noise())
    plain = torch.randn(1000, 2, generator=noise())
    assert torch.cdist(drawn, held).amin(1).mean() < 0.5 * torch.cdist(plain, held).amin(1).mean()


def test_a_uniform_distribution_costs_the_logarithm_of_its_levels(monkeypatch):
    """Latents of evenly spread pixels are logistic; a flow that does nothing and knows that needs 8 bits exactly."""
    module = made(levels=256).double()
    for each in module.parameters():
        torch.nn.init.zeros_(each)
    edge = module.config.edge

    def logistic(z):
        return (torch.nn.functional.logsigmoid(z) + torch.nn.functional.logsigmoid(-z)).sum(1) - z.shape[1] * math.log(
            1 - 2 * edge
        )

    monkeypatch.setattr(module, "_prior", logistic)
    obs = torch.randint(0, 256, (6, 1, 4, 4)).double() / 255
    bits = -module.log_prob(obs) / (16 * math.log(2))
    assert (bits - 8).abs().max() < 1e-9
    assert module.loss(obs, noise(3))[1]["bits_per_dim"].item() == pytest.approx(8.0, abs=1e-9)
    coarse = PixelCNN(PixelCNNConfig(image_size=4, levels=256, width=4, layers=2)).double()
    for each in coarse.parameters():
        torch.nn.init.zeros_(each)
    assert torch.allclose(module.log_prob(obs), coarse.log_prob(obs), atol=1e-6)  # in the units of a PixelCNN


@pytest.mark.parametrize("levels", [2, 5])
def test_probabilities_of_all_levels_sum_to_at_most_one(levels):
    """The bound lies below a probability: over all images it sums to less than 1, and to much of it by its mean."""
    module = made(image_size=2, scales=1, couplings=2, levels=levels)
    with torch.no_grad():
        for each in module.parameters():
            each.add_(0.1 * torch.randn(each.shape, generator=noise(1)))
    every = torch.tensor(list(itertools.product(range(levels), repeat=4))).view(-1, 1, 2, 2) / (levels - 1)
    with torch.no_grad():
        draws = torch.stack([module._log_prob(every, noise(seed)) for seed in range(60)]).double()
    assert draws.mean(0).exp().sum() < 1
    assert draws.exp().mean(0).sum().item() == pytest.approx(1 - leak(module), abs=0.1)


def leak(module: RealNVP) -> float:
    """The share of samples whose pixels would lie beyond the levels before they are cut off."""
    z = torch.randn(20_000, 4, generator=noise(5))
    with torch.no_grad():
        p = module.flow.inverse(z).sigmoid()
    edge = module.config.edge
    return float(((p < edge) | (p > 1 - edge)).flatten(1).any(1).float().mean())


def test_images_have_their_levels_and_come_back_exactly():
    module = made(image_size=8, levels=16, channels=3)
    obs = torch.randint(0, 16, (5, 3, 8, 8), generator=noise()).float() / 15
    with torch.no_grad():
        assert torch.equal(module.reconstruct(obs), obs)
        drawn = module.sample(8, PriorSampling(), noise()) * 15
    assert torch.equal(drawn, drawn.round()) and drawn.min() >= 0 and drawn.max() <= 15


def test_the_figure_of_the_same_images_is_the_same():
    module, obs = made(), torch.rand(3, 1, 4, 4)
    assert torch.equal(module.log_prob(obs), module.log_prob(obs))
    assert module.loss(obs, noise(1))[0] != module.loss(obs, noise(2))[0]


def test_the_temperature_times_the_variance_of_latents():
    module = made(layout="points", dimensions=4)
    with torch.no_grad():
        spread = [
            module.encode(module.sample(4000, PriorSampling(heat), noise()))[0].var().item() for heat in (1.0, 0.25)
        ]
    assert spread[0] == pytest.approx(1.0, rel=0.05) and spread[1] == pytest.approx(0.25, rel=0.05)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"levels": 1}, "levels=1"),
        ({"edge": 0.5}, "edge=0.5"),
        ({"layout": "points", "dimensions": 1}, "dimensions=1"),
        ({"image_size": 12, "scales": 4}, "image_size=12: scales=4"),
        ({"image_size": 4, "scales": 3}, "image_size=4: scales=3"),
    ],
)
def test_a_senseless_option_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        RealNVPConfig(**options)


def test_images_have_levels_and_points_have_none():
    image, point = (RealNVP(RealNVPConfig(layout=layout, width=4, hidden=4)) for layout in ("convolutions", "points"))
    assert isinstance(image, HasLevels) and image.levels == 256 and not isinstance(point, HasLevels)
