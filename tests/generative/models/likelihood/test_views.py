import pytest
import torch

from generative.latent.views import views_of
from generative.models.likelihood.energy import Energy, EnergyConfig
from generative.models.likelihood.real_nvp import RealNVP, RealNVPConfig
from generative.models.likelihood.views import Density, LangevinFilm, LatentToData, Temperature
from generative.report.clouds import cloud


class Source:
    classes = ()

    def names(self, field):
        return ()

    def codes(self, count, seed):
        raise AssertionError("these views need no codes")

    def held_out(self, count):
        return (torch.randn(count, 2, generator=torch.Generator().manual_seed(5)),)

    def attributes(self):
        return {}


def flow(**options):
    torch.manual_seed(0)
    usual = {"layout": "points", "couplings": 3, "width": 8, "hidden": 1}
    return RealNVP(RealNVPConfig(**{**usual, **options})).eval()


def energy(**options):
    torch.manual_seed(0)
    return Energy(
        EnergyConfig(**{"layout": "points", "width": 8, "replay": 8, "step": 0.1, "clip": 0.0, **options})
    ).eval()


def drawn(seed):
    return torch.randn(4000, 2, generator=torch.Generator().manual_seed(seed))


def test_the_density_is_darkest_where_it_is_highest():
    module = flow()
    made = Density().show(module, Source(), 7)
    assert made.images.shape == (1, 3, 3, 96, 96) and made.images.min() >= 0 and made.images.max() <= 1
    red = made.images[0, 0, 0]
    row, column = divmod(int(red.argmin()), 96)
    peak = torch.tensor([[column - 47.5, 47.5 - row]]) / 48 * 3
    others = torch.tensor([[2.5, 2.5], [-2.5, 2.5], [2.5, -2.5]])
    assert (module.log_prob(peak) > module.log_prob(others)).all()
    assert Density().show(energy(), Source(), 7).images.shape == (1, 3, 3, 96, 96)


def test_noise_becomes_data_layer_by_layer():
    made = LatentToData().show(flow(), Source(), 7)
    assert made.images.shape == (1, 4, 3, 96, 96) and list(made.columns) == ["noise", "1", "2", "3"]
    # Without the colours the last one is the cloud of the decoded noise.
    data = flow().decode(drawn(7))
    assert torch.equal(made.images[0, -1].sum(0) < 3, cloud(data, 3.0).sum(0) < 3)
    assert (made.images[0, 0] - made.images[0, -1]).abs().max() > 0.1


def test_temperature_0_is_one_image_and_1_a_sample():
    module = flow(layout="convolutions", image_size=8, scales=1)
    made = Temperature(temperatures=(0.0, 1.0), images=3).show(module, Source(), 7)
    assert made.images.shape == (3, 2, 1, 8, 8)
    assert (made.images[:, 0] == made.images[0, 0]).all()
    assert torch.equal(made.images[:, 1], module.sample(3, module.Sampling(), torch.Generator().manual_seed(7)))
    assert Temperature().show(flow(), Source(), 7).images.shape == (1, 6, 3, 96, 96)


def test_a_film_of_walks_ends_with_the_samples_and_leaves_the_replay():
    module = energy(layout="convolutions", image_size=16, width=4, walk=2)
    made = LangevinFilm(steps=7, every=3, images=10).show(module, Source(), 7)
    assert made.frames.shape == (4, 2, 8, 1, 16, 16)
    assert list(made.captions) == ["step 0", "step 3", "step 6", "step 7"]
    end = module.sample(10, module.Sampling(7), torch.Generator().manual_seed(7))
    assert torch.equal(made.frames[-1].flatten(0, 1)[:10], end) and (made.frames[:, 1, 2:] == 1).all()
    assert not module.replay.any()


def test_a_model_has_the_views_that_can_show_it():
    assert set(views_of(flow())) == {"temperature", "density", "latent-to-data"}
    assert set(views_of(flow(dimensions=3))) == {"temperature"}
    assert {"temperature", "interpolation"} < set(views_of(flow(layout="convolutions", image_size=8, scales=1)))
    assert set(views_of(energy())) == {"langevin", "density"}
    assert set(views_of(energy(layout="convolutions", image_size=16))) == {"langevin"}


@pytest.mark.parametrize(
    ("view", "options"),
    [
        (Density, {"reach": 0.0}),
        (Temperature, {"images": 0}),
        (Temperature, {"temperatures": (-1.0,)}),
        (LangevinFilm, {"every": 0}),
    ],
)
def test_senseless_dials_are_refused(view, options):
    with pytest.raises(ValueError, match=r"reach=0|images=0|temperature=-1|every=0"):
        view(**options)
