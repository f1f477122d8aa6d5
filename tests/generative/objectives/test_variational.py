from dataclasses import replace

import pytest
import torch

from generative import VAE, VAEConfig, beta_from_r_loss_factor, r_loss_factor_from_beta
from generative.objectives.variational import edge_error, kl_cost


@pytest.mark.parametrize(("r_loss_factor", "numbers", "beta"), [(1000.0, 784, 0.784), (10_000.0, 49_152, 4.9152)])
def test_beta_and_the_books_factor_are_converted_into_each_other(r_loss_factor, numbers, beta):
    assert beta_from_r_loss_factor(r_loss_factor, numbers) == pytest.approx(beta)
    assert r_loss_factor_from_beta(beta, numbers) == pytest.approx(r_loss_factor)
    with pytest.raises(ValueError, match="beta=0"):
        r_loss_factor_from_beta(0.0, numbers)
    with pytest.raises(ValueError, match="r_loss_factor=-1"):
        beta_from_r_loss_factor(-1.0, numbers)


def test_the_books_loss_has_the_gradient_of_ours():
    config = VAEConfig(image_size=16, channels=1, latent=4, width=8, kl_floor=0.0, r_loss_factor=500.0)
    vae = VAE(config).double()
    obs = torch.rand(5, 1, 16, 16, dtype=torch.float64)
    loss, metrics = vae.loss(obs, torch.Generator().manual_seed(3))

    mean, std = vae.encode(obs)
    noise = torch.randn(5, 4, generator=torch.Generator().manual_seed(3))
    error = (vae.decode(mean + std * noise) - obs).square().mean((1, 2, 3))  # the book averages over pixels
    normal = torch.distributions.Normal
    kl = torch.distributions.kl_divergence(normal(mean, std), normal(torch.zeros_like(mean), torch.ones_like(std)))
    book = (500.0 * error + kl.sum(1)).mean()

    torch.testing.assert_close(loss * 500.0 / 256, book)
    ours = torch.autograd.grad(loss, list(vae.parameters()))
    theirs = torch.autograd.grad(book, list(vae.parameters()))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a * 500.0 / 256, b)
    facts = vae.diagnose(obs)
    assert facts["beta"] == pytest.approx(256 / 500) and facts["r_loss_factor"] == pytest.approx(500.0)
    assert metrics["kl"] > 0


def test_the_knob_is_given_once():
    with pytest.raises(ValueError, match="r_loss_factor=100"):
        VAEConfig(r_loss_factor=100.0, beta=2.0)


def test_the_floor_is_of_an_image():
    kl = torch.tensor([[0.1, 3.0], [0.5, 1.0]])
    assert kl_cost(kl, 2.0).item() == pytest.approx((3.1 + 2.0) / 2)
    assert kl_cost(kl, 0.0).item() == pytest.approx(2.3)


def test_edges_count_what_differs_from_its_neighbours():
    obs = torch.rand(2, 3, 16, 16)
    assert edge_error(obs, obs + 0.5).item() == pytest.approx(0.0, abs=1e-9)
    dot = torch.zeros(2, 3, 16, 16)
    dot[:, 0, 5, 5] = 0.5
    assert edge_error(obs + dot, obs).item() == pytest.approx(4 * 0.25)  # four neighbours
    config = VAEConfig(image_size=16, latent=4, width=8, kl_floor=0.0)
    usual, sharp = VAE(config), VAE(replace(config, edges=4.0))
    sharp.load_state_dict(usual.state_dict())
    (plain, _), (weighed, metrics) = (each.loss(obs, torch.Generator().manual_seed(0)) for each in (usual, sharp))
    assert weighed.item() == pytest.approx(plain.item() + 4 * metrics["edge_error"].item(), rel=1e-5)
