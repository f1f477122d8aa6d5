"""Items that a GPU keeps come in the order in which they would be read."""

import itertools

import numpy as np
import pytest
import torch

from generative.data.kept import kept_on_gpu
from generative.data.orders import Batches
from generative.training.batches import tensors

CPU = torch.device("cpu")
IMAGES = np.random.default_rng(0).integers(256, size=(50, 4, 4, 3), dtype=np.uint8)


@pytest.fixture
def read():
    """Numbers of the items that were read."""
    return []


def batches(read: list[int]) -> Batches:
    def images(items):
        read.extend(items.tolist())
        return torch.from_numpy(IMAGES[items])

    return Batches((images, lambda items: torch.from_numpy(items % 7)), len(IMAGES), 8, seed=1, order="unpaired")


def test_they_are_read_once_and_come_in_the_same_order(monkeypatch, read):
    sizes = []
    monkeypatch.setattr("generative.data.kept.fits_on", lambda device, size: sizes.append(size) or True)
    monkeypatch.setattr("generative.data.kept.READ_TOGETHER", 16)
    kept = kept_on_gpu(batches(read), CPU, 1000)
    assert sorted(read) == [0, *range(50)] and sizes == [50 * (48 + 8)]
    for one, other in itertools.islice(zip(batches([])(4), kept(4), strict=True), 20):
        assert all(torch.equal(*pair) for pair in zip(tensors(one), tensors(other), strict=True))
    assert len(read) == 51


@pytest.mark.parametrize(("wanted", "fits"), [(49, True), (1000, False)])
def test_what_does_not_fit_or_is_hardly_needed_is_not_kept(monkeypatch, read, wanted, fits):
    monkeypatch.setattr("generative.data.kept.fits_on", lambda device, size: fits)
    stream = batches(read)
    assert kept_on_gpu(stream, CPU, wanted) is stream and read == [0]


def test_a_processor_keeps_nothing(read):
    stream = batches(read)
    assert kept_on_gpu(stream, CPU, 1000) is stream
