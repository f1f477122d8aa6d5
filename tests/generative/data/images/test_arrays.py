import numpy as np
import pytest
import torch
from PIL import Image

from generative import ComponentError
from generative.data import ArraysConfig, array_data

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 5, 7, 3), np.uint8)


def test_a_file_of_images_is_read_in_place(tmp_path):
    np.save(tmp_path / "frames.npy", IMAGES)
    data = ArraysConfig(str(tmp_path / "frames.npy")).load()
    assert data.item.shape == (5, 7, 3) and data.name == "frames.npy"
    assert (data.get("image", np.arange(27)) == IMAGES[data.items]).all()


def test_an_archive_brings_labels_factors_and_groups(tmp_path):
    tracks = np.arange(30) // 3
    np.savez(
        tmp_path / "rollouts.npz",
        images=IMAGES,
        labels=np.arange(30, dtype=np.int32) % 2,
        factors=np.arange(60.0).reshape(30, 2),
        factor_names=np.array(["speed", "heading"]),
        groups=tracks,
    )
    data = ArraysConfig(str(tmp_path / "rollouts.npz"), classes=("left", "right")).load()
    assert data.names("label") == ("left", "right") and data.names("factors") == ("speed", "heading")
    places = np.arange(len(data))
    assert (data.get("label", places) == data.items % 2).all() and (
        data.get("factors", places)[:, 0] == 2 * data.items
    ).all()
    assert not set(tracks[data.items]) & set(tracks[data.held_out().items]) and len(data.held_out()) == 3


@pytest.mark.parametrize(("range", "scale", "shift"), [("unit", 255, 0), ("signed", 127.5, -1)])
def test_fractions_become_bytes(range, scale, shift):
    data = array_data("floats", IMAGES.astype(np.float32) / scale + shift, range=range)
    assert (data.get("image", np.arange(27)) == IMAGES[data.items]).all()


def test_channels_first_and_grey():
    data = array_data("chw", IMAGES.transpose(0, 3, 1, 2), layout="CHW")
    assert data.item.shape == (5, 7, 3) and (data.get("image", np.arange(27)) == IMAGES[data.items]).all()
    assert array_data("grey", IMAGES[..., 0]).item.shape == (5, 7, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": IMAGES / 255}, "values from 0 to 1.* set range=unit"),
        ({"images": np.where(IMAGES == 7, np.nan, IMAGES), "range": "bytes"}, "NaN"),
        ({"images": IMAGES.transpose(0, 3, 1, 2)[:, :, :, :]}, "set layout=CHW"),
        ({"images": IMAGES[0, 0]}, r"expected \(N, height, width"),
        ({"images": IMAGES.astype(complex)}, "complex"),
        ({"labels": np.arange(29)}, "29 labels for 30 images"),
        ({"labels": np.arange(30.0)}, "one whole number per image"),
        ({"labels": np.arange(30) - 1}, "labels from -1"),
        ({"labels": np.arange(30), "classes": ("a", "b")}, "0 to 1, as there are 2 classes"),
        ({"factors": np.zeros((30, 2)), "factor_names": ("speed",)}, "a column for each of 1"),
        ({"factors": np.full((30, 1), np.nan), "factor_names": ("speed",)}, "factors: some are NaN"),
        ({"groups": np.zeros(4)}, "4 groups for 30 images"),
        ({"images": IMAGES[0]}, "grey images 3 pixels wide, or one image in colour"),
        ({"images": np.ma.masked_less(IMAGES, 9)}, "images: some values are masked"),
        ({"images": [IMAGES[0], IMAGES[1][:3]]}, "images: of different shapes"),
        ({"images": [Image.fromarray(each).quantize(16) for each in IMAGES]}, "hand them to dataset_data"),
        ({"images": IMAGES > 99}, "true and false; give 255"),
        ({"classes": ("a", "b")}, "mine: classes without labels"),
        ({"factor_names": ("speed",)}, "mine: factor_names without factors"),
        ({"images": IMAGES[:1]}, "at least 2"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    options = {"images": IMAGES, **options}
    with pytest.raises(ValueError, match=message):
        array_data("mine", options.pop("images"), **options)


@pytest.mark.parametrize(
    "convert",
    [
        torch.from_numpy,
        list,
        lambda images: images.astype(">u2"),
        np.asfortranarray,
        lambda images: np.ma.MaskedArray(images),
        lambda images: torch.from_numpy(images).float().requires_grad_(),
    ],
    ids=["tensor", "list", "other byte order", "column major", "nothing masked", "with gradient"],
)
def test_arrays_in_other_clothes_are_the_same_images(convert):
    data = array_data("mine", convert(IMAGES), labels=torch.arange(30) % 3)
    assert (data.get("image", np.arange(27)) == IMAGES[data.items]).all()
    assert data.get("label", np.arange(27)).tolist() == (data.items % 3).tolist()


def test_half_precision_and_read_only_arrays_are_read():
    halves = array_data("mine", torch.from_numpy(IMAGES).bfloat16() / 256, range="unit")
    assert np.abs(halves.get("image", np.arange(27)).astype(int) - IMAGES[halves.items]).max() <= 2
    closed = IMAGES.copy()
    closed.flags.writeable = False
    next(array_data("mine", closed).batches(4, 0)(0))


@pytest.mark.gpu
def test_tensors_of_another_device_are_fetched():
    data = array_data("mine", torch.from_numpy(IMAGES).cuda(), labels=(torch.arange(30) % 3).cuda())
    assert (data.get("image", np.arange(27)) == IMAGES[data.items]).all()


def test_rows_are_square_grey_images(tmp_path):
    """As Quick, Draw! publishes its drawings: N x 784."""
    rows = IMAGES[:, :5, :5, 0].reshape(30, 25)
    np.save(tmp_path / "full_numpy_bitmap_cat.npy", rows)
    data = ArraysConfig(str(tmp_path / "full_numpy_bitmap_cat.npy")).load()
    assert data.item.shape == (5, 5, 1)
    assert (data.get("image", np.arange(27))[..., 0] == IMAGES[data.items, :5, :5, 0]).all()
    assert data.origin.lines()[1] == "rows of 25 numbers, read as grey images of 5 x 5 pixels"
    wide = ArraysConfig(str(tmp_path / "full_numpy_bitmap_cat.npy"), size=8).load()
    image = wide.get("image", np.array([0]))[0, ..., 0]
    assert wide.item.shape == (8, 8, 1) and (image[1:6, 1:6] == IMAGES[wide.items[0], :5, :5, 0]).all()
    assert image.sum() == image[1:6, 1:6].sum()
    with pytest.raises(ComponentError, match=r"size=4: .* have 5 x 5 pixels; give at least 5, or 0"):
        ArraysConfig(str(tmp_path / "full_numpy_bitmap_cat.npy"), size=4).load()
    with pytest.raises(ValueError, match=r"expected \(N, height, width"):
        array_data("mine", IMAGES.reshape(30, -1))


def test_the_content_says_what_a_file_is(tmp_path):
    np.save(tmp_path / "frames.npy", IMAGES)
    (tmp_path / "frames").write_bytes((tmp_path / "frames.npy").read_bytes())
    np.savez(tmp_path / "archive.npz", images=IMAGES)
    (tmp_path / "archive.npz").rename(tmp_path / "archive.npy")
    for name in ("frames", "archive.npy"):
        assert len(ArraysConfig(str(tmp_path / name)).load()) == 27


def test_arrays_that_nothing_reads_are_named_and_misspelt_ones_refused(tmp_path):
    """Keras's names and its (N, 1) labels."""
    labels = (np.arange(30) % 3)[:, None]
    np.savez(tmp_path / "keras.npz", x_train=IMAGES, y_train=labels, x_test=IMAGES, y_test=labels)
    keras = str(tmp_path / "keras.npz")
    data = ArraysConfig(keras, images="x_train", labels="y_train").load()
    assert (
        data.names("label") == ("0", "1", "2")
        and data.get("label", np.arange(27)).tolist() == (data.items % 3).tolist()
    )
    assert data.origin.lines() == ["30 of 30 images used; left out: arrays that nothing asks for: 2 (x_test, y_test)"]
    assert list(data.origin.files) == ["keras.npz"]
    for options, message in (
        ({"labels": "y_trian"}, "no array 'y_trian'; set labels; did you mean 'y_train'"),
        ({"classes": ("a", "b", "c")}, "but no array 'labels'"),
    ):
        with pytest.raises(ComponentError, match=message):
            ArraysConfig(keras, images="x_train", **options).load()
    for wrong, right in (("lables", "labels"), ("label", "labels"), ("factor", "factors"), ("group", "groups")):
        np.savez(tmp_path / "wrong.npz", images=IMAGES, **{wrong: labels})
        with pytest.raises(ComponentError, match=f"nothing reads the array '{wrong}'; did you mean '{right}'"):
            ArraysConfig(str(tmp_path / "wrong.npz")).load()


def test_foreign_and_damaged_files_are_named(tmp_path):
    whole = tmp_path / "whole.npz"
    np.savez(whole, images=IMAGES)
    cases = {
        "empty.npy": b"",
        "text.npy": b"these are no numbers",
        "cut.npz": whole.read_bytes()[:-100],
        "text.npz": b"PK but no archive",
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ComponentError, match=f"{name}: not a whole .npy or .npz"):
            ArraysConfig(str(tmp_path / name)).load()
    damaged = bytearray(whole.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    (tmp_path / "flipped.npz").write_bytes(damaged)
    with pytest.raises(ComponentError, match=r"flipped\.npz"):
        ArraysConfig(str(tmp_path / "flipped.npz")).load()
    with pytest.raises(ComponentError, match=r"missing\.npy: no such file"):
        ArraysConfig(str(tmp_path / "missing.npy")).load()
    with pytest.raises(ComponentError, match=r"no array 'image'.* did you mean 'images'"):
        ArraysConfig(str(whole), images="image").load()


def test_pickles_are_never_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was opened",))

    np.savez(tmp_path / "mixed.npz", images=IMAGES, metadata=np.array([Trap()], object))
    data = ArraysConfig(str(tmp_path / "mixed.npz")).load()
    assert len(data) == 27 and data.origin.left_out == {"arrays of Python objects": ("metadata",)}
    np.save(tmp_path / "objects.npy", np.array([Trap()], object))
    with pytest.raises(ComponentError, match=r"objects\.npy"):
        ArraysConfig(str(tmp_path / "objects.npy")).load()
