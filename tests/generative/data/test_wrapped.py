import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import IterableDataset, TensorDataset

from generative.data import dataset_data

IMAGES = np.random.default_rng(2).integers(0, 256, (20, 6, 5, 3), np.uint8)
LABELS = np.arange(20) % 4


class Listed:
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


@pytest.mark.parametrize(
    "items",
    [
        [Image.fromarray(each) for each in IMAGES],
        [torch.from_numpy(each).permute(2, 0, 1).float() / 255 for each in IMAGES],
        [torch.from_numpy(each).permute(2, 0, 1) for each in IMAGES],
        [{"pixel_values": each, "label": 0} for each in IMAGES],
        [(each, 3, "more") for each in IMAGES],
    ],
    ids=["pil", "floats", "bytes", "mapping", "tuple"],
)
def test_what_datasets_give_becomes_stored_images(items):
    data = dataset_data(Listed(items))
    assert data.shape == (6, 5, 3) and data.classes == ()
    assert (data.images(np.arange(18)) == IMAGES[data.items]).all()


def test_a_tensor_dataset_with_labels_and_signed_values():
    images = torch.from_numpy(IMAGES).permute(0, 3, 1, 2) / 127.5 - 1
    data = dataset_data(TensorDataset(images, torch.from_numpy(LABELS)), range="signed", classes=tuple("abcd"))
    batch, labels = next(data.batches(8, seed=0, beside="labels")())
    assert batch.shape == (8, 6, 5, 3)
    for image, label in zip(batch.numpy(), labels.tolist(), strict=True):
        assert LABELS[[(image == each).all() for each in IMAGES]].tolist() == [label]


def test_mistakes_are_explained():
    class Stream(IterableDataset):
        def __iter__(self):
            yield from IMAGES

    with pytest.raises(ValueError, match="map-style"):
        dataset_data(Stream())
    with pytest.raises(ValueError, match=r"dataset\[0\]: values from -.*set range=signed"):
        dataset_data(Listed([each / 127.5 - 1 for each in IMAGES]))
    with pytest.raises(ValueError, match="set layout to the other order"):
        dataset_data(Listed(list(IMAGES)), layout="CHW")
    with pytest.raises(ValueError, match="keys picture; expected 'image'"):
        dataset_data(Listed([{"picture": each} for each in IMAGES]))
    with pytest.raises(ValueError, match="at least 2"):
        dataset_data(Listed([IMAGES[0]]))
    with pytest.raises(ValueError, match="2 or 3 axes"):
        dataset_data(Listed(["a", "b"]))


def test_later_items_must_be_like_the_first():
    items = [*IMAGES[:-1], IMAGES[-1][:3]]
    data = dataset_data(Listed(items), name="mine")
    with pytest.raises(ValueError, match=r"mine\[19\]: shape \(3, 5, 3\)"):
        for part in (data, data.held_out()):
            part.images(np.arange(len(part)))
    unlabelled = dataset_data(Listed(list(IMAGES)), classes=("a",))
    with pytest.raises(ValueError, match="items have no label"):
        unlabelled.labels(np.arange(2))
    wrong = dataset_data(Listed([(each, 4) for each in IMAGES]), classes=("a", "b"))
    with pytest.raises(ValueError, match="label 4, but there are 2 classes"):
        wrong.labels(np.arange(2))
