"""Each view shows what its name says: the images are those that the model makes under these dials."""

import pytest
import torch

from generative.core.views import Film, Picture
from generative.latent.views import views_of
from generative.models.diffusion.diffusion import Diffusion, DiffusionConfig
from generative.models.diffusion.flow_matching import FlowMatching, FlowMatchingConfig
from generative.models.diffusion.views import Guidance, NoiseInterpolation, NoiseToImage, Redraw, StepCounts
from generative.sampling.denoising import DiffusionSampling
from tests.generative.models.shapes import squares

SIZES = {"image_size": 16, "channels": 1, "widths": (8, 8), "blocks": 1, "attention": 0}


class Source:
    """Of a conditional model, and held-out squares."""

    classes = ("a", "b", "c")

    def names(self, field):
        return ()

    def codes(self, count, seed):
        raise AssertionError("there are no codes")

    def held_out(self, count):
        return squares(count, 0), torch.arange(count) % 3

    def attributes(self):
        return {}


def model(**options):
    torch.manual_seed(0)
    return Diffusion(DiffusionConfig(**{**SIZES, "conditional": True, "classes": 3, **options})).eval()


def noise(seed):
    return torch.Generator().manual_seed(seed)


def points():
    torch.manual_seed(0)
    sizes = {"layout": "points", "widths": (8,), "blocks": 1}
    return FlowMatching(FlowMatchingConfig(**sizes)).eval()


def test_step_counts_share_their_noise():
    made = StepCounts(counts=(1, 4), images=3).show(model(), Source(), 7)
    assert isinstance(made, Picture) and made.images.shape == (3, 2, 1, 16, 16) and list(made.columns) == ["1", "4"]
    few = model().sample(3, DiffusionSampling(steps=1), noise(7))
    assert torch.equal(made.images[:, 0], few) and not torch.equal(made.images[:, 1], few)


@pytest.mark.parametrize("make", [model, points])
def test_a_film_goes_from_noise_to_the_sample(make):
    module = make()
    made = NoiseToImage(steps=5, images=3).show(module, Source(), 7)
    assert isinstance(made, Film) and len(made.frames) == len(made.captions) == 5
    assert made.frames.shape[1] == 2 and made.frames.min() >= 0 and made.frames.max() <= 1
    assert not torch.equal(made.frames[0, 0], made.frames[-1, 0])
    if make is model:
        drawn = module.sample(3, DiffusionSampling(steps=5), noise(7))
        assert torch.equal(made.frames[-1, 1], drawn)


def test_an_interpolation_begins_and_ends_with_samples_of_its_noises():
    made = NoiseInterpolation(pairs=2, steps=5, denoising=3).show(model(), Source(), 7)
    assert made.images.shape == (2, 5, 1, 16, 16)
    start = model().noise(4, noise(7))
    labels = torch.tensor([0, 1, 0, 1])
    ends = model().denoise(start, DiffusionSampling(steps=3), noise(0), labels)
    torch.testing.assert_close(made.images[:, 0], ends[:2], rtol=0, atol=1e-4)
    torch.testing.assert_close(made.images[:, -1], ends[2:], rtol=0, atol=1e-4)


def test_guidance_has_a_row_for_each_class():
    made = Guidance(strengths=(0.0, 1.0, 5.0), steps=3).show(model(), Source(), 7)
    assert made.images.shape == (3, 3, 1, 16, 16) and list(made.rows) == ["a", "b", "c"]
    plain = model().sample(3, DiffusionSampling(steps=3), noise(7))
    assert torch.equal(made.images[:, 1], plain) and not torch.equal(made.images[:, 2], plain)


def test_redrawn_images_stand_beside_the_given_ones():
    made = Redraw(strengths=(0.1, 1.0), images=3, steps=3).show(model(), Source(), 7)
    assert torch.equal(made.images[:, 0], squares(3, 0)) and list(made.columns) == ["given", "0.1", "1"]
    away = (made.images - made.images[:, :1]).abs().flatten(2).mean((0, 2))
    assert away[1] < away[2]


def test_a_model_has_the_views_that_can_show_it():
    assert set(views_of(model())) == {"step-counts", "noise-to-image", "noise-interpolation", "redraw", "guidance"}
    assert set(views_of(model(conditional=False))) == set(views_of(model())) - {"guidance"}
    assert set(views_of(points())) == {"step-counts", "noise-to-image"}


@pytest.mark.parametrize(
    ("view", "options"),
    [
        (StepCounts, {"counts": ()}),
        (StepCounts, {"images": 0}),
        (NoiseToImage, {"fps": 0}),
        (NoiseInterpolation, {"steps": 1}),
        (Guidance, {"strengths": (-1.0,)}),
    ],
)
def test_senseless_dials_are_refused(view, options):
    with pytest.raises(ValueError, match=r"steps=|images=0|fps=0|guidance=-1"):
        view(**options)
