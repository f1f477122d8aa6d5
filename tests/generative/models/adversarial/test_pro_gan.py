import itertools

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from generative import MODELS, FitConfig, component_bytes, fit
from generative.models.adversarial.pro_gan import FadeIn, ProGAN, ProGANConfig
from generative.networks.gan.equalised import EqualisedConv, EqualisedLinear, PixelNorm
from generative.networks.gan.growing import doubled
from generative.training.training_step import TrainingStep
from generative.training.variants import phases_of
from tests.generative.small_models import Held
from tests.operations import check_fixed

SMALL = {"image_size": 16, "channels": 1, "latent": 4, "width": 4, "batches": (6, 4), "rates": (1.0, 0.5)}


def make(**options):
    return MODELS.create("progan", {**SMALL, **options})


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


def fading(module, alpha, level=2):
    module.level, module.fading = level, True
    module.alpha.fill_(alpha)


def at(module, level, function):
    """What a smaller network, of this level, gives."""
    module.level, module.fading = level, False
    return function()


@pytest.mark.parametrize("level", [1, 2])
def test_a_level_fades_in_from_the_upsampled_smaller_network(level):
    module, side = make(), 4 * 2**level
    z, obs = torch.randn(3, 4, generator=noise()), torch.rand(3, 1, side, side, generator=noise(1))
    inside = 2 * obs - 1
    with torch.no_grad():
        small, large = (at(module, each, lambda: module._make(z)) for each in (level - 1, level))
        fading(module, 0.0, level)
        assert torch.equal(module._make(z), doubled(small))
        assert torch.equal(module._inside(obs), doubled(avg_pool2d(inside, 2)))
        halved = avg_pool2d(inside, 2)
        faint = module._score(inside)
        fading(module, 1.0, level)
        assert torch.equal(module._make(z), large) and torch.equal(module._inside(obs), inside)
        full = module._score(inside)
        assert torch.equal(full, at(module, level, lambda: module._score(inside)))
        assert torch.equal(faint, at(module, level - 1, lambda: module._score(halved)))
        fading(module, 0.25, level)
        torch.testing.assert_close(module._make(z), 0.75 * doubled(small) + 0.25 * large)
        torch.testing.assert_close(module._inside(obs), 0.75 * doubled(halved) + 0.25 * inside)
        assert not torch.equal(module._score(inside), faint)


def test_all_layers_are_equalised_and_every_rectified_pixel_is_normed():
    module = make()
    for network in (module.generator, module.critic):
        plain = [each for each in network.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
        assert not plain and sum(isinstance(each, EqualisedConv | EqualisedLinear) for each in network.modules()) > 8
    layers = list(module.generator.modules())
    follows = [layers[place + 1] for place, each in enumerate(layers[:-1]) if isinstance(each, nn.LeakyReLU)]
    assert len(follows) == 6 and all(isinstance(each, PixelNorm) for each in follows)
    seen = []
    module.generator.to_rgb[-1].register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    module.decode(torch.randn(2, 4, generator=noise())), module._make(torch.randn(2, 4, generator=noise()))
    torch.testing.assert_close(seen[-1].square().mean(1), torch.ones(2, 16, 16), rtol=1e-3, atol=1e-3)


def test_samples_come_from_averaged_weights():
    module, z = make(ema=0.9), torch.randn(3, 4, generator=noise())
    trained = list(itertools.islice(fit(module, images, FitConfig(steps=8), seed=0), 9))
    assert trained and not torch.equal(module.decode(z), module._outside(module._make(z)))
    module.generator.load_state_dict(module.average.network.state_dict())
    torch.testing.assert_close(module.decode(z), module._outside(module._make(z)))


@pytest.mark.parametrize("fade", [0.99, 1.0])
def test_a_fade_over_a_whole_phase_ends_with_it(fade):
    module, config = make(fade=fade), FitConfig(steps=12)
    ends = [each.first - 1 for each in module.phases(config)[1:]] + [11]
    for end in ends:
        module.variant(end, config)
        assert module.alpha == 1 and not module.fading
    module.variant(ends[-1] - 1, config)
    assert module.fading


def test_a_training_that_reaches_no_last_level_is_refused():
    assert len(make().phases(FitConfig(steps=3))) == 3
    with pytest.raises(ValueError, match="steps=2: each of the 3 levels"):
        make().phases(FitConfig(steps=2))


def test_phases_double_the_image_and_have_a_batch_and_a_rate_each():
    module, config = make(), FitConfig(steps=100)
    phases = phases_of(module, config)
    assert [phase[1:] for phase in phases] == [(6, 4, 1.0), (4, 8, 0.5), (4, 16, 0.5)]
    lengths = [after - before for before, after in itertools.pairwise([*(each.first for each in phases), 100])]
    seen = [length * phase.batch for length, phase in zip(lengths, phases, strict=True)]
    assert seen[1] == pytest.approx(2 * seen[0], rel=0.05) and seen[2] == pytest.approx(seen[1], rel=0.05)
    step = TrainingStep(module, FitConfig(steps=100, learning_rate=0.01), torch.device("cpu"))
    for number, rate in ((0, 0.01), (phases[1].first, 0.005)):
        side = phases_of(module, config)[number > 0].resolution
        step(number, 0, [torch.rand(4, 1, side, side)])
        assert step.optimisers["critic"].param_groups[0]["lr"] == pytest.approx(rate)


def test_alpha_rises_over_the_first_half_of_a_phase_and_the_last_step_is_whole():
    module, config = make(), FitConfig(steps=100)
    variants = [(*module.variant(step, config), module.alpha.item()) for step in range(100)]
    for level in (1, 2):
        alphas = [alpha for each, _, alpha in variants if each == level]
        half = len(alphas) // 2
        assert alphas[0] == 0 and alphas[half // 2] == pytest.approx(0.5, abs=0.05)
        assert alphas == sorted(alphas) and set(alphas[half + 1 :]) == {1.0} and 1.0 not in alphas[: half - 1]
    assert all(fading == (alpha < 1) for _, fading, alpha in variants)
    assert {level for level, *_ in variants} == {0, 1, 2} and variants[-1] == (2, False, 1.0)
    abrupt = make(fade=0.0)
    assert not any(abrupt.variant(step, config)[1] for step in range(100))


def images(start, phase):
    for seed in itertools.count(start):
        yield torch.rand(phase.batch, 1, phase.resolution, phase.resolution, generator=noise(seed))


@pytest.mark.slow
@pytest.mark.parametrize("killed", [6, 14])
def test_a_training_killed_in_a_fade_ends_with_the_same_weights(killed, tmp_path):
    def run(stop, folder=None):
        module = make()
        rows = fit(module, images, FitConfig(steps=20, learning_rate=0.01), seed=1, checkpoint=folder, log_every=1)
        return module, list(itertools.islice(rows, stop))

    whole, rows = run(21)
    cut, _ = run(killed, tmp_path)
    assert cut.fading and 0 < cut.alpha < 1
    resumed, later = run(21, tmp_path)
    assert later[0]["step"] == killed - 1  # the row after the checkpoint that was left
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())
    for row in (*rows, *later):
        row.pop("samples_per_second")
    assert rows[killed - 2 :] == later


@pytest.mark.slow
def test_steps_of_a_fade_are_the_same_operations(monkeypatch):
    class Fading(ProGAN):
        """Begins where its last level does."""

        fixed_step = True

        def variant(self, step, fit):
            return super().variant(self.phases(fit)[-1].first + 1 + step, fit)

    batches = (torch.rand(4, 1, 16, 16, generator=noise(seed)) for seed in itertools.count())
    module = Fading(ProGANConfig(**SMALL))
    check_fixed(monkeypatch, module, batches)
    assert module.fading and module.level == 2


def test_samples_have_the_full_size_at_every_level_and_growing_is_not_shipped():
    module = make().eval()
    for level in (0, 1, 2):
        module.level = level
        made = module.decode(torch.randn(2, 4, generator=noise()))
        block = 16 // (4 * 2**level)
        assert made.shape == (2, 1, 16, 16)
        assert torch.equal(made, made[:, :, ::block, ::block].repeat_interleave(block, 2).repeat_interleave(block, 3))
    assert "alpha" not in module.state_dict() and "alpha" in dict(module.named_buffers())
    assert b"alpha" not in component_bytes(module)["weights"]


def test_the_drift_term_draws_scores_of_real_images_to_0():
    plain, drawn = make(drift=0.0), make(drift=2.0)
    obs = torch.rand(4, 1, 16, 16, generator=noise())
    real = plain._score(plain._inside(obs))
    losses = [module.critic_loss(obs, None, noise())[0] for module in (plain, drawn)]
    torch.testing.assert_close(losses[1] - losses[0], 2 * real.square().mean())


def test_the_film_grows_level_by_level():
    module = make().eval()
    made = FadeIn(columns=2, frames=4).show(module, Held(module), 0)
    assert made.frames.shape == (1 + 2 * 5, 1, 2, 1, 16, 16)
    assert made.captions[0] == "4 px, alpha 1.00" and made.captions[-1] == "16 px, alpha 1.00"
    torch.testing.assert_close(made.frames[0], made.frames[1])  # a level begins as the one before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 24}, "image_size=24: is doubled from 4"),
        ({"batches": ()}, "batches="),
        ({"rates": (0.0,)}, "rates="),
        ({"fade": 2.0}, "fade=2.0"),
        ({"drift": -1.0}, "drift=-1.0"),
    ],
)
def test_a_senseless_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
