import dataclasses
import inspect
import math

import pytest
import torch
from torch import nn

from generative.core.options import ComponentError
from generative.metrics import (
    METRICS,
    find_metric,
    measure,
    measure_code,
    measure_lipschitz,
    measure_path,
    measure_stability,
    pixels,
    random_convolutions,
)
from generative.metrics.measure import _PLACES, _check_images

OF_SETS = [name for name, metric in METRICS.items() if metric.needs == ("images", "extractor")]
OF_PAIRS = [name for name, metric in METRICS.items() if metric.needs == ("pairs",)]
OF_CODES = [name for name, metric in METRICS.items() if "latents" in metric.needs and "model" not in metric.needs]
OF_PATHS = [name for name, metric in METRICS.items() if metric.needs == ("model", "latents")]


def discs(count, seed, size=12):
    """Soft discs of random place, size and brightness: five true factors."""
    x, y, radius, bright, ground = torch.rand(5, count, 1, 1, 1, generator=torch.Generator().manual_seed(seed))
    rows, columns = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    away = ((rows - 0.2 - 0.6 * y).square() + (columns - 0.2 - 0.6 * x).square()).sqrt()
    inside = torch.sigmoid(30 * (0.1 + 0.2 * radius - away))
    return (0.4 * ground * (1 - inside) + (0.5 + 0.5 * bright) * inside).clamp(0, 1)


TRAIN, HELD_OUT, FRESH = discs(300, 0), discs(300, 1), discs(300, 2)


@pytest.mark.parametrize("name", OF_SETS)
def test_fresh_real_images_measure_like_the_reference_and_far_from_the_baseline(name):
    figure = measure(name, FRESH, TRAIN, HELD_OUT, random_convolutions(1, features=16))
    assert figure.name == f"{name}[random-convolutions]"
    assert figure.extractor == random_convolutions(1, features=16).label
    assert figure.samples == 300 and figure.baseline == METRICS[name].baseline
    assert (figure.reference < figure.baseline_value) == (figure.better == "lower")
    assert figure.share == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("name", OF_SETS)
def test_the_baseline_measures_like_itself(name):
    baseline = {
        "noise": torch.rand(300, 1, 12, 12, generator=torch.Generator().manual_seed(5)),
        "mean image": TRAIN.mean(0, keepdim=True).expand(300, -1, -1, -1),
        "copies": TRAIN,
    }[METRICS[name].baseline]
    figure = measure(name, baseline, TRAIN, HELD_OUT, random_convolutions(1, features=16))
    assert figure.share == pytest.approx(0, abs=0.05)


def test_copies_deceive_every_metric_of_sets_but_memorisation():
    figures = {name: measure(name, TRAIN, TRAIN, HELD_OUT, pixels()) for name in ("precision", "recall", "coverage")}
    assert all(figure.value >= figure.reference for figure in figures.values())
    memorised = measure("memorisation", TRAIN, TRAIN, HELD_OUT, pixels())
    assert memorised.value == 1 and memorised.reference < 0.05


@pytest.mark.parametrize("name", OF_PAIRS)
def test_reconstructions_beat_looking_up_and_the_mean_image(name):
    near = measure(name, HELD_OUT * 0.98, TRAIN, HELD_OUT)
    assert near.share > 1 and near.extractor is None and near.baseline == "mean image"
    nothing = measure(name, TRAIN.mean(0, keepdim=True).expand_as(HELD_OUT), TRAIN, HELD_OUT)
    assert nothing.share == pytest.approx(0, abs=1e-6)
    assert near.reference == nothing.reference and near.baseline_value == nothing.baseline_value


def test_pairs_look_up_the_nearest_training_image():
    train = torch.cat([TRAIN, HELD_OUT])  # so looking up finds the image itself
    assert measure("MSE", FRESH, train, HELD_OUT).reference == 0
    with pytest.raises(ComponentError, match="reconstruction of each"):
        measure("MSE", FRESH[:10], TRAIN, HELD_OUT)


def test_all_sets_are_cut_to_the_same_number_by_the_seed():
    def fd(most, seed, samples=FRESH):
        return measure("FD", samples, TRAIN, HELD_OUT, pixels(3), most=most, seed=seed)

    assert fd(100, 0).samples == 100
    assert fd(300, 0, FRESH[:60]).samples == 60
    assert fd(100, 0) == fd(100, 0)
    assert fd(100, 0).value != fd(100, 1).value
    # The bias of few samples is in the reference too.
    assert fd(60, 0).reference > 1.5 * fd(300, 0).reference


@pytest.mark.parametrize("name", OF_CODES)
def test_codes_have_a_scale(name):
    factors = torch.randint(0, 4, (600, 3), generator=torch.Generator().manual_seed(0)).float()
    noise = torch.randn(600, 3, generator=torch.Generator().manual_seed(1))
    good = (factors - 1.5) / factors.std(0) + 0.05 * noise
    figure = measure_code(name, good, factors)
    assert figure.share > 0.9
    assert (figure.reference < figure.baseline_value) == (figure.better == "lower")
    bad = measure_code(name, 0 * good if METRICS[name].needs == ("latents",) else noise, factors)
    assert bad.share == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("name", OF_PATHS)
def test_paths_have_a_scale(name):
    matrix = torch.rand(2, 144, generator=torch.Generator().manual_seed(0))
    start, end = torch.rand(2, 20, 2, generator=torch.Generator().manual_seed(1)).unbind(0)

    def smooth(z):
        return ((z @ matrix) / 2).reshape(-1, 1, 12, 12)

    def jumping(z):
        return smooth((z * 2).round() / 2)

    good, bad = (measure_path(name, each, start, end) for each in (smooth, jumping))
    assert good.share == pytest.approx(1, abs=1e-4) and good.samples == 20
    assert good.name == f"{name}[pixels]" and good.extractor is None
    assert good.value < 0.5 * bad.value if name == "spike-ratio" else good.reference < good.baseline_value
    seen = measure_path(name, smooth, start, end, random_convolutions(1))
    assert seen.extractor == random_convolutions(1).label and seen.reference < seen.baseline_value


def test_a_critic_has_a_scale():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(144, 1, bias=False))
    critic[1].weight.data = torch.full((1, 144), 3 / 12)
    figure = measure_lipschitz(critic, FRESH, TRAIN, HELD_OUT)
    assert figure.value == pytest.approx(3, rel=1e-4) and figure.baseline_value == pytest.approx(3, rel=1e-4)
    assert 0 < figure.reference <= 3
    assert figure.samples == 3 * 256 and critic.training


def test_seeds_have_a_scale():
    figure = measure_stability([1.0, 2.0, 3.0], [1.9, 2.0, 2.1], [10.0, 14.0])
    assert (figure.value, figure.baseline_value) == (1.0, 10.0)
    assert figure.reference == pytest.approx(0.1)
    with pytest.raises(ComponentError, match="before its first step"):
        measure_stability([1.0, 2.0, 3.0], [1.9, 2.0, 2.1], [])


def test_a_figure_reads_as_one_line():
    figure = measure("FD", FRESH, TRAIN, HELD_OUT, pixels(2))
    text = str(dataclasses.replace(figure, value=2.0, reference=1.0, baseline_value=9.0))
    assert text == "FD[pixels-2] 2 (real 1, noise 9; lower is better; 300 samples)"
    assert dataclasses.replace(figure, value=2.0, reference=1.0, baseline_value=9.0).share == 7 / 8
    assert math.isnan(dataclasses.replace(figure, reference=1.0, baseline_value=1.0).share)


def test_every_metric_is_in_the_catalogue_with_a_place_that_measures_it():
    for name, metric in METRICS.items():
        assert metric.needs in _PLACES, name
        assert metric.says.endswith("?") and len(metric.says) < 60
        assert callable(metric.function) and inspect.signature(metric.function).parameters


def test_wrong_uses_are_refused_with_the_right_place():
    with pytest.raises(ComponentError, match="did you mean 'coverage'"):
        find_metric("coverge")
    with pytest.raises(ComponentError, match="use measure_code"):
        measure("MIG", FRESH, TRAIN, HELD_OUT, pixels())
    with pytest.raises(ComponentError, match=r"use measure$"):
        measure_path("FD", lambda z: z, torch.rand(3, 2), torch.rand(3, 2))
    with pytest.raises(ComponentError, match="needs an extractor"):
        measure("FD", FRESH, TRAIN, HELD_OUT)
    with pytest.raises(ComponentError, match="is the training set"):
        measure("FD", FRESH, TRAIN, TRAIN.clone(), pixels())
    with pytest.raises(ComponentError, match="resize"):
        _check_images(FRESH[..., :8], TRAIN, HELD_OUT)
    with pytest.raises(ComponentError, match=r"\[0, 1\]"):
        measure("FD", 2 * FRESH - 1, TRAIN, HELD_OUT, pixels())
    with pytest.raises(ComponentError, match="60 rows for 50 codes"):
        measure_code("MIG", torch.rand(50, 2), torch.rand(60, 2), most=40)
    with pytest.raises(ComponentError, match="true factors"):
        measure_code("MIG", torch.rand(30, 2))
