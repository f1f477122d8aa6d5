import pytest
import torch
from torch import nn

from generative import ComponentError, FitConfig, Registry, fit, load_component, save_component
from generative.hardware.device import seeded
from generative.models.first.classifier import (
    CNNClassifier,
    CNNClassifierConfig,
    MLPClassifier,
    MLPClassifierConfig,
    labelled_batches,
)

REGISTRY = Registry("model", {each.type_name: each for each in (MLPClassifier, CNNClassifier)})
SMALL = {
    "mlp-classifier": {"classes": 3, "channels": 1, "image_size": 9, "hidden": [16, 8]},
    "cnn-classifier": {"classes": 3, "channels": 1, "image_size": 9, "widths": [4, 4, 8, 8], "hidden": 8},
}
both = pytest.mark.parametrize("name", list(SMALL))


def stripes(count=96, seed=0, classes=3):
    """Images that are bright in the left, middle or right third, and noise."""
    labels = torch.arange(count) % classes
    images = 0.7 * torch.rand(count, 1, 9, 9, generator=torch.Generator().manual_seed(seed))
    for k in range(classes):
        images[labels == k, :, :, 3 * k : 3 * k + 3] += 0.3
    return images, labels


def numbers(module):
    return sum(each.numel() for each in module.parameters())


def test_the_book_cnn_has_its_number_of_parameters():
    model = CNNClassifier(CNNClassifierConfig())
    running = sum(each.numel() for name, each in model.named_buffers() if not name.endswith("num_batches_tracked"))
    assert numbers(model) == 591_914
    assert numbers(model) + running == 592_554
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    assert model.features(torch.rand(2, 3, 32, 32)).shape == (2, 128)


def test_the_book_mlp_has_its_number_of_parameters():
    model = MLPClassifier(MLPClassifierConfig())
    assert numbers(model) == 3072 * 200 + 200 + 200 * 150 + 150 + 150 * 10 + 10
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 10)


def test_the_book_cnn_keeps_its_constants():
    layers = list(CNNClassifier(CNNClassifierConfig()).body)
    norms = [each for each in layers if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(norms) == 5 and {(each.eps, each.momentum) for each in norms} == {(1e-3, 0.01)}
    assert {each.negative_slope for each in layers if isinstance(each, nn.LeakyReLU)} == {0.3}
    assert [each.stride[0] for each in layers if isinstance(each, nn.Conv2d)] == [1, 2, 1, 2]
    for each in layers:
        if isinstance(each, nn.Conv2d):
            bound = (6 / (9 * (each.in_channels + each.out_channels))) ** 0.5
            assert each.weight.abs().max() <= bound and each.weight.abs().max() > 0.9 * bound
            assert not each.bias.any()


@both
def test_the_loss_is_cross_entropy_and_accuracy(name):
    model = REGISTRY.create(name, SMALL[name]).eval()
    images, labels = stripes()
    loss, metrics = model.loss((images, labels), torch.Generator().manual_seed(0))
    chosen = torch.softmax(model(images), 1)[torch.arange(96), labels]
    assert loss.item() == pytest.approx(-chosen.log().mean().item(), rel=1e-5)
    assert metrics["accuracy"].item() == pytest.approx((model(images).argmax(1) == labels).float().mean().item())


@pytest.mark.slow
@both
def test_it_learns_and_the_next_images_too(name):
    model = REGISTRY.create(name, SMALL[name])
    batches = labelled_batches(*stripes(), size=32, seed=0)
    steps = list(fit(model, batches, FitConfig(steps=120, learning_rate=5e-3), seed=0, log_every=40))
    assert steps[-1]["loss"] < 0.6 * steps[0]["loss"]
    images, labels = stripes(seed=1)
    assert (model(images).argmax(1) == labels).float().mean() > 0.9


@both
def test_gradients_reach_every_parameter(name):
    model = REGISTRY.create(name, SMALL[name]).train()
    model.loss(stripes(), torch.Generator().manual_seed(0))[0].backward()
    for label, parameter in model.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), label
        assert parameter.grad.abs().sum() > 0 or label.endswith("bias"), label  # batch norm takes biases away


@both
def test_it_comes_back_from_disk(name, tmp_path):
    model = REGISTRY.create(name, SMALL[name])
    list(fit(model, labelled_batches(*stripes(), size=32, seed=0), FitConfig(steps=3), seed=0))
    save_component(model, tmp_path / "classifier", {})
    again = load_component(tmp_path / "classifier", REGISTRY)
    assert again.config == model.config
    assert torch.equal(again(stripes()[0]), model(stripes()[0]))


def test_dropout_draws_from_the_generator_alone_and_only_while_training():
    config = CNNClassifierConfig(classes=3, channels=1, image_size=9, widths=(4, 4, 8, 8), hidden=8)
    model = CNNClassifier(config).train()

    def loss(seed, world=0):
        with seeded(world, torch.device("cpu")):
            return model.loss(stripes(), torch.Generator().manual_seed(seed))[0].item()

    assert loss(1) == loss(1) == loss(1, world=5)
    assert loss(1) != loss(2)
    model.eval()
    assert loss(1) == loss(2)


def test_dropout_keeps_the_mean_of_features():
    config = CNNClassifierConfig(classes=2, channels=1, image_size=4, widths=(1, 1, 1, 1), hidden=2000, dropout=0.75)
    model = CNNClassifier(config).train()
    nn.init.ones_(model.head.weight)
    seen = []
    model.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    images = torch.rand(16, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    model.loss((images, torch.zeros(16, dtype=torch.long)), torch.Generator().manual_seed(0))
    features = model.features(images)
    kept = seen[0] != 0
    assert kept.float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert torch.allclose(seen[0][kept], 4 * features[kept], rtol=1e-3, atol=1e-5)


def test_batches_are_a_function_of_seed_and_step():
    images, labels = stripes(10)

    def take(seed, step, count):
        stream = labelled_batches(images, labels, 3, seed)(step)
        return [next(stream) for _ in range(count)]

    whole = take(0, 0, 7)
    for (image, label), (again, label_again) in zip(whole[4:], take(0, 4, 3), strict=True):
        assert torch.equal(image, again) and torch.equal(label, label_again)
    first = torch.cat([image for image, _ in whole[:3]])
    assert len(first.flatten(1).unique(dim=0)) == 9  # an epoch repeats nothing
    assert not torch.equal(first, torch.cat([image for image, _ in whole[3:6]]))
    assert not torch.equal(whole[0][0], take(1, 0, 1)[0][0])
    for image, label in whole:
        for i in range(3):
            assert labels[(images == image[i]).flatten(1).all(1)].item() == label[i].item()


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (MLPClassifierConfig, {"classes": 1}, "classes=1"),
        (MLPClassifierConfig, {"hidden": ()}, "hidden="),
        (MLPClassifierConfig, {"channels": 0}, "channels=0"),
        (CNNClassifierConfig, {"image_size": 3}, "halved twice"),
        (CNNClassifierConfig, {"widths": (1, 1, 1, 0)}, "widths="),
        (CNNClassifierConfig, {"dropout": 1.0}, "dropout=1.0"),
    ],
)
def test_bad_configs_name_the_field(config, options, message):
    with pytest.raises(ValueError, match=message):
        config(**options)


@both
def test_images_of_another_shape_are_refused(name):
    model = REGISTRY.create(name, SMALL[name])
    with pytest.raises(ValueError, match=r"expected \(B, 1, 9, 9\)"):
        model(torch.rand(2, 3, 9, 9))
    with pytest.raises(ComponentError, match="no such option"):
        REGISTRY.create(name, {**SMALL[name], "hiden": 3})


def test_unusable_batches_are_refused():
    images, labels = stripes(10)
    with pytest.raises(ValueError, match="size=11"):
        labelled_batches(images, labels, 11, 0)
