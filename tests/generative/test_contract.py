"""What every registered model promises, whichever it is."""

import dataclasses
import itertools
from typing import Any

import pytest
import torch

from generative import CAPABILITIES, MODELS, ComponentError, Estimates, load_component, offers, require, save_component
from generative.component import component_bytes, component_from_bytes

SMALL: dict[str, dict[str, Any]] = {
    "vae": {"image_size": 16, "channels": 1, "latent": 4, "width": 8, "kl_floor": 0.0},
    "beta-vae": {"image_size": 16, "channels": 1, "latent": 4, "width": 8},
    "autoencoder": {"image_size": 16, "channels": 1, "latent": 4, "width": 8, "density": 2},
    "conditional-vae": {"image_size": 16, "channels": 1, "latent": 4, "width": 8, "classes": 3},
    "vq-vae": {"image_size": 16, "channels": 1, "width": 8, "codes": 16},
    "pca": {"image_size": 16, "channels": 1, "latent": 4, "frames": 64},
    "random-convolutions": {"image_size": 16, "channels": 1, "latent": 8, "width": 8},
}
OTHER: dict[str, dict[str, Any]] = {
    name: {**options, "image_size": 48, "channels": 2, **({} if name == "vq-vae" else {"latent": 32})}
    for name, options in SMALL.items()
}
every = pytest.mark.parametrize("name", MODELS.names())


def make(name: str, options: dict[str, Any] | None = None, seed: int = 0) -> Any:
    return MODELS.create(name, SMALL[name] if options is None else options, seed)


def images(module: Any, n: int, seed: int = 0) -> torch.Tensor:
    """A white rectangle each, at a random place."""
    config, generator = module.config, torch.Generator().manual_seed(seed)
    obs = torch.zeros(n, config.channels, config.image_size, config.image_size)
    side = config.image_size // 3
    for image, (top, left) in zip(obs, torch.randint(0, 2 * side, (n, 2), generator=generator).tolist(), strict=True):
        image[:, top : top + side, left : left + side] = 1.0
    return obs


def condition(module: Any, n: int) -> tuple[torch.Tensor, ...]:
    """What the model's methods take besides images."""
    return (torch.arange(n) % module.config.classes,) if module.type == "conditional-vae" else ()


def batch(module: Any, n: int, seed: int = 0) -> Any:
    more = condition(module, n)
    return (images(module, n, seed), *more) if more else images(module, n, seed)


def stream(module: Any):
    return (images(module, 32, seed) for seed in itertools.count())


def ready(name: str, options: dict[str, Any] | None = None) -> Any:
    module = make(name, options)
    if isinstance(module, Estimates):
        module.estimate(stream(module), torch.Generator().manual_seed(0))
    return module.eval()


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_model_is_tested():
    assert set(SMALL) == set(MODELS.names())


@every
def test_finite_gradients_reach_every_trained_parameter(name):
    module = make(name)
    loss, metrics = module.loss(batch(module, 8), noise())
    assert loss.shape == () and loss.isfinite() and all(each.isfinite() for each in metrics.values())
    assert not any(each.requires_grad for each in metrics.values())
    trained = {key: each for key, each in module.named_parameters() if each.requires_grad}
    assert trained or isinstance(module, Estimates)
    if trained:
        loss.backward()
    for key, parameter in trained.items():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), key


@every
@pytest.mark.parametrize("options", ["small", "other"])
def test_what_is_loaded_equals_what_was_saved(name, options, tmp_path):
    module = ready(name, {"small": SMALL, "other": OTHER}[options][name])
    save_component(module, tmp_path / "part", {})
    for loaded in (load_component(tmp_path / "part", MODELS), component_from_bytes(component_bytes(module), MODELS)):
        assert loaded.config == module.config
        assert all(torch.equal(value, module.state_dict()[key]) for key, value in loaded.state_dict().items())
        data = (images(module, 3), *condition(module, 3))
        assert all(torch.equal(a, b) for a, b in zip(loaded.encode(*data), module.encode(*data), strict=True))


@every
def test_a_loss_is_a_function_of_weights_batch_and_generator(name):
    losses = [make(name).loss(batch(make(name), 6), noise(seed))[0].item() for seed in (1, 1, 2)]
    assert losses[0] == losses[1]
    if name in ("vae", "beta-vae", "conditional-vae"):
        assert losses[0] != losses[2]
    elsewhere = make(name, seed=1).loss(batch(make(name), 6), noise(1))[0].item()
    assert losses[0] != elsewhere


@every
def test_a_batch_of_one_works(name):
    module = make(name)
    loss, _ = module.loss(batch(module, 1), noise())
    mean, std = module.eval().encode(images(module, 1), *condition(module, 1))
    assert loss.isfinite() and mean.shape == std.shape and len(mean) == 1 and mean.isfinite().all()


@every
def test_other_shapes_work_and_wrong_ones_are_refused(name):
    module = ready(name, OTHER[name])
    more = condition(module, 2)
    mean, std = module.encode(images(module, 2), *more)
    assert mean.shape == std.shape == (2, module.config.latent) and (std >= 0).all()
    if name != "conditional-vae":
        assert module.latent_spec.size == mean.shape[1] <= 64 and module.latent_spec.kind == "continuous"
    if offers(module, "decode"):
        assert module.decode(mean, *more).shape == (2, 2, 48, 48)
    with pytest.raises(ValueError, match=r"\(2, 2, 32, 32\).*\(B, 2, 48, 48\)"):
        module.encode(torch.rand(2, 2, 32, 32), *more)


@every
@pytest.mark.parametrize("field", ["image_size", "channels"])
def test_a_senseless_size_is_refused_by_name(name, field):
    with pytest.raises(ValueError, match=f"{field}=0"):
        make(name, {**SMALL[name], field: 0})


@every
def test_one_batch_is_learnt(name):
    module = make(name)
    data = batch(module, 16)
    first = module.eval().loss(data, noise())[0].item()
    if any(each.requires_grad for each in module.parameters()):
        optimiser = torch.optim.Adam(module.parameters(), lr=3e-3)
        module.train()
        for step in range(60):
            optimiser.zero_grad()
            module.loss(data, noise(step))[0].backward()
            optimiser.step()
    else:
        module.estimate(stream(module), noise())
    assert module.eval().loss(data, noise())[0].item() < 0.7 * first


@every
def test_bfloat16_gives_finite_float32_losses_and_latents(name):
    module = ready(name)
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = module.train().loss(batch(module, 4), noise())
    assert loss.isfinite() and loss.dtype == torch.float32
    half = module.eval().to(torch.bfloat16)
    if name != "conditional-vae":  # visions encode in this type while an agent plays
        assert half.encode(images(module, 4).to(torch.bfloat16))[0].isfinite().all()


@every
def test_latents_are_of_unit_spread_without_a_prior(name):
    module = ready(name)
    if not isinstance(module, Estimates):
        assert {"vae", "conditional-vae"} & {name.removeprefix("beta-")}
        return
    z, std = module.encode(images(module, 500, seed=10**6))
    assert not std.any()
    assert z.mean(0).abs().max() < 0.5
    assert 0.5 < z.std(0).median() < 1.5


@every
@pytest.mark.parametrize("capability", list(CAPABILITIES))
def test_a_capability_works_or_is_refused_with_a_reason(name, capability):
    module = ready(name)
    config = module.config
    shape, more = (config.channels, config.image_size, config.image_size), condition(module, 3)
    if name == "autoencoder" and capability == "sample":
        with pytest.raises(ComponentError, match="fit_density"):
            require(module, "sample")
        module.fit_density(module.encode(images(module, 100))[0], noise())
    if not offers(module, capability):
        with pytest.raises(ComponentError, match=f"{name} cannot `{capability}`: .{{10}}"):
            require(module, capability)
        return
    require(module, capability)
    obs = images(module, 3)
    z = module.encode(obs, *more)[0]
    if capability == "encode":
        assert z.shape == (3, config.latent)
    elif capability == "decode":
        decoded = module.decode(z, *more)
        assert decoded.shape == (3, *shape) and decoded.min() >= 0 and decoded.max() <= 1
    elif capability == "reconstruct":
        assert torch.equal(module.reconstruct(obs, *more), module.decode(z, *more))
    elif capability == "sample":
        assert module.sample(3, 1.0, noise(1), *more).shape == (3, *shape)
        assert torch.equal(module.sample(3, 1.0, noise(1)), module.sample(3, 1.0, noise(1)))
        assert not torch.equal(module.sample(3, 1.0, noise(1)), module.sample(3, 1.0, noise(2)))
        with pytest.raises(ValueError, match="temperature=-1"):
            module.sample(1, -1.0, noise())
    elif capability == "log_prob":
        assert module.log_prob(obs).shape == (3,)
    elif capability == "interpolate":
        way = module.interpolate(obs, obs.flip(0), 4, *more)
        assert way.shape == (3, 4, *shape)
        torch.testing.assert_close(way[:, 0], module.reconstruct(obs, *more))
        if not more:
            torch.testing.assert_close(way[:, -1], module.reconstruct(obs.flip(0)))
        with pytest.raises(ValueError, match="steps=1"):
            module.interpolate(obs, obs, 1, *more)
    else:
        raise AssertionError(f"nothing checks {capability}")


@every
def test_options_are_described_and_survive_the_way_to_json(name):
    config = MODELS.config_class(name)
    assert all(field.default is not dataclasses.MISSING for field in dataclasses.fields(config))
    assert MODELS.create(name, {}).config == config()
