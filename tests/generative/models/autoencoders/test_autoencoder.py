import pytest
import torch

from generative import MODELS, Autoencoder, ComponentError, FitConfig, fit, load_component, require, save_component
from generative.capabilities import draw
from generative.models.autoencoders.autoencoder import AutoencoderConfig
from tests.generative.models.shapes import squares, stream

SMALL = AutoencoderConfig(image_size=16, channels=1, latent=4, width=8, density=4)


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(config: AutoencoderConfig = SMALL) -> Autoencoder:
    module = MODELS.create("autoencoder", config, 0)
    assert isinstance(module, Autoencoder)
    return module


@pytest.fixture(scope="module")
def trained() -> Autoencoder:
    module = make()
    list(fit(module, stream, FitConfig(steps=250, learning_rate=3e-3), seed=0))
    module.estimate(stream(0), noise())
    return module


def test_it_learns_squares_and_is_healthy(trained):
    facts = trained.diagnose(squares(200, seed=10**6))
    assert facts["verdict"] == "healthy" and facts["explained"] > 0.5
    assert facts["squared_error"] == pytest.approx((1 - facts["explained"]) * facts["baseline_squared_error"])


def test_a_dead_encoder_is_recognised():
    module = make()
    with torch.no_grad():
        module.encoder[-1].weight.zero_()
    facts = module.diagnose(squares(50, seed=0))
    assert facts["verdict"] == "collapsed" and facts["active_units"] == 0


def test_it_refuses_to_sample_until_a_density_is_fitted(trained, tmp_path):
    trained.density.fitted.zero_()
    for ask in (lambda: require(trained, "sample"), lambda: draw(trained, 1, noise())):
        with pytest.raises(ComponentError, match=r"autoencoder cannot `sample`.*fit_density"):
            ask()
    trained.fit_density(trained.encode(squares(500, seed=0))[0], noise())
    require(trained, "sample")
    drawn = draw(trained, 100, noise(1))
    save_component(trained, tmp_path / "part", {})
    assert torch.equal(draw(load_component(tmp_path / "part", MODELS), 100, noise(1)), drawn)
    # Drawn squares are about as white as real ones.
    assert drawn.sum((1, 2, 3)).mean().item() == pytest.approx(36, abs=12)

    trained.estimate(stream(0), noise())  # moves the latents, so the density is of others
    with pytest.raises(ComponentError, match="fit_density"):
        draw(trained, 1, noise())


def test_the_scale_of_latents_does_not_change_images():
    module, obs = make(), squares(10, seed=0)
    before = module.reconstruct(obs)
    raw, _ = module.encode(obs)
    module.estimate(stream(0), noise())
    assert not torch.allclose(module.encode(obs)[0], raw, atol=0.1)
    torch.testing.assert_close(module.reconstruct(obs), before)


def test_a_denoising_one_sees_noise_and_answers_for_the_clean_image():
    module = make(AutoencoderConfig(image_size=16, channels=1, latent=4, width=8, noise=0.5))
    obs = squares(6, seed=0)
    damaged = obs + 0.5 * torch.randn(obs.shape, generator=noise(7))
    expected = (module.decoder(module.encoder(damaged)) - obs).square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(module.loss(obs, noise(7))[0], expected)
    assert module.loss(obs, noise(8))[0] != expected
    assert make().loss(obs, noise(7))[0] == make().loss(obs, noise(8))[0]
