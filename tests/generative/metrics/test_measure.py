import inspect
import math

import pytest
import torch
from torch import nn

from generative.core.options import ComponentError
from generative.features.extractors import pixels, random_convolutions
from generative.metrics.baselines import Components, copied_for_nothing, made_for_nothing
from generative.metrics.figure import Figure, against, interval
from generative.metrics.measure import (
    _PLACES,
    measure,
    measure_code,
    measure_lipschitz,
    measure_memorisation,
    measure_pairs,
    measure_path,
    real_draws,
    sets_of,
)
from generative.metrics.registry import METRICS, Metric, metrics_that_need


def named(*needs):
    return [name for name in METRICS.names() if METRICS.find(name).needs in needs]


def discs(count, seed, size=12):
    """Soft discs of random place, size and brightness: five true factors."""
    x, y, radius, bright, ground = torch.rand(5, count, 1, 1, 1, generator=torch.Generator().manual_seed(seed))
    rows, columns = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    away = ((rows - 0.2 - 0.6 * y).square() + (columns - 0.2 - 0.6 * x).square()).sqrt()
    inside = torch.sigmoid(30 * (0.1 + 0.2 * radius - away))
    return (0.4 * ground * (1 - inside) + (0.5 + 0.5 * bright) * inside).clamp(0, 1)


TRAIN, HELD_OUT, FRESH = discs(300, 0), discs(300, 1), discs(300, 2)
DRAWS = [discs(300, seed) for seed in range(3, 8)]
NOISE = torch.rand(300, 1, 12, 12, generator=torch.Generator().manual_seed(5))
SEE = random_convolutions(1, features=16)


@pytest.mark.slow
@pytest.mark.parametrize("name", named("sets"))
def test_fresh_real_images_lie_in_the_interval_and_noise_and_a_single_image_do_not(name):
    alike = TRAIN.mean(0, keepdim=True).expand(300, -1, -1, -1)
    figure = measure(name, sets_of(SEE, TRAIN, DRAWS, FRESH, {"noise": NOISE}))
    assert figure.name == f"{name}[random-convolutions]" and figure.extractor == SEE.label
    assert figure.samples == 300 and figure.standing == "as real" and figure.low < figure.reference < figure.high
    worse = [measure(name, sets_of(SEE, TRAIN, DRAWS, each, {})).standing for each in (NOISE, alike)]
    assert "worse" in worse and "better" not in worse
    assert figure.beats or name in ("recall", "vendi")  # noise covers much, and is various


def test_an_interval_holds_one_more_real_draw_but_in_five_cases_of_a_thousand():
    generator = torch.Generator().manual_seed(0)
    inside = 0
    for _ in range(2000):
        *draws, one = torch.randn(6, generator=generator).tolist()
        low, high = interval(draws)
        inside += low <= one <= high
    assert inside / 2000 == pytest.approx(0.995, abs=0.004)
    assert interval([0.5, 0.5, 0.5], 0.01) == (0.48, 0.52) and math.isnan(interval([1.0])[0])


def test_figures_stand_by_the_interval_and_by_the_strongest_baseline():
    def figure(value, better):
        return against("FD", value, [1.0, 1.1, 0.9, 1.0], {"noise": 9.0, "parts": 3.0}, better, 10)

    assert [figure(value, "lower").standing for value in (1.0, 2.5, 0.2)] == ["as real", "worse", "better"]
    assert [figure(value, "higher").standing for value in (1.0, 2.5, 0.2)] == ["as real", "better", "worse"]
    assert [figure(value, "near").standing for value in (2.5, 0.2)] == ["worse", "worse"]
    assert figure(2.5, "lower").strongest == "parts" and figure(2.5, "lower").beats and not figure(3.5, "lower").beats
    assert figure(2.5, "higher").strongest == "noise" and not figure(2.5, "higher").beats
    row = figure(2.5, "lower").row()
    assert (row["baseline"], row["baseline_value"], row["beats_baseline"]) == ("parts", 3.0, True)
    assert row["baselines"] == {"noise": 9.0, "parts": 3.0} and row["standing"] == "worse"
    alone = Figure("MSE", 1.0, math.nan, math.nan, math.nan, {}, "lower", None, 10)
    assert alone.beats is None and alone.standing == "" and str(alone) == "MSE 1 (; lower is better; 10 samples)"


def test_draws_share_no_row_with_what_they_are_compared_with_nor_with_one_another_where_there_are_enough():
    real, draws = real_draws(90, 10, 0)
    rows = torch.cat([real, *draws])
    assert len(draws) == 8 and len(rows.unique()) == 90
    real, draws = real_draws(30, 10, 0, 5)
    assert all(len(each.unique()) == 10 and not torch.isin(each, real).any() for each in draws)
    assert not torch.equal(real_draws(90, 10, 1)[0], real_draws(90, 10, 0)[0])
    with pytest.raises(ComponentError, match="give 7 or less"):
        real_draws(15, 8, 0)


@pytest.mark.slow
def test_copies_deceive_every_metric_of_sets_but_memorisation_of_the_whole_training_set():
    sets = sets_of(pixels(), HELD_OUT, DRAWS, TRAIN, {})
    assert all(measure(name, sets).standing != "worse" for name in ("precision", "recall", "coverage"))
    many = torch.cat([discs(5000, 9), TRAIN])  # the copied ones come behind the first piece
    see = pixels()
    copied = measure_memorisation(see(many), see(HELD_OUT), see(TRAIN), see)
    fresh = measure_memorisation(see(many), see(HELD_OUT), see(FRESH), see)
    assert copied.value == 1 and copied.standing == "worse" and copied.reference < 0.05
    assert fresh.standing == "as real"
    blind = measure_memorisation(see(many[:4096]), see(HELD_OUT), see(TRAIN), see)
    assert blind.standing == "as real"  # which is what a part of the training set would say


@pytest.mark.slow
@pytest.mark.parametrize("name", named("pairs"))
def test_reconstructions_have_to_beat_components_and_looking_up(name):
    nothing = copied_for_nothing(TRAIN, HELD_OUT, 4, 0)
    assert list(nothing) == ["4 principal components", "nearest training image", "mean image"]
    near = measure_pairs(name, HELD_OUT, HELD_OUT * 0.99, nothing)
    assert near.beats and near.standing == "" and near.extractor is None and near.strongest != "mean image"
    for made in nothing.values():
        assert not measure_pairs(name, HELD_OUT, made, nothing).beats
    with pytest.raises(ComponentError, match="one for each"):
        measure_pairs(name, HELD_OUT, HELD_OUT[:10], nothing)


def test_components_are_those_of_the_training_images_and_a_mixture_of_them_is_nearer_than_their_gaussian():
    parts = Components.of(TRAIN, 143)
    torch.testing.assert_close(parts.reconstruct(TRAIN), TRAIN, atol=1e-3, rtol=0)
    made = made_for_nothing(TRAIN, 8, 300, 0)
    assert list(made) == ["mixture in 8 components", "8 Gaussian components", "independent pixels"]
    distance = measure("FD", sets_of(SEE, HELD_OUT, DRAWS, FRESH, made)).baselines
    assert distance["mixture in 8 components"] < distance["8 Gaussian components"] < distance["independent pixels"]


@pytest.mark.slow
@pytest.mark.parametrize("name", named("latents", "factors"))
def test_codes_have_a_scale(name):
    factors = torch.randint(0, 4, (600, 3), generator=torch.Generator().manual_seed(0)).float()
    noise = torch.randn(600, 3, generator=torch.Generator().manual_seed(1))
    good = (factors - 1.5) / factors.std(0) + 0.05 * noise
    figure = measure_code(name, good, factors, {"components": noise} if METRICS.find(name).needs == "factors" else None)
    (baseline,) = {figure.strongest} - {"components"} or {"shuffled code"}
    worst = figure.baselines[baseline]
    assert abs(figure.value - figure.reference) < 0.1 * abs(worst - figure.reference)
    assert (figure.reference < worst) == (figure.better == "lower") and figure.beats
    bad = measure_code(name, 0 * good if METRICS.find(name).needs == "latents" else noise, factors)
    assert abs(bad.value - worst) < 0.1 * abs(worst - figure.reference)


@pytest.mark.parametrize("name", named("paths"))
def test_paths_have_a_scale(name):
    matrix = torch.rand(2, 144, generator=torch.Generator().manual_seed(0))
    start, end = torch.rand(2, 20, 2, generator=torch.Generator().manual_seed(1)).unbind(0)

    def smooth(z):
        return ((z @ matrix) / 2).reshape(-1, 1, 12, 12)

    def jumping(z):
        return smooth((z * 2).round() / 2)

    good, bad = (measure_path(name, each, start, end) for each in (smooth, jumping))
    assert good.value == pytest.approx(good.reference, rel=1e-3) and good.samples == 20 and good.beats
    assert good.name == f"{name}[pixels]" and good.extractor is None
    assert good.value < 0.5 * bad.value if name == "spike-ratio" else good.reference < max(good.baselines.values())
    seen = measure_path(name, smooth, start, end, random_convolutions(1))
    assert seen.extractor == random_convolutions(1).label and seen.reference < max(seen.baselines.values())


def test_a_critic_has_a_scale():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(144, 1, bias=False))
    critic[1].weight.data = torch.full((1, 144), 3 / 12)
    figure = measure_lipschitz(critic, FRESH, TRAIN, HELD_OUT)
    assert figure.value == pytest.approx(3, rel=1e-4) and figure.baselines["weights"] == pytest.approx(3, rel=1e-4)
    assert 0 < figure.reference <= 3
    assert figure.samples == 3 * 256 and critic.training


def test_every_metric_is_found_by_name_and_a_place_measures_it():
    for name in METRICS.names():
        metric = METRICS.find(name)
        assert metric.needs in _PLACES and metric.says.endswith("?") and len(metric.says) < 60, name
        assert callable(metric.load()) and inspect.signature(metric.load()).parameters, name
    assert "FD" in metrics_that_need("sets") and "MIG" not in metrics_that_need("sets")
    assert "DCI-completeness" not in metrics_that_need("factors")
    assert metrics_that_need("factors", ("DCI-completeness", "FD")) == ["DCI-completeness"]


def test_a_metric_of_a_third_party_is_measured_by_its_name(monkeypatch):
    monkeypatch.setattr(METRICS, "_found", dict(METRICS._found))
    monkeypatch.setattr(METRICS, "_places", dict(METRICS._places))
    METRICS.add("gap", Metric(lambda real, fake: float((real.mean(0) - fake.mean(0)).norm()), "sets", "lower", "Far?"))
    assert measure("gap", sets_of(pixels(), TRAIN, DRAWS, NOISE, {})).standing == "worse"
    assert "gap" in metrics_that_need("sets")
    with pytest.raises(ComponentError, match="must be a"):
        METRICS.add("other", len)


def test_wrong_uses_are_refused_with_the_right_place():
    sets = sets_of(pixels(), TRAIN, DRAWS, FRESH, {})
    with pytest.raises(ComponentError, match="did you mean 'coverage'"):
        measure("coverge", sets)
    with pytest.raises(ComponentError, match="use measure_code"):
        measure("MIG", sets)
    with pytest.raises(ComponentError, match=r"use measure$"):
        measure_path("FD", lambda z: z, torch.rand(3, 2), torch.rand(3, 2))
    with pytest.raises(ComponentError, match="real images themselves"):
        sets_of(pixels(), TRAIN, [TRAIN.clone()], FRESH, {})
    with pytest.raises(ComponentError, match="give as many"):
        sets_of(pixels(), TRAIN, DRAWS, FRESH[:100], {})
    with pytest.raises(ComponentError, match=r"\[0, 1\]"):
        sets_of(pixels(), TRAIN, DRAWS, 2 * FRESH - 1, {})
    with pytest.raises(ComponentError, match="60 rows for 50 codes"):
        measure_code("MIG", torch.rand(50, 2), torch.rand(60, 2), most=40)
    with pytest.raises(ComponentError, match="true factors"):
        measure_code("MIG", torch.rand(30, 2))
