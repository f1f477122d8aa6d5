import math
from pathlib import Path

import pytest
import torch

from generative import MODELS, VAE, FitConfig, Registry, VAEConfig, fit, to_float, to_uint8
from generative.capabilities import draw

VISIONS = Registry("vision", {"vae": VAE})
SMALL = VAEConfig(image_size=16, channels=1, latent=4, width=8, kl_floor=0.0)


def make(config: VAEConfig, seed: int = 0) -> VAE:
    module = VISIONS.create("vae", config, seed)
    assert isinstance(module, VAE)
    return module


def squares(n: int, seed: int) -> torch.Tensor:
    """White squares of 6 pixels at random places: two factors, uint8 (n 16 16 1)."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.zeros(n, 16, 16, 1, dtype=torch.uint8)
    for image, (top, left) in zip(images, torch.randint(0, 11, (n, 2), generator=generator).tolist(), strict=True):
        image[top : top + 6, left : left + 6] = 255
    return images


def stream(start: int):
    while True:
        yield to_float(squares(32, seed=start))
        start += 1


def test_the_paper_layout_has_the_papers_parameters():
    vae = make(VAEConfig(layout="paper"))
    assert sum(each.numel() for each in vae.parameters()) == 4_348_547
    mean, std = vae.encode(torch.rand(2, 3, 64, 64))
    assert mean.shape == std.shape == (2, 32)
    assert vae.decode(mean).shape == (2, 3, 64, 64)
    assert [type(each).__name__ for each in vae.decoder].count("ReLU") == 3  # none behind the linear layer


def test_the_fast_layout_leaks_and_starts_without_losing_the_signal():
    """He's weights for the slope in use: the image's spread hardly depends on it, and no unit is off for good."""
    leaky, plain = (make(VAEConfig(layout=layout)) for layout in ("fast", "fast-relu"))
    kinds = [{type(each).__name__ for each in vae.encoder} for vae in (leaky, plain)]
    assert "LeakyReLU" in kinds[0] and "ReLU" not in kinds[0] and "ReLU" in kinds[1] and "LeakyReLU" not in kinds[1]
    z = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
    spreads = [vae.decoder[:-1](z).std() for vae in (leaky, plain)]
    assert 0.7 < spreads[0] / spreads[1] < 1.4
    units = leaky.decoder[:2](-100 * torch.ones(1, 32).requires_grad_())
    units.sum().backward()
    assert (leaky.decoder[0].weight.grad != 0).all()


@pytest.mark.parametrize(("size", "channels", "latent"), [(16, 1, 2), (32, 3, 8), (48, 4, 5), (64, 3, 32), (96, 2, 16)])
def test_the_fast_layout_fits_any_multiple_of_16(size, channels, latent):
    vae = make(VAEConfig(image_size=size, channels=channels, latent=latent, width=8))
    obs = torch.rand(3, channels, size, size)
    mean, std = vae.encode(obs)
    decoded = vae.decode(mean)
    assert mean.shape == std.shape == (3, latent) and (std > 0).all()
    assert decoded.shape == obs.shape and decoded.min() >= 0 and decoded.max() <= 1
    assert vae.latent_spec.kind == "continuous" and vae.latent_spec.size == latent


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"layout": "paper", "image_size": 32}, "image_size=32"),
        ({"image_size": 40}, "image_size=40"),
        ({"latent": 0}, "latent=0"),
        ({"beta": -1.0}, "beta=-1.0"),
        ({"kl_floor": math.nan}, "kl_floor=nan"),
    ],
)
def test_a_senseless_config_is_refused_by_name(options, field):
    with pytest.raises(ValueError, match=field):
        VAEConfig(**options)


def test_frames_of_another_size_are_refused_in_words():
    with pytest.raises(ValueError, match=r"\(2, 3, 16, 16\).*\(B, 1, 16, 16\)"):
        make(SMALL).encode(torch.rand(2, 3, 16, 16))


def test_images_survive_the_conversion_exactly():
    obs = torch.arange(256, dtype=torch.uint8).reshape(2, 8, 4, 4)
    converted = to_float(obs)
    assert converted.shape == (2, 4, 8, 4) and converted.dtype == torch.float32
    assert converted[1, 3, 2, 1] == obs[1, 2, 1, 3].float() / 255
    assert torch.equal(to_uint8(converted), obs)
    assert to_uint8(torch.tensor([-0.2, 0.5, 1.7]).reshape(1, 1, 1, 3)).flatten().tolist() == [0, 128, 255]


@pytest.mark.parametrize(("beta", "kl_floor"), [(1.0, 0.0), (0.3, 16.0), (4.0, 2.0)])
def test_the_loss_is_the_papers_formula(beta, kl_floor):
    vae = make(VAEConfig(image_size=16, channels=1, latent=4, width=8, beta=beta, kl_floor=kl_floor)).double()
    obs = torch.rand(5, 1, 16, 16, dtype=torch.float64)
    loss, metrics = vae.loss(obs, torch.Generator().manual_seed(3))

    mean, std = vae.encode(obs)
    noise = torch.randn(5, 4, generator=torch.Generator().manual_seed(3))
    error = ((vae.decode(mean + std * noise) - obs) ** 2).sum((1, 2, 3)).mean()
    posterior = torch.distributions.Normal(mean, std)
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(std))
    kl = torch.distributions.kl_divergence(posterior, prior).sum(1)
    torch.testing.assert_close(metrics["squared_error"], error)
    torch.testing.assert_close(metrics["kl"], kl.mean())
    torch.testing.assert_close(loss, error + beta * kl.clamp(min=kl_floor).mean())


def test_an_extreme_encoder_stays_finite():
    vae = make(SMALL)
    with torch.no_grad():
        vae.encoder[-1].bias[4:] = 1e4
    loss, _ = vae.loss(torch.rand(3, 1, 16, 16), torch.Generator())
    loss.backward()
    assert loss.isfinite() and all(each.grad is not None and each.grad.isfinite().all() for each in vae.parameters())


def test_samples_come_from_the_generator_and_widen_with_temperature():
    vae = make(SMALL)
    first = draw(vae, 6, torch.Generator().manual_seed(1))
    assert first.shape == (6, 1, 16, 16)
    assert torch.equal(first, draw(vae, 6, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, draw(vae, 6, torch.Generator().manual_seed(2)))
    assert torch.equal(vae.sample(1, vae.Sampling(0.0), torch.Generator()), vae.decode(torch.zeros(1, 4)))
    noise = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        vae.sample(6, vae.Sampling(4.0), torch.Generator().manual_seed(1)), vae.decode(2 * noise)
    )
    with pytest.raises(ValueError, match="temperature=-1"):
        vae.sample(1, vae.Sampling(-1.0), torch.Generator())


def train(config: VAEConfig, steps: int = 250) -> VAE:
    vae = make(config)
    list(fit(vae, stream, FitConfig(steps=steps, learning_rate=3e-3), seed=0))
    return vae


@pytest.mark.slow
def test_it_learns_where_a_square_is_and_is_healthy():
    vae = train(SMALL)
    facts = vae.diagnose(to_float(squares(200, seed=10**6)))
    assert facts["verdict"] == "healthy"
    assert facts["explained"] > 0.5
    assert 2 <= facts["active_units"] <= 4
    assert facts["squared_error"] == pytest.approx((1 - facts["explained"]) * facts["baseline_squared_error"])


@pytest.mark.slow
def test_a_huge_beta_collapses_the_posterior_and_is_recognised():
    facts = train(VAEConfig(image_size=16, channels=1, latent=4, width=8, beta=500.0, kl_floor=0.0)).diagnose(
        to_float(squares(200, seed=10**6))
    )
    assert facts["verdict"] == "collapsed"
    assert facts["active_units"] == 0 and facts["kl"] < 0.05 and "beta" in facts["reason"]


def test_a_dead_encoder_and_a_dead_decoder_are_recognised():
    obs = to_float(squares(50, seed=0))
    blind = make(SMALL)
    with torch.no_grad():
        blind.encoder[-1].weight.zero_()
        blind.encoder[-1].bias.fill_(1.5)  # KL is far from 0, and still nothing about the image is in z
    facts = blind.diagnose(obs)
    assert facts["kl"] > 1 and facts["active_units"] == 0 and facts["verdict"] == "collapsed"

    deaf = make(SMALL)
    with torch.no_grad():
        deaf.encoder[-1].weight[:4] *= 100
        deaf.decoder[0].weight.zero_()
    facts = deaf.diagnose(obs, obs.mean(0))
    assert facts["active_units"] > 0 and facts["explained"] < 0.05 and facts["verdict"] == "collapsed"


def test_a_diagnosis_needs_different_images():
    with pytest.raises(ValueError, match="different"):
        make(SMALL).diagnose(torch.zeros(4, 1, 16, 16))


@pytest.mark.slow
def test_resume_equals_uninterrupted_bit_for_bit(tmp_path: Path):
    config = FitConfig(steps=34, learning_rate=1e-3, warmup=3, schedule="cosine", gradient_clip=5.0)
    whole = make(SMALL)
    rows = list(fit(whole, stream, config, seed=5, log_every=10))

    killed = make(SMALL)
    before = []
    for row in fit(killed, stream, config, seed=5, checkpoint=tmp_path, log_every=10):
        before.append(row)
        if row["step"] == 20:
            break  # the newest checkpoint is of step 18
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000015", "00000018"]
    resumed = make(SMALL, seed=99)  # other initial weights: all must come from the checkpoint
    after = list(fit(resumed, stream, config, seed=5, checkpoint=tmp_path, log_every=10))

    assert [row["step"] for row in after] == [20, 30, 34]
    strip = [{name: value for name, value in row.items() if name != "samples_per_second"} for row in rows]
    assert [{k: v for k, v in row.items() if k != "samples_per_second"} for row in before] == strip[:2]
    assert [{k: v for k, v in row.items() if k != "samples_per_second"} for row in after] == strip[1:]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_beta_vae_is_a_vae_with_other_defaults():
    module = MODELS.create("beta-vae", {"image_size": 16, "channels": 1, "latent": 4, "width": 8}, 0)
    same = make(VAEConfig(image_size=16, channels=1, latent=4, width=8, beta=4.0, kl_floor=0.0))
    obs = to_float(squares(8, seed=0))
    assert module.loss(obs, torch.Generator().manual_seed(1))[0] == same.loss(obs, torch.Generator().manual_seed(1))[0]
    assert module.type_name == "beta-vae" and isinstance(module, VAE) and module.config.kl_weight == 4.0
    assert MODELS.create("beta-vae", {"r_loss_factor": 3072.0}, 0).config.kl_weight == pytest.approx(4.0)
