import itertools

import numpy as np
import pytest
import torch

from generative import VAE, FitConfig, VAEConfig, fit, to_float
from generative.data import Batches, FacesConfig, RingConfig, ShapesConfig, array_data, in_values
from generative.data.contract import ImageSource, image_data


def counting(count=50, **others):
    """Images whose pixels tell their number."""
    return array_data("numbers", np.tile(np.arange(count, dtype=np.uint8)[:, None, None], (1, 4, 6)), **others)


def numbers(batches, start, count):
    return [batch[:, 0, 0, 0].tolist() for batch in itertools.islice(batches(start), count)]


def flat(lists):
    return list(itertools.chain.from_iterable(lists))


def test_a_stream_is_a_function_of_its_seed():
    data = counting()
    assert numbers(data.batches(8, seed=1), 0, 20) == numbers(data.batches(8, seed=1), 0, 20)
    assert numbers(data.batches(8, seed=1), 0, 20) != numbers(data.batches(8, seed=2), 0, 20)


@pytest.mark.parametrize("start", [1, 4, 5, 6, 13])
def test_a_stream_can_be_taken_up_at_any_step(start):
    batches = counting().batches(8, seed=3)  # 45 items: five batches an epoch
    assert numbers(batches, start, 9) == numbers(batches, 0, start + 9)[start:]


def test_an_epoch_shows_every_item_once_and_the_next_one_in_another_order():
    data = counting()
    batches = numbers(data.batches(9, seed=0), 0, 10)
    first, second = flat(batches[:5]), flat(batches[5:])
    assert sorted(first) == sorted(second) == sorted(data.items) and first != second


def test_what_does_not_fill_a_batch_is_dropped():
    for batch in itertools.islice(counting().batches(7, seed=0)(), 30):
        assert batch.shape == (7, 4, 6, 1) and batch.dtype == torch.uint8


def test_batches_refuse_what_cannot_be_done():
    with pytest.raises(ValueError, match="batch=46: the data has 45 items"):
        counting().batches(46, seed=0)
    with pytest.raises(ValueError, match="batch=0"):
        counting().batches(0, seed=0)
    with pytest.raises(ValueError, match="seed=-1"):
        Batches(lambda positions: positions, 10, 2, -1)


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
    "config", [ShapesConfig(size=8, count=40), FacesConfig(size=16, count=40), RingConfig(count=40)]
)
def test_parts_of_generated_data_are_disjoint(config):
    data = config.load()
    read = data.points if isinstance(config, RingConfig) else data.factors
    held = data.held_out()
    others = held.points if isinstance(config, RingConfig) else held.factors
    training = {tuple(row) for row in read(np.arange(len(data))).tolist()}
    tested = {tuple(row) for row in others(np.arange(len(held))).tolist()}
    assert len(training) == 36 and len(tested) == 4 and not training & tested


def test_a_test_set_of_its_own_is_what_is_held_out():
    source = counting().source
    data = image_data("own", source, held=np.array([1, 2]))
    assert data.held_out().items.tolist() == [1, 2] and len(data) == 48
    with pytest.raises(ValueError, match="own: 0 images to train on"):
        image_data("own", source, held=np.arange(50))


def test_labels_factors_and_attributes_belong_to_their_images():
    labels = np.arange(50) % 3
    data = counting(labels=labels, factors=np.arange(100.0).reshape(50, 2), factor_names=("even", "odd"))
    images, beside = next(data.batches(20, seed=1, beside="labels")())
    assert (beside.numpy() == images[:, 0, 0, 0].numpy() % 3).all() and beside.dtype == torch.int64
    images, beside = next(data.batches(20, seed=1, beside="factors")())
    assert (beside[:, 0] == 2 * images[:, 0, 0, 0]).all() and beside.dtype == torch.float32
    assert data.classes == ("0", "1", "2") and data.factor_names == ("even", "odd")


def test_unknown_labels_are_refused_at_once():
    with pytest.raises(ValueError, match="numbers: this data has no labels"):
        counting().batches(4, seed=0, beside="labels")
    with pytest.raises(ValueError, match="no attributes"):
        counting().attributes(np.arange(2))


def test_values_are_converted_in_one_place():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 3, 1)
    assert in_values(images, "stored") is images
    assert torch.equal(in_values(images, "unit"), to_float(images))
    assert torch.allclose(in_values(images, "signed"), torch.tensor([-1.0, -0.6, 1.0]).reshape(1, 1, 1, 3))
    batch = next(counting().batches(4, seed=0, values="signed")())
    assert batch.shape == (4, 1, 4, 6) and batch.dtype == torch.float32 and batch.min() >= -1


def test_a_training_learns_from_the_stream():
    data = FacesConfig(size=16, count=500).load()
    vae = VAE(VAEConfig(latent=4, image_size=16, width=8, kl_floor=0.0))
    stream = data.batches(16, seed=0, values="unit")
    config = FitConfig(steps=30, learning_rate=3e-3)
    losses = [row["loss"] for row in fit(vae, stream, config, seed=0, log_every=10)]
    assert losses[2] < 0.9 * losses[0]


def test_a_source_needs_only_images():
    source = ImageSource((2, 2, 1), 20, lambda items: np.zeros((len(items), 2, 2, 1), np.uint8))
    data = image_data("bare", source)
    assert data.classes == data.factor_names == data.attribute_names == () and data.shape == (2, 2, 1)
