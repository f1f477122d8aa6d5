import itertools

import pytest
import torch

from generative import MODELS, FitConfig, component_bytes, fit
from generative.capabilities import draw
from generative.core.storage import component_from_bytes
from generative.models.adversarial.big_gan import TruncationDial
from generative.models.adversarial.sagan import AttentionMaps
from generative.objectives.adversarial import orthogonal_penalty
from generative.sampling.truncation import TruncatedSampling, truncated_normal
from tests.generative.small_models import Held

SMALL = {"image_size": 16, "channels": 1, "latent": 6, "width": 4, "attention": 8, "classes": 3}


def make(name="sagan", **options):
    return MODELS.create(name, {**SMALL, **options})


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


def labelled(start, n=6):
    for seed in itertools.count(start):
        labels = torch.arange(n) % 3
        yield 0.3 * labels[:, None, None, None] + 0.3 * torch.rand(n, 1, 16, 16, generator=noise(seed)), labels


def trained(module, steps):
    for _ in fit(module, labelled, FitConfig(steps=steps, learning_rate=1e-3), seed=0, log_every=steps):
        pass
    return module


@pytest.mark.slow
def test_every_weight_of_both_networks_has_spectral_norm_1_after_training():
    module = trained(make("biggan", critic_steps=1), 40)
    seen = 0
    for network in (module.generator, module.critic):
        for layer in network.modules():
            if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
                assert torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2) <= 1.05, layer
                assert layer.parametrizations.weight
                seen += 1
        for key, each in network.named_parameters():  # there is no matrix without it
            assert each.ndim < 2 or key.endswith("parametrizations.weight.original")
    assert seen > 20


def test_the_critic_learns_faster_and_the_loss_is_the_hinge():
    module = make()
    assert module.parts["critic"].rate == 4 * module.parts["generator"].rate
    images, labels = next(labelled(0))
    module.eval()  # spectral norm and batch norm stay as they are
    loss, _ = module.critic_loss(images, labels, noise())
    with torch.no_grad():
        made = module._make(module._latents(6, noise()), labels)
        real_scores, made_scores = module._score(2 * images - 1, labels), module._score(made, labels)
    torch.testing.assert_close(loss.detach(), (1 - real_scores).relu().mean() + (1 + made_scores).relu().mean())
    wanted, _ = module.generator_loss(6, labels, noise())
    torch.testing.assert_close(wanted.detach(), -made_scores.mean())
    assert made.abs().max() <= 1


def test_maps_show_where_a_place_looks():
    module = make().eval()
    made = AttentionMaps(rows=3, places=2).show(module, Held(module), 0)
    assert made.images.shape == (3, 3, 3, 16, 16)
    red = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
    for column, mark in ((1, 2), (2, 6)):
        assert list(made.columns)[column] == f"from {mark}, {mark}"
        assert (made.images[:, column, :, 2 * mark : 2 * mark + 2, 2 * mark : 2 * mark + 2] == red).all()
    assert not torch.equal(made.images[:, 1], made.images[:, 2])
    with pytest.raises(ValueError, match="attention=0"):
        AttentionMaps().show(make(attention=0).eval(), Held(module), 0)


def test_the_orthogonal_penalty_ignores_the_diagonal():
    rows = torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.2, 0.0]])
    assert orthogonal_penalty([rows, torch.ones(5)]) == 0  # lengths are free
    leaning = torch.tensor([[1.0, 0.0], [0.5, 2.0]])
    assert orthogonal_penalty([leaning]) == pytest.approx(2 * 0.5**2)
    plain, paid = (make("biggan", orthogonal=weight) for weight in (0.0, 2.0))
    labels = torch.arange(6) % 3
    loss, metrics = paid.generator_loss(6, labels, noise())
    torch.testing.assert_close(loss - plain.generator_loss(6, labels, noise())[0], 2 * metrics["orthogonal"])
    with torch.no_grad():  # the embedding is left out
        for each in paid.generator.embedding.parameters():
            each.mul_(3)
    torch.testing.assert_close(paid.generator_loss(6, labels, noise())[1]["orthogonal"], metrics["orthogonal"])


@pytest.mark.slow
def test_standing_statistics_change_samples_and_are_saved():
    module = trained(make("biggan", standing=4), 4)
    before, weights = draw(module, 4, noise()), module.state_dict()
    learned = {name: each.clone() for name, each in weights.items() if "running" not in name and "num_b" not in name}
    module.estimate(labelled(0), noise(1))
    after = draw(module, 4, noise())
    assert not torch.equal(before, after) and not module.average.training
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in learned.items())
    norm = module.average.network.blocks[0].first.norm
    seen = []
    hook = norm.register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    module.estimate(labelled(0), noise(1))
    hook.remove()
    assert len(seen) == 4 and norm.momentum == 0.1
    torch.testing.assert_close(norm.running_mean, torch.stack([each.mean((0, 2, 3)) for each in seen]).mean(0))
    loaded = component_from_bytes(component_bytes(module), MODELS)
    assert torch.equal(draw(loaded, 4, noise()), after)
    still = trained(make("biggan", standing=0), 2)
    kept = draw(still, 4, noise())
    still.estimate(labelled(0), noise(1))
    assert torch.equal(draw(still, 4, noise()), kept)


def test_truncation_0_is_one_image_a_class_and_more_is_more_various():
    module = make("biggan").eval()
    made = module.sample(6, TruncatedSampling(0.0), noise())
    torch.testing.assert_close(made[:3], made[3:])
    assert not torch.allclose(made[0], made[1])
    alone = make("biggan", conditional=False).eval().sample(4, TruncatedSampling(0.0), noise())
    torch.testing.assert_close(alone, alone[:1].expand(4, -1, -1, -1))
    dial = TruncationDial(rows=2, steps=3).show(module, Held(module), 0)
    assert list(dial.columns) == ["0.00", "1.50", "3.00"] and dial.images.shape == (2, 3, 1, 16, 16)


@pytest.mark.parametrize("threshold", [0.5, 1.0, 2.0])
def test_latents_are_those_of_the_normal_within_the_threshold(threshold):
    drawn = truncated_normal((100_000,), threshold, noise())
    whole = torch.randn(400_000, generator=noise(1))
    kept = whole[whole.abs() <= threshold]
    assert drawn.abs().max() <= threshold and drawn.std().item() == pytest.approx(kept.std().item(), rel=0.01)
    quantiles = torch.linspace(0.05, 0.95, 10)
    torch.testing.assert_close(drawn.quantile(quantiles), kept[:100_000].quantile(quantiles), rtol=0, atol=0.02)
    assert not truncated_normal((5,), 0.0, noise()).any()


def test_gradients_of_several_batches_make_one_update():
    """Two batches of the critic and two of the generator, and each part moves once for each of its updates."""
    module = make("biggan", accumulation=2, critic_steps=1)
    assert module.batches_per_step == 2
    stream = labelled(0)
    served = [each.part for each in module.objectives([next(stream), next(stream)], 0, noise())]
    assert served == ["critic", "critic", "generator", "generator"]
    assert {part.accumulation for part in module.parts.values()} == {2}
    trained(module, 1)
    assert module.average.updates == 2  # one more
    three = make("biggan", accumulation=2, critic_steps=3)
    assert three.batches_per_step == 6


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sagan", {"attention": 16}, "attention=16: give one of 8, or 0"),
        ("biggan", {"latent": 2}, "latent=2: is cut into 3"),
        ("biggan", {"orthogonal": -1.0}, "orthogonal=-1.0"),
        ("biggan", {"accumulation": 0}, "accumulation=0"),
    ],
)
def test_a_senseless_option_is_refused_by_name(name, options, message):
    with pytest.raises(ValueError, match=message):
        make(name, **options)
    with pytest.raises(ValueError, match="truncation=5"):
        TruncatedSampling(5.0)
