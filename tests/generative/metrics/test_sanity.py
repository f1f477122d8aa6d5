"""Every metric of sets moves the right way when real digits are spoilt, under a classifier that we trained."""

import pytest
import torch
from sklearn.datasets import load_digits

from generative import FitConfig, fit
from generative.core.device import seeded
from generative.metrics import classifier_extractor, measure
from generative.models.first.classifier import MLPClassifier, MLPClassifierConfig, labelled_batches


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(images).float().reshape(-1, 1, 8, 8) / 16
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images[order], torch.from_numpy(labels)[order]


@pytest.fixture(scope="module")
def extractor(digits):
    with seeded(0, torch.device("cpu")):
        module = MLPClassifier(MLPClassifierConfig(channels=1, image_size=8, hidden=(64, 32)))
    batches = labelled_batches(digits[0][:600], digits[1][:600], 32, seed=0)
    list(fit(module, batches, FitConfig(steps=300, learning_rate=3e-3), seed=0))
    right = module(digits[0][600:]).argmax(1) == digits[1][600:]
    assert right.float().mean() > 0.9
    return classifier_extractor(module)


def sets(digits):
    """Training, held-out and fresh images that the classifier did not see."""
    return digits[0][600:1000], digits[0][1000:1400], digits[0][1400:1797]


def noisy(images, share):
    return (1 - share) * images + share * torch.rand(images.shape, generator=torch.Generator().manual_seed(1))


def value(name, samples, digits, extractor):
    train, held_out, _ = sets(digits)
    return measure(name, samples, train, held_out, extractor).value


def test_fresh_digits_are_near_the_floor(digits, extractor):
    train, held_out, fresh = sets(digits)
    for name in ("FD", "KD", "precision", "recall", "density", "coverage", "NDB", "vendi", "memorisation"):
        assert measure(name, fresh, train, held_out, extractor).share == pytest.approx(1, abs=0.15), name


@pytest.mark.parametrize(("name", "sign"), [("FD", 1), ("KD", 1), ("precision", -1), ("density", -1), ("coverage", -1)])
def test_noise_makes_it_worse_step_by_step(name, sign, digits, extractor):
    values = [sign * value(name, noisy(sets(digits)[2], share), digits, extractor) for share in (0.0, 0.25, 0.6)]
    assert values[0] < values[1] < values[2]


def test_lost_classes_cost_diversity_and_not_precision(digits, extractor):
    fresh, labels = sets(digits)[2], digits[1][1400:1797]
    few = fresh[labels < 4]
    few = few.repeat(3, 1, 1, 1)[:397]
    for name, least in (("recall", 0.25), ("coverage", 0.25)):
        assert value(name, few, digits, extractor) < value(name, fresh, digits, extractor) - least
    assert value("NDB", few, digits, extractor) > value("NDB", fresh, digits, extractor) + 0.25
    assert value("vendi", few, digits, extractor) < value("vendi", fresh, digits, extractor)
    assert value("FD", few, digits, extractor) > 2 * value("FD", fresh, digits, extractor)
    assert value("precision", few, digits, extractor) > value("precision", fresh, digits, extractor) - 0.1


def test_copies_of_training_images_show_in_memorisation_alone(digits, extractor):
    train, _, fresh = sets(digits)
    half = torch.cat([train[:200], fresh[:197]])
    assert value("memorisation", half, digits, extractor) == pytest.approx(0.5, abs=0.05)
    for name in ("precision", "coverage"):
        assert value(name, half, digits, extractor) >= value(name, fresh, digits, extractor)
