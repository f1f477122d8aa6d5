import itertools
import math

import pytest
import torch

from generative import FitConfig, fit
from generative.models.likelihood.pixel_cnn import PixelCNN, PixelCNNConfig
from generative.networks.masked import MaskedConv2d
from generative.sampling.decoding import Decoding, choose
from generative.sampling.dials import CategorySampling


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(**options) -> PixelCNN:
    """Weights large enough that every pixel matters."""
    torch.manual_seed(0)
    module = PixelCNN(PixelCNNConfig(**{"image_size": 3, "levels": 2, "width": 8, "layers": 3, **options}))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(3.0)
    return module.eval()


def all_images(size: int, channels: int, levels: int) -> torch.Tensor:
    numbers = torch.tensor(list(itertools.product(range(levels), repeat=channels * size**2)))
    return numbers.unflatten(1, (channels, size, size)) / (levels - 1)


@pytest.mark.parametrize(("size", "channels", "levels"), [(3, 1, 2), (2, 1, 5), (2, 2, 2), (1, 3, 4)])
def test_probabilities_of_all_images_sum_to_one(size, channels, levels):
    module = made(image_size=size, channels=channels, levels=levels)
    found = module.log_prob(all_images(size, channels, levels)).double()
    assert found.std() > 0.5  # far from uniform
    assert found.exp().sum().item() == pytest.approx(1.0, abs=1e-5)


def test_codes_have_probabilities_too_whatever_their_numbers():
    module = made(image_size=2, categories=True, levels=5)
    codes = torch.tensor(list(itertools.product(range(5), repeat=4))).unflatten(1, (2, 2))
    found = module.log_prob(codes).double().exp()
    assert module.inputs == ("code",) and found.log().std() > 0.5
    assert found.sum().item() == pytest.approx(1.0, abs=1e-5)
    swapped = torch.tensor([0, 3, 2, 1, 4])  # a vector goes with its code
    with torch.no_grad():
        module.embedding.weight.copy_(module.embedding.weight[swapped])
        last = module.head[-1]
        last.weight.copy_(last.weight[swapped])
        last.bias.copy_(last.bias[swapped])
    torch.testing.assert_close(module.log_prob(swapped[codes]).double().exp(), found)
    for wrong in (codes + 1, codes.float(), codes[:, :1]):
        with pytest.raises(ValueError, match="codes of"):
            module.log_prob(wrong)


def test_without_the_masks_they_do_not():
    module = made()
    for layer in module.modules():
        if isinstance(layer, MaskedConv2d):
            layer.mask.fill_(1.0)
    assert abs(module.log_prob(all_images(3, 1, 2)).double().exp().sum().item() - 1) > 0.1


def test_each_class_has_a_distribution_of_its_own():
    module = made(conditional=True, classes=3)
    images = all_images(3, 1, 2)
    found = [module.log_prob(images, torch.full((len(images),), label)).double() for label in range(3)]
    for each in found:
        assert each.exp().sum().item() == pytest.approx(1.0, abs=1e-5)
    assert (found[0] - found[1]).abs().max() > 0.5
    with pytest.raises(ValueError, match="labels: missing"):
        module.log_prob(images)
    with pytest.raises(ValueError, match="labels: must be 0 to 2"):
        module.log_prob(images[:1], torch.tensor([3]))


def plain_sample(module: PixelCNN, n: int, decoding: Decoding, generator: torch.Generator, *labels) -> torch.Tensor:
    """One look at whole images for every pixel."""
    config = module.config
    drawn = torch.zeros(n, config.channels, config.image_size, config.image_size, dtype=torch.int64)
    for row, column, colour in itertools.product(*map(range, (config.image_size,) * 2 + (config.channels,))):
        scores = module.logits(drawn, *labels)[:, :, colour, row, column]
        drawn[:, colour, row, column] = choose(scores, decoding, generator)
    return drawn[:, 0] if config.categories else drawn / (config.levels - 1)


CODES = {"categories": True, "levels": 5}


@pytest.mark.parametrize("options", [{}, {"channels": 3, "levels": 7}, {"conditional": True, "classes": 3}, CODES])
@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.0])
def test_sampling_with_a_cache_gives_the_pixels_of_sampling_without(options, temperature):
    module = made(image_size=6, **options).double()
    labels = (torch.tensor([0, 2, 1, 1]),) if options.get("conditional") else ()
    cached = module.sample(4, CategorySampling(temperature), noise(), *labels)
    with torch.no_grad():
        plain = plain_sample(module, 4, Decoding(temperature), noise(), *labels)
    torch.testing.assert_close(cached, plain, rtol=0, atol=0)
    assert cached.unique().numel() == module.config.levels or temperature < 1


def test_samples_come_as_often_as_their_probability_says():
    module = made(image_size=2)
    images = all_images(2, 1, 2)
    drawn = module.sample(4000, CategorySampling(), noise()).flatten(1)
    counts = (drawn[:, None] == images.flatten(1)).all(2).float().mean(0)
    assert (counts - module.log_prob(images).exp()).abs().max() < 4 * math.sqrt(0.25 / 4000)


def test_pixels_are_rounded_to_the_nearest_level():
    module = made(levels=3)
    obs = torch.tensor([0.0, 0.24, 0.26, 0.5, 0.74, 0.76, 1.0, 1.0, 0.0]).reshape(1, 1, 3, 3)
    assert module.quantised(obs).flatten().tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 0]
    assert module.log_prob(obs) == module.log_prob(module.quantised(obs) / 2)


def test_the_loss_is_in_nats_and_bits():
    module, obs = made(channels=3), torch.rand(5, 3, 3, 3)
    loss, metrics = module.loss(obs, noise())
    assert loss.item() == pytest.approx(-module.log_prob(obs).mean().item())
    assert metrics["bits_per_dim"].item() == pytest.approx(loss.item() / 27 / math.log(2))


def stripes(n: int, seed: int) -> torch.Tensor:
    """Binary images whose rows are all alike: 6 bits of chance in 36 pixels."""
    return torch.randint(0, 2, (n, 1, 1, 6), generator=noise(seed)).float().expand(n, 1, 6, 6).contiguous()


@pytest.mark.slow
def test_training_finds_what_pixels_have_in_common():
    module = made(image_size=6)
    config = FitConfig(steps=100, learning_rate=5e-3)
    list(fit(module, lambda start: map(lambda step: stripes(64, step), itertools.count(start)), config, seed=0))
    bits = -module.log_prob(stripes(200, 10**6)).mean().item() / math.log(2)
    assert 5.9 < bits < 6.5  # 36 without any structure, 6 at best
    drawn = module.sample(50, CategorySampling(), noise())
    assert (drawn == drawn[:, :, :1]).all((1, 2, 3)).float().mean() > 0.9


@pytest.mark.parametrize(
    "options", [{"levels": 1}, {"levels": 257}, {"levels": 1, "categories": True}, {"width": 0}, {"layers": 0}]
)
def test_a_senseless_option_is_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        PixelCNNConfig(**options)
