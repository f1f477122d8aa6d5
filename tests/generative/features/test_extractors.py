import pytest
import torch
from torch import nn

from generative.core.options import ComponentError
from generative.features.extractors import RandomFilters
from generative.metrics import classifier_extractor, encoder_extractor, frechet_distance, pixels, random_convolutions
from generative.models.first.classifier import MLPClassifier, MLPClassifierConfig


def images(count=10, channels=3, size=16, seed=0):
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(seed))


class Encoder(nn.Module):
    def __init__(self, pair=True):
        super().__init__()
        self.linear = nn.Linear(3 * 16 * 16, 5)
        self.pair = pair

    def encode(self, obs):
        mean = nn.functional.dropout(self.linear(obs.flatten(1)), 0.9, self.training)
        return (mean, torch.ones_like(mean)) if self.pair else mean


@pytest.mark.parametrize("size", [8, 9, 28, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_random_convolutions_see_any_size(channels, size):
    extractor = random_convolutions(channels, features=20)
    features = extractor(images(4, channels, size))
    assert features.shape == (4, 20) and features.dtype == torch.float64
    assert features.std(0).min() > 0


def test_batches_do_not_change_features(monkeypatch):
    extractor = random_convolutions(3)
    whole = extractor(images(10))
    monkeypatch.setattr("generative.features.extractors.BATCH", 3)
    assert torch.allclose(extractor(images(10)), whole, atol=1e-5)


def test_random_convolutions_are_fixed_and_named_by_their_hash():
    a, b = random_convolutions(3), random_convolutions(3)
    assert a.hash == b.hash and torch.equal(a(images()), b(images()))
    others = [random_convolutions(3, seed=1), random_convolutions(3, features=32), random_convolutions(1)]
    assert len({a.hash, *(each.hash for each in others)}) == 4
    assert a.label == f"random-convolutions:{a.hash[:12]}"
    assert not list(RandomFilters(3, 8, 0).parameters())  # nothing a training could change


def test_the_hash_of_the_published_extractor_is_what_it_was():
    weights = RandomFilters(3, 64, 0).kernel0.flatten()[:3]
    expected = torch.randn(16, 3, 3, 3, generator=torch.Generator().manual_seed(0)).flatten()[:3] * (2 / 27) ** 0.5
    assert torch.allclose(weights, expected)


def test_random_convolutions_rank_blur_and_noise():
    stripes = (torch.arange(16) % 4 < 2).float().expand(64, 3, 16, 16)
    shift = torch.rand(64, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    real, fresh = (0.6 * stripes + 0.4 * each for each in (shift, shift.flip(0).roll(1, 1)))
    extractor = random_convolutions(3, features=16)
    noises = [frechet_distance(extractor(real), extractor((1 - s) * fresh + s * images(64))) for s in (0.0, 0.2, 0.5)]
    blurred = nn.functional.avg_pool2d(fresh, 5, stride=1, padding=2, count_include_pad=False)
    assert noises[0] < noises[1] < noises[2]
    assert noises[0] < frechet_distance(extractor(real), extractor(blurred))


def test_a_classifier_gives_its_last_hidden_layer_frozen():
    classifier = MLPClassifier(MLPClassifierConfig(image_size=16, hidden=(7, 4))).train()
    extractor = classifier_extractor(classifier)
    assert extractor.name == "classifier-mlp-classifier"
    assert torch.allclose(extractor(images()), classifier.features(images()).double())
    assert not classifier.training and not extractor(images()).requires_grad
    before = extractor.hash
    with torch.no_grad():
        classifier.body[1].weight[0, 0] += 1e-3
    assert classifier_extractor(classifier).hash != before


def test_an_encoder_gives_its_mean():
    for pair in (True, False):
        model = Encoder(pair)
        extractor = encoder_extractor(model)
        assert torch.allclose(extractor(images()), model.linear(images().flatten(1)).double(), atol=1e-6)
        assert extractor.name == "encoder-Encoder"


def test_configs_are_part_of_the_hash():
    def of(config):
        module = MLPClassifier(config)
        for parameter in module.parameters():
            nn.init.zeros_(parameter)
        return classifier_extractor(module).hash

    # Equal weights of equal shapes, but not the same images.
    assert of(MLPClassifierConfig(channels=1, image_size=4)) != of(MLPClassifierConfig(channels=4, image_size=2))


def test_pixels_are_themselves_or_averages():
    x = images()
    assert torch.equal(pixels()(x), x.flatten(1).double())
    assert torch.allclose(pixels(1)(x), x.mean((2, 3)).double(), atol=1e-6)
    assert pixels().hash != pixels(8).hash != pixels(4).hash


def test_unusable_images_and_models_are_refused():
    extractor = random_convolutions(3)
    with pytest.raises(ComponentError, match=r"values from -1 to .*\(x \+ 1\) / 2"):
        extractor(images().mul(2).sub(1).index_fill(0, torch.tensor(0), -1.0))
    with pytest.raises(ComponentError, match="8 x 8"):
        extractor(images(size=7))
    with pytest.raises(ComponentError, match="features=1000"):
        random_convolutions(3, features=1000)
    with pytest.raises(ComponentError, match="no method `features`"):
        classifier_extractor(nn.Linear(1, 1))
    with pytest.raises(ComponentError, match="no method `encode`"):
        encoder_extractor(nn.Linear(1, 1))
