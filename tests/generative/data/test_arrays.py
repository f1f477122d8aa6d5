import numpy as np
import pytest

from generative import ComponentError
from generative.data import ArraysConfig, array_data

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 5, 7, 3), np.uint8)


def test_a_file_of_images_is_read_in_place(tmp_path):
    np.save(tmp_path / "frames.npy", IMAGES)
    data = ArraysConfig(str(tmp_path / "frames.npy")).load()
    assert data.shape == (5, 7, 3) and data.name == "frames.npy"
    assert (data.images(np.arange(27)) == IMAGES[data.items]).all()


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
    assert data.classes == ("left", "right") and data.factor_names == ("speed", "heading")
    places = np.arange(len(data))
    assert (data.labels(places) == data.items % 2).all() and (data.factors(places)[:, 0] == 2 * data.items).all()
    assert not set(tracks[data.items]) & set(tracks[data.held_out().items]) and len(data.held_out()) == 3


@pytest.mark.parametrize(("range", "scale", "shift"), [("unit", 255, 0), ("signed", 127.5, -1)])
def test_fractions_become_bytes(range, scale, shift):
    data = array_data("floats", IMAGES.astype(np.float32) / scale + shift, range=range)
    assert (data.images(np.arange(27)) == IMAGES[data.items]).all()


def test_channels_first_and_grey():
    data = array_data("chw", IMAGES.transpose(0, 3, 1, 2), layout="CHW")
    assert data.shape == (5, 7, 3) and (data.images(np.arange(27)) == IMAGES[data.items]).all()
    assert array_data("grey", IMAGES[..., 0]).shape == (5, 7, 1)


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
        ({"images": IMAGES[:1]}, "at least 2"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    options = {"images": IMAGES, **options}
    with pytest.raises(ValueError, match=message):
        array_data("mine", options.pop("images"), **options)


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
    assert len(ArraysConfig(str(tmp_path / "mixed.npz")).load()) == 27
    np.save(tmp_path / "objects.npy", np.array([Trap()], object))
    with pytest.raises(ComponentError, match=r"objects\.npy"):
        ArraysConfig(str(tmp_path / "objects.npy")).load()
