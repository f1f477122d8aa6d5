"""Maps of named layers: of random filters, of a network that was trained here, and of VGG19 out of a file."""

import pytest
import safetensors.torch
import torch
from torch import nn

from generative import MODELS, ComponentError, save_component
from generative.features import vgg19 as vgg
from generative.features.layers import LayerChoice, layers_of, random_layers, trained_layers
from generative.runs.run_reference import RunReference

IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def narrow(monkeypatch):
    """VGG19 with the same layers and few channels."""
    monkeypatch.setattr(
        vgg, "BLOCKS", tuple(tuple(2 + number for _ in block) for number, block in enumerate(vgg.BLOCKS))
    )


def state(naming):
    """A state dict of the narrow VGG19 in a convention's names."""
    network, _, convolutions = vgg.bare_vgg19()
    return {
        naming(name, place) + f".{part}": value.detach().clone()
        for name, place in convolutions.items()
        for part, value in network[place].named_parameters()
    }


def torchvision(name, place):
    return f"features.{place}"


def caffe(name, place):
    return name


def test_maps_are_those_of_the_layers_that_are_named():
    layers = random_layers()
    found = layers(IMAGES, ["conv3", "conv1"])
    assert found["conv1"].shape == (2, 32, 16, 16) and found["conv3"].shape == (2, 128, 4, 4)
    assert torch.equal(found["conv1"], layers.network[:2](2 * IMAGES - 1))
    assert torch.equal(random_layers()(IMAGES, ["conv3"])["conv3"], found["conv3"])  # the same everywhere
    assert not any(each.requires_grad for each in layers.parameters())
    assert layers.chosen(LayerChoice(style=("conv2",))) == LayerChoice("conv3", ("conv2",))
    with pytest.raises(ComponentError, match=r"'conv9': no such layer of random filters; did you mean 'conv\d'"):
        layers.chosen(LayerChoice("conv9"))


def test_a_trained_network_averages_where_it_skipped(tmp_path):
    model = MODELS.create("cnn-classifier", {"image_size": 8, "classes": 2, "widths": (4, 4, 4, 4)}).eval()
    save_component(model, tmp_path, {})
    layers = layers_of(RunReference(str(tmp_path)))
    found = layers(IMAGES, list(layers.names))
    assert [tuple(each.shape[2:]) for each in found.values()] == [(16, 16), (16, 16), (8, 8), (8, 8)]
    strided = model.body[:6](IMAGES)  # where a skipping network looks, both have seen the same
    assert torch.allclose(found["conv2"][:, :, 2:-2:2, 2:-2:2], strided[:, :, 1:-1, 1:-1], atol=1e-5)
    assert trained_layers(model).names == layers.names
    with pytest.raises(ComponentError, match="learned from images of 3 colours, and these have 2"):
        layers_of(RunReference(str(tmp_path)), 2)


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_vgg19_is_read_from_a_file_as_torchvision_names_it(kind, narrow, tmp_path):
    weights = {**state(torchvision), "classifier.0.weight": torch.zeros(2, 2)}
    path = tmp_path / "vgg"
    safetensors.torch.save_file(weights, path) if kind == "safetensors" else torch.save(weights, path)
    layers = layers_of(RunReference(str(path)))
    assert layers.usual == LayerChoice("conv4_2", ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"))
    mean, std = torch.tensor(vgg.MEAN).view(3, 1, 1), torch.tensor(vgg.STD).view(3, 1, 1)
    weight, bias = weights["features.0.weight"], weights["features.0.bias"]
    expected = nn.functional.conv2d((IMAGES - mean) / std, weight, bias, padding=1).relu()
    assert torch.allclose(layers(IMAGES, ["conv1_1"])["conv1_1"], expected, atol=1e-5)
    assert layers(IMAGES, ["conv5_1"])["conv5_1"].shape == (2, 6, 1, 1)


def test_vgg19_in_caffes_names_wants_blue_first_and_no_spread(narrow, tmp_path):
    weights = state(caffe)
    safetensors.torch.save_file(weights, tmp_path / "vgg")
    seen = 255 * IMAGES.flip(1) - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
    expected = nn.functional.conv2d(seen, weights["conv1_1.weight"], weights["conv1_1.bias"], padding=1).relu()
    found = layers_of(RunReference(str(tmp_path / "vgg")))(IMAGES, ["conv1_1"])["conv1_1"]
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_a_wrong_file_is_one_clear_error(narrow, tmp_path):
    path = tmp_path / "vgg"
    wanted = r"no weights of VGG19: features\.2\.weight is missing, wanted is \(2, 2, 3, 3\); give the state dict of"
    weights = state(torchvision)
    safetensors.torch.save_file({name: each for name, each in weights.items() if name != "features.2.weight"}, path)
    with pytest.raises(ComponentError, match=wanted):
        layers_of(RunReference(str(path)))
    safetensors.torch.save_file({**weights, "features.2.weight": torch.zeros(4, 2, 3, 3)}, path)
    with pytest.raises(ComponentError, match=r"features\.2\.weight has the shape \(4, 2, 3, 3\)"):
        layers_of(RunReference(str(path)))
    torch.save({"model": nn.Linear(1, 1)}, path)  # would run code
    with pytest.raises(ComponentError, match="neither safetensors nor a state dict of torch"):
        layers_of(RunReference(str(path)))
    torch.save({"epoch": 3}, path)
    with pytest.raises(ComponentError, match="holds more than weights by their names"):
        layers_of(RunReference(str(path)))


def test_what_has_no_layers_is_refused(tmp_path):
    save_component(MODELS.create("pca", {"image_size": 16, "latent": 2}), tmp_path, {})
    with pytest.raises(ComponentError, match="a PCA has no layers to read; name the run of a cnn-classifier"):
        layers_of(RunReference(str(tmp_path)))
    with pytest.raises(ComponentError, match="no trained model in it"):
        layers_of(RunReference(str(tmp_path / "missing")))
