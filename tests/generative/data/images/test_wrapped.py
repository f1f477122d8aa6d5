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
    assert data.item.shape == (6, 5, 3) and data.names("label") == ()
    assert (data.get("image", np.arange(18)) == IMAGES[data.items]).all()


def test_a_tensor_dataset_with_labels_and_signed_values():
    images = torch.from_numpy(IMAGES).permute(0, 3, 1, 2) / 127.5 - 1
    data = dataset_data(TensorDataset(images, torch.from_numpy(LABELS)), range="signed", classes=tuple("abcd"))
    batch, labels = next(data.batches(8, 0, ("image", "label"), stored=True)())
    assert batch.shape == (8, 6, 5, 3)
    for image, label in zip(batch.numpy(), labels.tolist(), strict=True):
        assert LABELS[[(image == each).all() for each in IMAGES]].tolist() == [label]


@pytest.mark.parametrize("mode", ["P", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_pictures_of_any_mode_are_looked_up(mode):
    pure = np.repeat(np.array([[[250, 10, 20]], [[10, 240, 30]]], np.uint8), 5, 1)  # (2 5 3)
    pictures = [Image.fromarray(np.roll(pure, number, 0)) for number in range(4)]
    made = [each.quantize(4) if mode == "P" else each.convert(mode) for each in pictures]
    data = dataset_data(Listed(made))
    assert data.item.shape == (2, 5, 3)
    expected = np.stack([np.roll(pure, number, 0) for number in data.items])
    assert np.abs(data.get("image", np.arange(len(data))).astype(int) - expected).max() <= 6


def test_grey_pictures_of_one_and_sixteen_bits_are_seen():
    black_and_white = [Image.fromarray(each[..., 0]).convert("1") for each in IMAGES]
    assert set(np.unique(dataset_data(Listed(black_and_white)).get("image", np.arange(18)))) == {0, 255}
    deep = [Image.fromarray(each[..., 0].astype(np.uint16) * 16) for each in IMAGES]  # 12 of 16 bits
    data = dataset_data(Listed(deep))
    assert np.abs(data.get("image", np.arange(18))[..., 0].astype(int) - IMAGES[data.items][..., 0]).max() <= 1
    assert data.origin.notes == ("more than 8 bits a colour, 4095 read as white",)


def test_a_picture_is_turned_as_its_file_says(tmp_path):
    tall = np.zeros((6, 6, 3), np.uint8)
    tall[:3] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(2):
        Image.fromarray(tall).save(tmp_path / f"{number}.png", exif=exif)
    data = dataset_data(Listed([Image.open(tmp_path / f"{number}.png") for number in range(2)]))
    assert (data.get("image", np.array([0]))[0, :, :3] == 0).all() and (
        data.get("image", np.array([0]))[0, :, 3:] == 255
    ).all()


def test_tensors_with_gradients_and_of_half_precision_are_read():
    chw = [torch.from_numpy(each).permute(2, 0, 1) for each in IMAGES]
    tracked = dataset_data(Listed([(each / 255).requires_grad_() for each in chw]))
    assert (tracked.get("image", np.arange(18)) == IMAGES[tracked.items]).all()
    half = dataset_data(Listed([(each / 256).bfloat16() for each in chw]))
    assert np.abs(half.get("image", np.arange(18)).astype(int) - IMAGES[half.items]).max() <= 2


def test_what_is_not_used_or_not_fixed_is_told():
    class Random(Listed):
        def __getitem__(self, index):
            return np.random.default_rng().integers(0, 256, (6, 5, 3), np.uint8)

    assert dataset_data(Listed([(each, 1) for each in IMAGES])).origin.lines() == [
        "20 of 20 items used",
        "labels not used: give the names of the classes",
    ]
    assert "items differ each time they are read" in dataset_data(Random([0] * 20)).origin.lines()[1]


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
    with pytest.raises(ValueError, match="true and false; give 255"):
        dataset_data(Listed(list(IMAGES > 9)))
    fractional = dataset_data(Listed([(each, 0.7) for each in IMAGES]), classes=("a", "b"))
    with pytest.raises(ValueError, match=r"dataset\[\d+\]: label 0\.7; expected one whole number"):
        fractional.get("label", np.arange(2))


def test_later_items_must_be_like_the_first():
    items = [*IMAGES[:-1], IMAGES[-1][:3]]
    data = dataset_data(Listed(items), name="mine")
    with pytest.raises(ValueError, match=r"mine\[19\]: shape \(3, 5, 3\)"):
        for part in (data, data.held_out()):
            part.get("image", np.arange(len(part)))
    unlabelled = dataset_data(Listed(list(IMAGES)), classes=("a",))
    with pytest.raises(ValueError, match="items have no label"):
        unlabelled.get("label", np.arange(2))
    wrong = dataset_data(Listed([(each, 4) for each in IMAGES]), classes=("a", "b"))
    with pytest.raises(ValueError, match="label 4, but there are 2 classes"):
        wrong.get("label", np.arange(2))
