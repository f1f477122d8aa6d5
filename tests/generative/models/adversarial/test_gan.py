import itertools
from dataclasses import fields

import pytest
import torch

from generative import MODELS, FitConfig, fit
from generative.capabilities import draw
from generative.models.adversarial.gan import DCGANConfig
from generative.objectives import adversarial

SMALL = {"layout": "points", "norm": "none", "critic_norm": "none", "latent": 2, "width": 16}
TINY = {"image_size": 16, "latent": 4, "width": 8}


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pair(step: int, n: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """Points around (-1, 0) and (1, 0), and which of the two."""
    labels = torch.arange(n) % 2
    centres = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    return centres[labels] + 0.1 * torch.randn(n, 2, generator=noise(step)), labels


def points(start: int):
    return (pair(step)[0] for step in itertools.count(start))


def pictures(start: int):
    return (torch.rand(8, 1, 16, 16, generator=noise(step)) for step in itertools.count(start))


def train(name, options, batches=points, steps=3, rate=1e-3, look=None):
    module = MODELS.create(name, options, 0)
    rows = []
    for row in fit(module, batches, FitConfig(steps=steps, learning_rate=rate), seed=0, log_every=1):
        rows.append(row)
        if look:
            look(module)
    return module, rows


def same(first, second) -> bool:
    theirs = second.state_dict()
    return all(torch.equal(value, theirs[key]) for key, value in first.state_dict().items())


LOSSES = ("non-saturating", "saturating", "least-squares", "hinge", "wasserstein")
ENFORCEMENTS = ("none", "clip", "gradient-penalty", "spectral-norm", "r1")


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("lipschitz", ENFORCEMENTS)
@pytest.mark.parametrize("gan_loss", LOSSES)
def test_the_levers_are_independent(gan_loss, lipschitz, norm):
    options = {**SMALL, "gan_loss": gan_loss, "lipschitz": lipschitz, "norm": norm, "critic_norm": norm}
    module, rows = train("dcgan", options)
    names = {"critic_loss", "critic_gradient", "critic_accuracy", "critic_slope", "generator_loss"}
    names |= {"generator_gradient", "step", "learning_rate", "samples_per_second"}
    names |= {"penalty"} if lipschitz in ("gradient-penalty", "r1") else set()
    names |= {"clip_saturation"} if lipschitz == "clip" else set()
    assert all(set(row) == names for row in rows)
    assert draw(module, 4, noise()).isfinite().all()


@pytest.mark.slow
def test_every_lever_changes_the_training():
    plain, _ = train("dcgan", SMALL)
    changes = [{"gan_loss": each} for each in LOSSES[1:]] + [{"lipschitz": each} for each in ENFORCEMENTS[1:]]
    changes += [{"norm": "layer"}, {"critic_norm": "layer"}, {"critic_steps": 2}, {"critic_rate": 2.0}]
    changes += [{"momentum": 0.9}, {"second_moment": 0.9}, {"label_noise": 0.5}, {"critic_dropout": 0.2}, {"ema": 0.0}]
    shown = draw(plain, 20, noise())
    for change in changes:
        module, _ = train("dcgan", {**SMALL, **change})
        assert not torch.equal(draw(module, 20, noise()), shown), change
    for lipschitz in ("gradient-penalty", "r1", "clip"):
        weak, strong = (
            train("dcgan", {**SMALL, "lipschitz": lipschitz, "penalty": value, "clip": value})[0]
            for value in (0.1, 1.0)
        )
        assert not torch.equal(draw(weak, 20, noise()), draw(strong, 20, noise())), lipschitz


def test_the_option_says_how_the_generator_doubles():
    def modes(upsampling):
        module = MODELS.create("dcgan", {"image_size": 16, "width": 4, "upsampling": upsampling})
        return [layer.mode for layer in module.generator if isinstance(layer, torch.nn.Upsample)]

    assert modes("transposed") == [] and modes("nearest") == ["nearest"] * 2 and modes("bilinear") == ["bilinear"] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"critic_norm": "batch", "lipschitz": "gradient-penalty"},
            "critic_norm=batch: .*whole batch.*critic_norm=lay",
        ),
        ({"critic_norm": "batch", "lipschitz": "r1"}, "critic_norm=batch: .*whole batch"),
        ({"critic_norm": "batch", "lipschitz": "spectral-norm"}, "critic_norm=batch: .*undoes the bound"),
        ({"gan_loss": "hinge", "label_noise": 0.1}, "label_noise=0.1: .*non-saturating or saturating"),
        ({"label_noise": 1.5}, "label_noise=1.5"),
        ({**SMALL, "norm": "instance"}, "norm=instance: a point has no positions"),
        ({"clip": 0.0}, "clip=0.0"),
        ({"critic_steps": 0}, "critic_steps=0"),
        ({"ema": 1.0}, "ema=1.0"),
        ({"momentum": -0.1}, "momentum=-0.1"),
        ({"penalty": -1.0}, "penalty=-1.0"),
        ({"image_size": 30}, "image_size=30"),
    ],
)
def test_senseless_levers_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.create("dcgan", options)


def test_the_presets_are_those_of_the_papers():
    dcgan, wgan, gp = (MODELS.config_class(name)() for name in ("dcgan", "wgan", "wgan-gp"))
    assert (dcgan.gan_loss, dcgan.lipschitz, dcgan.norm, dcgan.critic_norm) == (
        "non-saturating",
        "none",
        "batch",
        "batch",
    )
    assert (wgan.gan_loss, wgan.lipschitz, wgan.clip, wgan.critic_steps, wgan.momentum) == (
        "wasserstein",
        "clip",
        0.01,
        5,
        0.0,
    )
    assert (gp.gan_loss, gp.lipschitz, gp.penalty, gp.critic_steps) == ("wasserstein", "gradient-penalty", 10.0, 5)
    assert wgan.critic_norm == gp.critic_norm == MODELS.config_class("conditional-gan")().critic_norm == "none"
    assert {each.name for each in fields(DCGANConfig)} == {each.name for each in fields(gp)}


def test_clipping_holds_the_critic_alone_and_is_reported():
    module, rows = train("wgan", {**SMALL, "clip": 0.05}, steps=4)
    assert max(each.abs().max() for each in module.critic.parameters()) <= 0.05
    assert max(each.abs().max() for each in module.generator.parameters()) > 0.05
    assert rows[0]["clip_saturation"] > 0.2  # of the first step's last updates, on weights drawn much wider
    assert rows[-1]["clip_saturation"] == pytest.approx(
        adversarial.clip_saturation(module.critic, 0.05).item(), abs=0.05
    )


@pytest.mark.slow
def test_the_penalty_draws_the_slope_to_1():
    steep, _ = train("dcgan", {**SMALL, "gan_loss": "wasserstein"}, steps=60, rate=1e-2)
    held, rows = train("wgan-gp", {**SMALL, "critic_steps": 1}, steps=60, rate=1e-2)

    def slope(module):
        return adversarial.slopes(lambda x: module.critic(x)[:, 0], pair(99)[0]).mean().item()

    assert 0.5 < slope(held) < 1.5 < 3 < slope(steep)
    assert rows[-1]["penalty"] < 0.2


def test_penalties_are_not_taken_in_half_precision():
    module = MODELS.create("dcgan", {**SMALL, "lipschitz": "r1"}, 0)
    exact = module.critic_loss(pair(0)[0], None, noise())[1]["penalty"]
    with torch.autocast("cpu", torch.bfloat16):
        loss, metrics = module.critic_loss(pair(0)[0], None, noise())
    assert torch.equal(metrics["penalty"], exact) and loss.dtype == torch.float32


def test_label_noise_lowers_the_targets_of_real_data():
    module = MODELS.create("dcgan", {**SMALL, "label_noise": 0.5}, 0)
    obs, generator = pair(0)[0], noise()
    made = module.generator(torch.randn(32, 2, generator=generator))
    target = 1 - 0.5 * torch.rand(32, generator=generator)
    scores = module.critic(obs)[:, 0], module.critic(made)[:, 0]
    expected = adversarial.critic_loss("non-saturating", *scores, target)
    torch.testing.assert_close(module.critic_loss(obs, None, noise())[0], expected)


def test_samples_come_from_the_average_and_the_losses_do_not():
    module, _ = train("dcgan", SMALL, steps=5)
    shown = draw(module, 10, noise())
    loss = module.generator_loss(10, None, noise())[0]
    with torch.no_grad():
        for parameter in module.generator.parameters():
            parameter.zero_()
    assert torch.equal(draw(module, 10, noise()), shown)
    assert not torch.equal(module.generator_loss(10, None, noise())[0], loss)
    with torch.no_grad():
        for parameter in module.average.network.parameters():
            parameter.zero_()
    assert not draw(module, 10, noise()).any()


def test_looking_at_samples_does_not_change_the_training():
    plain, _ = train("dcgan", TINY, pictures)
    watched, _ = train("dcgan", TINY, pictures, look=lambda module: draw(module, 50, noise()))
    assert same(plain, watched)
    without = {**TINY, "ema": 0.0}
    assert same(
        train("dcgan", without, pictures)[0],
        train("dcgan", without, pictures, look=lambda module: draw(module, 50, noise()))[0],
    )


def test_a_critic_update_leaves_the_generator_alone_and_the_reverse():
    module = MODELS.create("dcgan", SMALL, 0)
    steps = module.objectives([pair(0)[0]], 0, noise())
    assert {name: part.rate for name, part in module.parts.items()} == {"critic": 1.0, "generator": 1.0}
    part, loss, *_ = next(steps)
    assert part == "critic"
    gradients = torch.autograd.grad(loss, list(module.generator.parameters()), allow_unused=True)
    assert all(each is None for each in gradients)
    assert next(steps).part == "generator" and next(steps, None) is None


def test_every_update_of_the_critic_sees_a_batch_of_its_own_and_new_samples():
    module = MODELS.create("wgan", {**SMALL, "critic_steps": 3}, 0)
    seen = []
    module.critic.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().clone()))
    taken = [pair(step)[0] for step in range(3)]
    for _ in module.objectives(taken, 0, noise()):
        pass
    real, made = seen[0:6:2], [*seen[1:6:2], seen[6]]
    assert all(torch.equal(*each) for each in zip(real, taken, strict=True))
    assert all(not torch.equal(one, other) for one, other in itertools.combinations(made, 2))


def test_the_critic_learns_against_the_present_generator_and_not_its_average():
    module, _ = train("dcgan", SMALL, steps=3)
    seen = []
    module.critic.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    with torch.no_grad():
        for parameter in module.average.network.parameters():
            parameter.fill_(torch.nan)
    module.critic_loss(pair(0)[0], None, noise())
    generator = noise()
    torch.testing.assert_close(seen[1], module.generator(torch.randn(32, 2, generator=generator)).detach())


def test_two_time_scales_reach_the_optimiser():
    def moved(options):
        module = MODELS.create("dcgan", {**SMALL, **options}, 0)
        before = [next(part.parameters()).detach().clone() for part in (module.critic, module.generator)]
        list(fit(module, points, FitConfig(steps=1, learning_rate=1e-3), seed=0))
        after = [next(part.parameters()) for part in (module.critic, module.generator)]
        return [(new - old).abs().max().item() for new, old in zip(after, before, strict=True)]

    assert moved({}) == pytest.approx([1e-3, 1e-3], rel=1e-2)  # Adam's first step
    assert moved({"critic_rate": 4.0}) == pytest.approx([4e-3, 1e-3], rel=1e-2)


def test_images_in_another_range_or_shape_are_refused():
    module = MODELS.create("dcgan", TINY)
    with pytest.raises(ValueError, match=r"obs: -1 to 1; images must lie in \[0, 1\]"):
        list(module.objectives([torch.tensor([-1.0, 1.0]).repeat(2, 1, 16, 8)], 0, noise()))
    with pytest.raises(ValueError, match=r"points of shape \(4, 3\): expected \(B, 2\); set dimensions"):
        list(MODELS.create("dcgan", SMALL).objectives([torch.zeros(4, 3)], 0, noise()))


def test_the_critic_sees_images_in_the_generators_range():
    module = MODELS.create("dcgan", TINY, 0)
    seen = []
    module.critic.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    obs = next(pictures(0))
    module.critic_loss(obs, None, noise())
    torch.testing.assert_close(seen[0], 2 * obs - 1)
    assert seen[1].min() >= -1 and seen[1].max() <= 1 and seen[1].min() < 0  # tanh
    z = torch.randn(3, 4, generator=noise())
    torch.testing.assert_close(module.decode(z), (module.average(z) + 1) / 2)


@pytest.mark.slow
def test_labels_decide_what_a_conditional_gan_makes():
    def batches(start: int):
        return (pair(step, 64) for step in itertools.count(start))

    options = {**SMALL, "classes": 2, "width": 32, "ema": 0.9, "penalty": 1.0, "critic_steps": 2}
    module, _ = train("conditional-gan", options, batches, steps=150, rate=3e-3)
    z = torch.randn(100, 2, generator=noise())
    left, right = (module.decode(z, torch.full((100,), label)) for label in (0, 1))
    assert left[:, 0].mean() < -0.6 and right[:, 0].mean() > 0.6
    with pytest.raises(ValueError, match=r"labels: must be 0 to 1"):
        module.decode(z, torch.full((100,), 2))
    with pytest.raises(ValueError, match=r"expected \(data, labels\)"):
        list(module.objectives([pair(0)[0]] * 2, 0, noise()))
