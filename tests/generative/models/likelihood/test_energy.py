import itertools

import pytest
import torch

from generative import MODELS, FitConfig, component_bytes, component_from_bytes, fit
from generative.models.likelihood.energy import Energy, EnergyConfig, LangevinSampling
from generative.training.checkpoint import training_state
from tests.generative.models.shapes import squares

SMALL = {"image_size": 16, "channels": 1, "width": 4, "walk": 4, "replay": 48}


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(**options) -> Energy:
    torch.manual_seed(0)
    return Energy(EnergyConfig(**{**SMALL, **options}))


def stream(start: int):
    return (squares(16, step) for step in itertools.count(start))


def trained(steps: int, checkpoint=None, **options) -> Energy:
    module = made(**options)
    list(fit(module, stream, FitConfig(steps=steps, learning_rate=1e-3), seed=1, checkpoint=checkpoint))
    return module


def test_a_resumed_training_has_the_replay_of_an_uninterrupted_one(tmp_path):
    whole = trained(8)
    assert whole.filled.all()  # filled before the training is cut
    uninterrupted = {**whole.state_dict(), **training_state(whole)}
    trained(6, tmp_path)
    resumed = trained(8, tmp_path)
    for name, each in {**resumed.state_dict(), **training_state(resumed)}.items():
        assert torch.equal(each, uninterrupted[name]), name


def test_the_replay_is_no_part_of_the_component():
    module = trained(3)
    assert set(training_state(module)) == {"replay", "filled"} and module.replay.any()
    assert not any("replay" in name or "filled" in name for name in module.state_dict())
    shipped = component_from_bytes(component_bytes(module), MODELS)
    assert not shipped.replay.any()
    assert torch.equal(shipped.eval().energy(squares(4, 0)), module.energy(squares(4, 0)))


def test_sampling_never_changes_the_replay_or_the_weights():
    module = trained(3)
    before = {name: each.clone() for name, each in {**module.state_dict(), **training_state(module)}.items()}
    module.sample(20, LangevinSampling(steps=5), noise())
    list(module.walk(4, LangevinSampling(steps=5), noise()))
    module.energy(squares(4, 0))
    for name, each in {**module.state_dict(), **training_state(module)}.items():
        assert torch.equal(each, before[name]), name


def test_walks_go_on_from_the_replay_but_for_a_share():
    for fresh, share in ((0.0, 1.0), (0.25, 0.75), (1.0, 0.0)):
        module = made(replay=400, fresh=fresh)
        module.replay.fill_(0.123)
        places, start = module._starts(400, noise())
        assert sorted(places.tolist()) == list(range(400))
        assert start.min() < -0.9  # nothing is kept where nothing was put yet
        module.filled.fill_(True)
        _, start = module._starts(400, noise())
        assert (start == 0.123).flatten(1).all(1).float().mean().item() == pytest.approx(share, abs=0.07)


def test_what_a_step_walks_to_is_what_the_replay_keeps():
    module = made(fresh=0.0, step=0.0, noise=0.0)  # walks that stand still
    list(module.objectives([squares(16, 0)], 0, noise(3)))
    places, _ = module._starts(16, noise(3))
    assert module.filled.sum() == 16 and module.filled[places].all()
    assert (module.replay[places].flatten(1).std(1) > 0.3).all() and not module.replay[~module.filled].any()
    kept = module.replay.clone()
    module.filled.fill_(True)
    list(module.objectives([squares(16, 1)], 1, noise(4)))
    assert torch.equal(module.replay, kept)


@pytest.mark.slow
def test_energies_are_held_near_0_by_their_squares():
    size = {}
    for weight in (0.0, 1.0):
        module = trained(60, regularisation=weight)
        size[weight] = module.energy(squares(64, 10**6)).abs().mean().item()
    assert size[1.0] < 0.5 * size[0.0]


def test_a_batch_larger_than_the_replay_is_refused():
    with pytest.raises(ValueError, match="replay=8: a batch has 16"):
        list(made(replay=8).objectives([squares(16, 0)], 0, noise()))


def bells(n: int, seed: int) -> torch.Tensor:
    """Points from two Gaussians at (-1.5, 0) and (1.5, 0), deviation 0.3."""
    centres = torch.tensor([[-1.5, 0.0], [1.5, 0.0]])[torch.randint(0, 2, (n,), generator=noise(2 * seed))]
    return centres + 0.3 * torch.randn(n, 2, generator=noise(2 * seed + 1))


@pytest.mark.long
@pytest.mark.slow
def test_the_energy_of_points_is_low_where_they_lie_and_samples_go_there():
    torch.manual_seed(0)
    options = {"layout": "points", "width": 32, "walk": 15, "step": 0.02, "noise": 0.1414, "clip": 0.0, "replay": 1000}
    module = Energy(EnergyConfig(**options, regularisation=0.001, data_noise=0.0))
    points = lambda start: (bells(128, step) for step in itertools.count(start))  # noqa: E731
    list(fit(module, points, FitConfig(steps=400, learning_rate=5e-3, schedule="cosine"), seed=0))
    with torch.no_grad():
        data, between, far = (
            module.energy(each).mean() for each in (bells(500, 9), torch.zeros(1, 2), bells(500, 9) * 2.5)
        )
    assert data < between - 1 and data < far - 1
    drawn = module.sample(500, LangevinSampling(steps=200), noise())
    near = torch.cdist(drawn, torch.tensor([[-1.5, 0.0], [1.5, 0.0]])).amin(1)
    assert (near < 1.0).float().mean() > 0.9
    assert 0.2 < (drawn[:, 0] > 0).float().mean() < 0.8


@pytest.mark.parametrize(
    "options", [{"image_size": 24}, {"fresh": 1.5}, {"momentum": 1.0}, {"replay": 0}, {"walk": 0}, {"step": -1.0}]
)
def test_a_senseless_option_is_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        EnergyConfig(**options)
