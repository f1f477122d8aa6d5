"""What diffusion and flow matching promise alike, on points whose score is known and on small images."""

import itertools
import math

import pytest
import torch

from generative import FitConfig, fit
from generative.models.diffusion import denoiser
from generative.models.diffusion.diffusion import Diffusion, DiffusionConfig
from generative.models.diffusion.flow_matching import FlowMatching, FlowMatchingConfig
from generative.sampling.denoising import DiffusionSampling, FlowSampling, denoise
from tests.generative.models.shapes import squares
from tests.generative.sampling.test_denoising import SPREAD as NARROW
from tests.generative.sampling.test_denoising import best

CENTRE, SPREAD = 0.7, 0.7
"""Points are one number, from two Gaussians at plus and minus this, each of that deviation."""


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def labelled(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.randint(0, 2, (n,), generator=noise(2 * seed))
    return (2 * labels[:, None] - 1) * CENTRE + SPREAD * torch.randn(n, 1, generator=noise(2 * seed + 1)), labels


def true_score(x: torch.Tensor, signal: float, deviation: float) -> torch.Tensor:
    """Of two Gaussians that are shrunk by the signal and widened by the noise."""
    variance = (signal * SPREAD) ** 2 + deviation**2
    toward = torch.tanh(signal * CENTRE * x / variance)
    return (signal * CENTRE * toward - x) / variance


def learnt(module, stream, steps: int):
    list(fit(module, stream, FitConfig(steps=steps, learning_rate=4e-3, schedule="cosine"), seed=0))
    return module.eval()


def stream(start: int):
    return (labelled(512, step)[0] for step in itertools.count(start))


@pytest.fixture(scope="module", params=["velocity", "flow"])
def points(request):
    """A small network that has learnt the two Gaussians."""
    sizes = {"layout": "points", "dimensions": 1, "widths": (48,), "blocks": 2, "ema": 0.99}
    torch.manual_seed(0)
    flows = request.param == "flow"
    return learnt(
        FlowMatching(FlowMatchingConfig(**sizes)) if flows else Diffusion(DiffusionConfig(**sizes)), stream, 800
    )


@pytest.mark.long
@pytest.mark.slow
def test_the_score_of_two_gaussians_is_learnt(points):
    """Within 5 % of its size, over where the mixtures lie; of a flow it is divided by the time once more."""
    for time in (0.5, 0.7, 0.9) if points.prediction == "flow" else (0.3, 0.5, 0.7, 0.9):
        t = torch.full((4000,), time)
        rates = points.schedule(t)
        signal, deviation = rates.signal[0].item(), rates.noise[0].item()
        x = signal * labelled(4000, 10**6)[0] + deviation * torch.randn(4000, 1, generator=noise())
        truth = true_score(x, signal, deviation)
        assert (points.score(x, t) - truth).square().mean().sqrt() < 0.05 * truth.square().mean().sqrt(), time


@pytest.mark.slow
def test_guidance_raises_the_accuracy_of_a_judge():
    """The judge is the best there is, the sign; of real points 0.84 are on the side of their label."""
    torch.manual_seed(0)
    sizes = {"layout": "points", "dimensions": 1, "widths": (32,), "blocks": 1, "conditional": True, "classes": 2}
    options = {"prediction": "noise", "schedule": "linear", "label_drop": 0.3, "ema": 0.99}
    module = Diffusion(DiffusionConfig(**sizes, **options))
    learnt(module, lambda start: (labelled(512, step) for step in itertools.count(start)), 300)
    labels, right = torch.arange(1000) % 2, {}
    for guidance in (0.0, 1.0, 3.0):
        drawn = module.sample(1000, DiffusionSampling(guidance=guidance), noise(), labels)
        right[guidance] = float((drawn[:, 0] * (2 * labels - 1) > 0).float().mean())
    assert 0.4 < right[0.0] < 0.6 and 0.75 < right[1.0] < 0.93
    assert right[3.0] > right[1.0] + 0.05


@pytest.mark.slow
def test_ten_and_a_hundred_steps_from_one_noise_agree(points):
    start = points.noise(200, noise())
    few, many = (points.denoise(start, points.Sampling(steps=steps), noise())[:, 0] for steps in (10, 100))
    assert torch.corrcoef(torch.stack([few, many]))[0, 1] > 0.97
    other = points.denoise(points.noise(200, noise(1)), points.Sampling(steps=100), noise())[:, 0]
    assert torch.corrcoef(torch.stack([many, other]))[0, 1].abs() < 0.3  # another noise is another sample


@pytest.mark.slow
def test_samples_lie_as_the_data_do(points):
    real, _ = labelled(2000, 5)
    drawn = points.sample(2000, points.Sampling(), noise())
    quantiles = torch.linspace(0.05, 0.95, 19)
    assert (drawn.quantile(quantiles) - real.quantile(quantiles)).abs().max() < 0.15


def test_the_signal_of_the_book_takes_details_along():
    """Its last answer is a mean over what the noise that is left may hide, so samples are too much alike."""
    start, spread = torch.randn(2000, 1, generator=noise()), {}
    for most in (0.95, 0.995):
        schedule = Diffusion(DiffusionConfig(most_signal=most)).schedule
        *_, last = denoise(best(schedule), schedule, start, 100, 0.0, noise())
        spread[most] = float(last.data.std() / NARROW)
    assert spread[0.95] < 0.93 < 0.97 < spread[0.995]


def test_samples_come_from_the_average_of_the_weights():
    torch.manual_seed(0)
    module = Diffusion(DiffusionConfig(layout="points", widths=(16,), blocks=1, ema=0.9)).train()
    optimiser = torch.optim.Adam(module.network.parameters(), lr=0.1)
    for step in range(5):
        for objective in module.objectives([torch.randn(64, 2, generator=noise(step))], step, noise(step)):
            optimiser.zero_grad()
            objective.loss.backward()
            optimiser.step()
    drawn = module.sample(50, DiffusionSampling(), noise())
    live = dict(module.network.named_parameters())
    assert any(not torch.equal(each, live[name]) for name, each in module.average.network.named_parameters())
    module.average.network.load_state_dict(module.network.state_dict())
    assert (module.sample(50, DiffusionSampling(), noise()) - drawn).abs().max() > 0.02  # live weights draw others
    with torch.no_grad():
        for each in module.network.parameters():
            each.zero_()
    assert module.sample(50, DiffusionSampling(), noise()).abs().max() > 0.1  # nobody asks them


@pytest.fixture(scope="module", params=["diffusion", "flow"])
def images(request):
    torch.manual_seed(0)
    sizes = {"image_size": 16, "channels": 1, "widths": (8, 16), "blocks": 1, "attention": 8}
    if request.param == "flow":
        return FlowMatching(FlowMatchingConfig(**sizes))
    return Diffusion(DiffusionConfig(**sizes, prediction="noise"))


def test_half_precision_makes_finite_images_that_are_not_black(images):
    with torch.autocast("cpu", torch.bfloat16):
        half = images.sample(4, images.Sampling(steps=5), noise())
    whole = images.sample(4, images.Sampling(steps=5), noise())
    assert half.isfinite().all() and half.dtype == torch.float32
    assert 0.2 < half.mean() < 0.8 and half.std() > 0.1 and (half - whole).abs().mean() < 0.1
    assert half.min() >= 0 and half.max() <= 1


def test_training_in_half_precision_stays_finite(images):
    with torch.autocast("cpu", torch.bfloat16):
        (objective,) = images.objectives([squares(8, 0)], 0, noise())
    assert objective.loss.isfinite() and objective.loss.dtype == torch.float32


def test_an_image_is_drawn_over_as_far_as_the_strength_says(images):
    obs = squares(4, 0)
    dials = images.Sampling(steps=4)
    # The network knows nothing yet; what is kept is what the noise left.
    kept = [torch.corrcoef(torch.stack([images.redraw(obs, s, dials, noise()).flatten(), obs.flatten()]))[0, 1]
            for s in (0.05, 0.9)]  # fmt: skip
    assert kept[0] > 0.8 > kept[1] + 0.3
    with pytest.raises(ValueError, match=r"strength=0\.0"):
        images.redraw(obs, 0.0, dials, noise())


def test_as_many_stages_as_steps_and_the_last_one_is_the_sample(images):
    start, dials = images.noise(3, noise()), images.Sampling(steps=7)
    with torch.no_grad():
        stages = list(images.stages(start, dials, noise(), torch.zeros(3, dtype=torch.int64)))
    assert len(stages) == 7
    assert torch.equal(images._outside(stages[-1].data), images.denoise(start, dials, noise()))


def test_only_eta_draws_new_noise():
    torch.manual_seed(0)
    module = Diffusion(DiffusionConfig(layout="points", widths=(16,), blocks=1))
    start = module.noise(20, noise())
    still, stirred = DiffusionSampling(), DiffusionSampling(eta=1.0)
    assert torch.equal(module.denoise(start, still, noise(1)), module.denoise(start, still, noise(2)))
    assert not torch.equal(module.denoise(start, stirred, noise(1)), module.denoise(start, stirred, noise(2)))


def test_dropped_labels_teach_what_no_label_means():
    torch.manual_seed(0)
    sizes = {"layout": "points", "dimensions": 1, "widths": (8,), "blocks": 1, "conditional": True, "classes": 2}
    for drop, learns in ((0.0, False), (0.5, True)):
        module = Diffusion(DiffusionConfig(**sizes, label_drop=drop)).train()
        (objective,) = module.objectives([labelled(64, 0)], 0, noise())
        objective.loss.backward()
        assert bool(module.network.told.label.weight.grad[2].any()) == learns


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: DiffusionConfig(widths=()), r"widths=\(\)"),
        (lambda: DiffusionConfig(image_size=30), "image_size=30"),
        (lambda: DiffusionConfig(ema=1.0), r"ema=1\.0"),
        (lambda: DiffusionConfig(most_signal=1.0), r"most_signal=1\.0"),
        (lambda: DiffusionConfig(schedule="linear", most_signal=0.9), r"most_signal=0\.9: is of offset-cosine"),
        (lambda: DiffusionConfig(label_drop=1.0), r"label_drop=1\.0"),
        (lambda: DiffusionSampling(steps=0), "steps=0"),
        (lambda: DiffusionSampling(eta=1.5), r"eta=1\.5"),
        (lambda: FlowSampling(guidance=-1.0), r"guidance=-1\.0"),
        (lambda: DiffusionSampling(guidance=math.nan), "guidance=nan"),
    ],
)
def test_a_senseless_option_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize("kind", [Diffusion, FlowMatching])
def test_what_does_not_fit_is_refused_by_name(kind):
    sizes = {"layout": "points", "dimensions": 2, "widths": (8,), "blocks": 1}
    module = kind((DiffusionConfig if kind is Diffusion else FlowMatchingConfig)(**sizes)).eval()
    with pytest.raises(ValueError, match="t=0: the score is known at times above 0"):
        module.score(torch.randn(2, 2), torch.tensor([0.5, 0.0]))
    with pytest.raises(ValueError, match=r"noise of shape \(4, 3\): expected \(B, 2\)"):
        module.denoise(torch.randn(4, 3), module.Sampling(), noise())
    with pytest.raises(ValueError, match="told no classes"):
        module.sample(2, module.Sampling(), noise(), torch.tensor([0, 1]))


def test_many_images_are_drawn_over_in_parts(monkeypatch):
    module = FlowMatching(FlowMatchingConfig(layout="points", dimensions=2, widths=(8,), blocks=1)).eval()
    start, dials = torch.randn(7, 2, generator=noise()), FlowSampling(steps=3)
    whole = module.redraw(start, 0.5, dials, noise())
    monkeypatch.setitem(denoiser.AT_ONCE, "points", 3)
    seen = []
    module.average.network.register_forward_pre_hook(lambda network, given: seen.append(len(given[0])))
    torch.testing.assert_close(module.redraw(start, 0.5, dials, noise()), whole)
    assert max(seen) == 3
