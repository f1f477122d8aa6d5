import dataclasses
import itertools

import numpy as np
import pytest
import torch

from generative import VAE, FitConfig, VAEConfig, fit, to_float
from generative.data import FacesConfig, Field, RingConfig, ShapesConfig, array_data, as_input
from generative.data.images.source import ImageSource, image_data


def counting(count=50, **others):
    """Images whose pixels tell their number."""
    return array_data("numbers", np.tile(np.arange(count, dtype=np.uint8)[:, None, None], (1, 4, 6)), **others)


def numbers(batches, start, count):
    return [batch[:, 0, 0, 0].mul(255).round().int().tolist() for batch in itertools.islice(batches(start), count)]


def flat(lists):
    return list(itertools.chain.from_iterable(lists))


def test_training_never_sees_a_held_out_item():
    data = counting()
    held = data.held_out()
    assert len(data) == 45 and len(held) == 5
    seen = set(flat(numbers(data.batches(5, seed=0), 0, 30)))
    tested = set(flat(numbers(held.batches(5, seed=0), 0, 3)))
    assert len(seen) == 45 and len(tested) == 5 and not seen & tested
    with pytest.raises(ValueError, match="held-out part already"):
        held.held_out()


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (ShapesConfig(size=8, count=40), "factors"),
        (FacesConfig(size=16, count=40), "factors"),
        (RingConfig(count=40), "point"),
    ],
)
def test_parts_of_generated_data_are_disjoint(config, name):
    data = config.load()
    training, tested = (
        {tuple(row) for row in part.get(name, np.arange(len(part))).tolist()} for part in (data, data.held_out())
    )
    assert len(training) == 36 and len(tested) == 4 and not training & tested


def test_a_test_set_of_its_own_is_what_is_held_out():
    source = ImageSource((4, 6, 1), 50, counting().readers["image"])
    data = image_data("own", source, held=np.array([1, 2]))
    assert data.held_out().items.tolist() == [1, 2] and len(data) == 48
    with pytest.raises(ValueError, match="own: 0 images to train on"):
        image_data("own", source, held=np.arange(50))


def test_fields_belong_to_their_items():
    labels = np.arange(50) % 3
    data = counting(labels=labels, factors=np.arange(100.0).reshape(50, 2), factor_names=("even", "odd"))
    assert list(data.fields) == ["image", "label", "factors"] and data.main == "image"
    images, label, factors = next(data.batches(20, 1, ("image", "label", "factors"), stored=True)())
    assert (label.numpy() == images[:, 0, 0, 0].numpy() % 3).all() and label.dtype == torch.int64
    assert (factors[:, 0] == 2 * images[:, 0, 0, 0]).all() and factors.dtype == torch.float32
    assert data.names("label") == ("0", "1", "2") and data.fields["label"].sizes == (3,)
    assert data.names("factors") == ("even", "odd") and data.names("attributes") == ()
    found = data.read(np.array([4, 2]), ("label", "image"))
    assert list(found) == ["label", "image"] and (found["label"] == data.items[[4, 2]] % 3).all()


def test_unknown_fields_are_refused_at_once():
    with pytest.raises(ValueError, match="numbers: this data has no field 'label', it has image"):
        counting().batches(4, seed=0, names=("image", "label"))
    with pytest.raises(ValueError, match="no field 'attributes'"):
        counting().get("attributes", np.arange(2))


def test_images_become_a_models_input_in_one_place_and_nothing_else_does():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 3, 1)
    assert torch.equal(as_input(images, Field("image", (1, 3, 1), "uint8")), to_float(images))
    assert as_input(images, Field("attributes", (1, 3, 1), "uint8")) is images
    batch = next(counting().batches(4, seed=0)())
    assert batch.shape == (4, 1, 4, 6) and batch.dtype == torch.float32 and batch.max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("image", (4, 4), "uint8"), "an image of uint8"),
        (("image", (4, 4, 1), "float32"), "an image of float32"),
        (("row", (2,), "int65"), "dtype='int65'"),
        (("row", (2,), "int64", (), (3, 4, 5)), r"sizes=\(3, 4, 5\)"),
        (("label", (), "int64", (), (0,)), r"sizes=\(0,\)"),
        (("point", (0,), "float32"), r"shape=\(0,\)"),
    ],
)
def test_a_field_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Field(*arguments)


def test_every_field_has_a_reader():
    data = counting()
    with pytest.raises(ValueError, match="numbers: fields image, readers other"):
        dataclasses.replace(data, readers={"other": data.readers["image"]})


@pytest.mark.slow
def test_a_training_learns_from_the_stream():
    data = FacesConfig(size=16, count=500).load()
    vae = VAE(VAEConfig(latent=4, image_size=16, width=8, kl_floor=0.0))
    stream = data.batches(16, seed=0, names=("image",))
    config = FitConfig(steps=30, learning_rate=3e-3)
    losses = [row["loss"] for row in fit(vae, stream, config, seed=0, log_every=10)]
    assert losses[2] < 0.9 * losses[0]


def test_a_source_needs_only_images():
    source = ImageSource((2, 2, 1), 20, lambda items: np.zeros((len(items), 2, 2, 1), np.uint8))
    data = image_data("bare", source)
    assert data.names("label") == data.names("factors") == data.names("attributes") == () and data.item.shape == (
        2,
        2,
        1,
    )
