import itertools

import pytest
import torch

from generative import MODELS, FitConfig, component_bytes, fit
from generative.models.adversarial.style_gan import StyleSampling
from generative.models.adversarial.style_views import NoiseStrip, StyleMixing, Truncation
from tests.generative.small_models import Held

SMALL = {"image_size": 16, "channels": 3, "latent": 4, "width": 4, "styles": 8, "mapping": 2}


def make(**options):
    return MODELS.create("stylegan", {**SMALL, **options})


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


def images(start, n=4):
    for seed in itertools.count(start):
        yield torch.rand(n, 3, 16, 16, generator=noise(seed))


def served(module, step):
    return [each.name or each.part for each in module.objectives([next(images(0))], step, noise())]


def test_penalties_come_at_their_own_intervals_and_weigh_as_much_more():
    module = make(r1_every=4, path_every=3)
    assert served(module, 0) == ["critic", "generator", "r1", "path"]
    assert [served(module, step)[2:] for step in (1, 3, 4, 12)] == [[], ["path"], ["r1"], ["r1", "path"]]
    assert {module.variant(step, FitConfig()) for step in range(12)} == set(itertools.product((True, False), repeat=2))
    losses = []
    for every in (1, 8):
        found = {each.name: each for each in make(r1_every=every).objectives([next(images(0))], 0, noise())}
        losses.append(found["r1"].loss)
        torch.testing.assert_close(found["r1"].loss, every * found["r1"].metrics["r1"])
    torch.testing.assert_close(losses[1], 8 * losses[0])
    assert served(make(r1=0.0, path=0.0), 0) == ["critic", "generator"]


def test_a_lazy_penalty_makes_the_other_updates_smaller():
    """Adam's state and step are those of k updates where there are k + 1 (StyleGAN2, appendix B)."""
    parts = make(r1_every=16, path_every=4, momentum=0.5, second_moment=0.99).parts
    assert parts["critic"].rate == pytest.approx(16 / 17)
    assert parts["critic"].betas == pytest.approx((0.5 ** (16 / 17), 0.99 ** (16 / 17)))
    assert parts["generator"].rate == pytest.approx(0.8)
    assert make(path=0.0).parts["generator"].betas == (0.0, 0.99)


def test_averages_follow_the_last_update_of_a_step():
    module = make(ema=0.0, path_every=1, r1_every=1)
    z = torch.randn(3, 4, generator=noise())
    for _ in fit(module, images, FitConfig(steps=1, learning_rate=0.01), seed=0):
        pass
    torch.testing.assert_close(module.decode(z), module._outside(module._make(z)), rtol=0, atol=0)


def test_the_path_length_is_that_of_the_jacobian_and_its_mean_follows():
    module = make(image_size=8, styles=3, path_decay=0.25, mixing=0.0)
    ws = module._styles(2, None, noise(1)).detach()
    jacobian = torch.autograd.functional.jacobian(lambda each: module.generator(each[None])[0], ws[0])
    y = torch.randn(2, 3, 8, 8, generator=noise(2)) / 8
    sums = torch.einsum("chw,chwls->ls", y[0], jacobian)
    (slope,) = torch.autograd.grad((module.generator(ws.requires_grad_()) * y).sum(), ws)
    torch.testing.assert_close(slope[0], sums, rtol=1e-4, atol=1e-5)
    module.path_mean.fill_(2.0)
    random = noise(1)
    ws = module._styles(2, None, random)
    made = module.generator(ws, module._noise(2, random))
    y = torch.randn(made.shape, generator=random) / 8
    (slope,) = torch.autograd.grad((made * y).sum(), ws)
    lengths = slope.square().sum(2).mean(1).sqrt()
    penalty = module.path_penalty(2, None, noise(1))
    mean = 0.75 * 2.0 + 0.25 * lengths.mean()
    torch.testing.assert_close(module.path_mean, mean)
    torch.testing.assert_close(penalty, (lengths - mean).square().mean())


def test_truncation_0_is_one_image_and_1_leaves_styles_as_they_are():
    module = make().eval()
    module.average.network.mean.fill_(0.3)
    one = module.sample(4, StyleSampling(truncation=0.0, noise="none"), noise())
    assert torch.equal(one, one[:1].expand(4, -1, -1, -1))
    torch.testing.assert_close(one[:1], module.paint(torch.full((1, 5, 8), 0.3)))
    z = torch.randn(3, 4, generator=noise())
    whole, half = module.styles(z), module.styles(z, truncation=0.5)
    torch.testing.assert_close(half, 0.5 * whole + 0.15)
    assert torch.equal(module.paint(whole), module.decode(z))
    spread = [module.styles(z, truncation=each).std(0).mean() for each in (0.0, 0.5, 1.0)]
    assert spread[0] < spread[1] < spread[2]


def test_noise_is_drawn_for_each_sample_or_left_out():
    module, drawn = make().eval(), {}
    for layer in module.average.network.synthesis.layers:
        layer.noise.fill_(0.5)
    for dial in ("random", "none"):
        drawn[dial] = module.sample(3, StyleSampling(noise=dial), noise())
    assert torch.equal(drawn["none"], module.decode(torch.randn(3, 4, generator=noise())))
    one = module.sample(2, StyleSampling(truncation=0.0), noise())
    assert not torch.equal(drawn["random"], drawn["none"]) and not torch.equal(one[0], one[1])


def test_the_mean_style_follows_the_training_and_is_shipped():
    module = make(mean_decay=0.5, mixing=0.0)
    w = module._styles(6, None, noise())[:, 0].mean(0)
    torch.testing.assert_close(module.generator.mean, 0.5 * w)
    for _ in fit(module, images, FitConfig(steps=2), seed=0):
        pass
    assert torch.equal(module.average.network.mean, module.generator.mean) and module.generator.mean.any()
    before = module.generator.mean.clone()
    module._styles(4, None, noise())
    assert torch.equal(module.generator.mean, before)  # only while it is trained


def test_styles_are_mixed_at_a_random_layer():
    never, always = (make(mixing=each)._styles(200, None, noise()) for each in (0.0, 1.0))
    assert torch.equal(never, never[:, :1].expand(-1, 5, -1))
    changes = (always[:, 1:] != always[:, :-1]).any(2)
    assert (changes.sum(1) == 1).all()  # once in every image, so that each latent has a layer
    assert (changes.float().mean(0) > 0.1).all()  # anywhere
    assert torch.equal(always[:, 0], never[:, 0])


def test_late_styles_recolour_what_early_ones_have_placed():
    """In an untrained network already. After training early styles may decide colour as well."""
    torch.manual_seed(0)
    module = make(width=16, styles=32, mixing=0.0).eval()
    w = module.average.network.styles(torch.randn(64, 4, generator=noise()), None)
    w = 3 * torch.randn(w.shape, generator=noise())
    base, other = w[:32, None].repeat(1, 5, 1), w[32:, None]
    early, late = base.clone(), base.clone()
    early[:, :2], late[:, 3:] = other, other

    def changed(mixed, side):
        """How much of what images of this size show is another than before, without their mean colour."""
        pictures = [torch.nn.functional.adaptive_avg_pool2d(module.generator(each), side) for each in (base, mixed)]
        before, after = (each - each.mean((2, 3), keepdim=True) if side > 1 else each for each in pictures)
        return ((after - before).square().sum() / before.square().sum()).item()

    assert changed(early, 4) > 2 * changed(late, 4)
    assert changed(late, 1) > 0.05
    maps = {}
    for place, layer in enumerate(module.generator.synthesis.layers):
        layer.register_forward_hook(lambda module, given, out, place=place: maps.setdefault(place, []).append(out))
    for each in (base, late, early):
        module.generator(each)
    same = [[torch.equal(first, one) for one in others] for first, *others in maps.values()]
    assert same == [[place < 3, False] for place in range(5)]  # late styles leave the maps before them as they were


@pytest.mark.slow
@pytest.mark.parametrize("killed", [4, 6])
def test_a_training_killed_between_penalties_ends_with_the_same_weights(killed, tmp_path):
    def run(stop, folder=None):
        module = make(r1_every=4, path_every=3)
        rows = fit(module, images, FitConfig(steps=8), seed=1, checkpoint=folder, log_every=1)
        return module, list(itertools.islice(rows, stop))

    whole, rows = run(9)
    run(killed, tmp_path)
    resumed, later = run(9, tmp_path)
    assert later[0]["step"] == killed and whole.path_mean > 0
    assert torch.equal(whole.path_mean, resumed.path_mean)
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())
    for row in (*rows, *later):
        row.pop("samples_per_second")
    assert rows[killed - 1 :] == later


def test_the_mean_path_is_not_shipped_and_the_mean_style_is():
    weights = component_bytes(make())["weights"]
    assert b"path_mean" not in weights and b"generator.mean" in weights


def test_views_put_styles_in_a_matrix_and_noise_beside_none():
    module = make().eval()
    module.average.network.mean.normal_(generator=noise())
    made = StyleMixing(rows=2, columns=3, first=0, last=4, truncation=1.0).show(module, Held(module), 0).images
    assert made.shape == (3, 4, 3, 16, 16)
    for row in (1, 2):  # all styles from above: the images of the top row
        torch.testing.assert_close(made[row, 1:], made[0, 1:])
    kept = StyleMixing(rows=2, columns=3, first=4, last=4, truncation=1.0).show(module, Held(module), 0).images
    assert torch.equal(kept[:, 0], made[:, 0]) and not torch.allclose(kept[1, 1:], made[0, 1:])
    with pytest.raises(ValueError, match="last=5: this model has layers 0 to 4"):
        StyleMixing(last=5).show(module, Held(module), 0)
    dial = Truncation(rows=2, steps=3, most=2.0).show(module, Held(module), 0)
    assert torch.equal(dial.images[0, 0], dial.images[1, 0]) and list(dial.columns) == ["0.00", "1.00", "2.00"]
    still = NoiseStrip(rows=2, draws=2).show(module, Held(module), 0).images
    assert still[:, -1].max() == 0  # the strength of noise is 0 at the start
    for layer in module.average.network.synthesis.layers:
        layer.noise.fill_(0.5)
    assert NoiseStrip(rows=2, draws=2).show(module, Held(module), 0).images[:, -1].max() > 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mapping": 0}, "mapping=0"),
        ({"r1_every": 0}, "r1_every=0"),
        ({"mixing": 1.5}, "mixing=1.5"),
        ({"mapping_rate": 0.0}, "mapping_rate=0.0"),
    ],
)
def test_a_senseless_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
    with pytest.raises(ValueError, match="truncation=-1"):
        StyleSampling(truncation=-1.0)


@pytest.mark.parametrize(("view", "dial"), [(Truncation, "most"), (StyleMixing, "truncation"), (NoiseStrip, "gain")])
@pytest.mark.parametrize("value", [float("nan"), -5.0])
def test_a_senseless_dial_of_a_view_is_refused_by_name(view, dial, value):
    with pytest.raises(ValueError, match=f"{dial}="):
        view(**{dial: value})


def test_latents_and_labels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"latents of shape \(2, 5\): expected \(B, 4\)"):
        make().decode(torch.randn(2, 5))
    with pytest.raises(ValueError, match="told no classes"):
        make().decode(torch.randn(2, 4), torch.tensor([0, 1]))
    told = make(conditional=True, classes=3)
    for labels, said in ((None, "missing"), (torch.tensor([0]), "1 for 2")):
        with pytest.raises(ValueError, match=f"labels: {said}"):
            told._condition(labels, torch.randn(2, 4))
