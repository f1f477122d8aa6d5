import gzip
import struct

import numpy as np
import pytest

from generative import ComponentError
from generative.data import IdxConfig

IMAGES = np.random.default_rng(1).integers(0, 256, (20, 28, 28), np.uint8)
LABELS = (np.arange(20) % 10).astype(np.uint8)


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def mnist(folder, pack=lambda content: content, suffix=""):
    for name in ("train", "t10k"):
        part = slice(0, 16) if name == "train" else slice(16, 20)
        (folder / f"{name}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(IMAGES[part])))
        (folder / f"{name}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(LABELS[part])))


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_is_read_with_its_own_test_set(tmp_path, packed):
    mnist(tmp_path, *((gzip.compress, ".gz") if packed else ()))
    data = IdxConfig(str(tmp_path), size=0).load()
    held = data.held_out()
    assert data.item.shape == (28, 28, 1) and len(data) == 16 and held.items.tolist() == [16, 17, 18, 19]
    assert (data.get("image", np.arange(16))[..., 0] == IMAGES[:16]).all() and (
        held.get("label", np.arange(4)) == LABELS[16:]
    ).all()
    assert data.names("label") == tuple("0123456789")


def test_images_get_a_border_up_to_the_size(tmp_path):
    (tmp_path / "images").write_bytes(idx(IMAGES))
    data = IdxConfig(str(tmp_path / "images")).load()
    image = data.get("image", np.array([0]))[0, ..., 0]
    assert image.shape == (32, 32) and (image[2:30, 2:30] == IMAGES[data.items[0]]).all()
    assert image.sum() == IMAGES[data.items[0]].sum() and data.names("label") == () and len(data.held_out()) == 2
    with pytest.raises(ComponentError, match=r"size=16: .* at least 28, or 0"):
        IdxConfig(str(tmp_path / "images"), size=16).load()


def test_foreign_and_damaged_files_are_named(tmp_path):
    whole = idx(IMAGES)
    packed = gzip.compress(whole)
    damaged = bytearray(packed)
    damaged[len(damaged) // 2] ^= 0xFF
    cases = {
        "cut": (whole[:-5], "15680 bytes announced, 15675 found"),
        "long": (whole + b"x", "15680 bytes announced, more found"),
        "cut.gz": (packed[:-1000], "damaged gzip"),
        "flipped.gz": (bytes(damaged), "damaged gzip|announced"),
        "text": (b"This is a text and no images.", "no IDX file"),
        "short": (whole[:6], "IDX of type 8 with 3 axes"),
        "empty": (b"", "no IDX file"),
        "lengths-swapped": (
            whole[:4] + struct.pack("<3I", *IMAGES.shape) + whole[16:],
            r"has \(20, 28, 28\), but with",
        ),
        "header-swapped": (struct.pack("<4I", 0x803, *IMAGES.shape) + whole[16:], "small end of its header first"),
        "endless": (whole[:4] + struct.pack(">3I", *[2**32 - 1] * 3) + whole[16:], "announced, 15680 found"),
        "labels": (idx(LABELS), r"IDX of type 8 with 1 axes; expected images"),
        "floats": (b"\0\0\x0d\3" + whole[4:], "IDX of type 13"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ComponentError, match=f"{name}: .*({message})"):
            IdxConfig(str(tmp_path / name)).load()
    with pytest.raises(ComponentError, match="no such file"):
        IdxConfig(str(tmp_path / "missing")).load()


def emnist(folder, name="emnist-letters", first=1):
    folder.mkdir(parents=True, exist_ok=True)
    for part, items in (("train", slice(0, 16)), ("test", slice(16, 20))):
        stored = np.ascontiguousarray(IMAGES[items].transpose(0, 2, 1))
        (folder / f"{name}-{part}-images-idx3-ubyte").write_bytes(idx(stored))
        (folder / f"{name}-{part}-labels-idx1-ubyte").write_bytes(idx(LABELS[items] + np.uint8(first)))


def test_emnist_stands_upright_and_its_letters_begin_at_0(tmp_path):
    emnist(tmp_path / "gzip")
    (tmp_path / "gzip" / "emnist-letters-mapping.txt").write_text(
        "".join(f"{number} {64 + number} {96 + number}\n" for number in range(1, 11))
    )
    for path in (tmp_path / "gzip", tmp_path):
        data = IdxConfig(str(path), size=0).load()
        assert (data.get("image", np.arange(16))[..., 0] == IMAGES[:16]).all() and len(data.held_out()) == 4
        assert data.names("label") == tuple("ABCDEFGHIJ") and data.get("label", np.arange(3)).tolist() == [0, 1, 2]
    assert data.origin.lines() == [
        "20 of 20 images used",
        "rows and columns exchanged, as EMNIST stores them",
        "labels from 1 to 10: class 1 is number 0",
    ]
    assert len(data.origin.files) == 4
    left = IdxConfig(str(tmp_path), size=0, exchanged="no").load()
    assert (left.get("image", np.arange(16))[..., 0] == IMAGES[:16].transpose(0, 2, 1)).all()
    name = "emnist-letters-train-{}-ubyte"
    single = IdxConfig(*(str(tmp_path / "gzip" / name.format(each)) for each in ("images-idx3", "labels-idx1")), size=0)
    assert (single.load().get("image", np.array([0]))[0, ..., 0] == IMAGES[0]).all()


def test_of_several_sets_one_is_chosen(tmp_path):
    emnist(tmp_path)
    emnist(tmp_path, "emnist-digits", 0)
    with pytest.raises(ComponentError, match="the sets emnist-digits, emnist-letters; set subset"):
        IdxConfig(str(tmp_path)).load()
    with pytest.raises(ComponentError, match="no set 'emnist-digit'; did you mean 'emnist-digits'"):
        IdxConfig(str(tmp_path), subset="emnist-digit").load()
    assert IdxConfig(str(tmp_path), subset="emnist-digits").load().names("label") == tuple("0123456789")


@pytest.mark.parametrize("packed", [False, True])
def test_the_folder_that_torchvision_makes_is_read_from_its_root(tmp_path, packed):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    mnist(raw, *((gzip.compress, ".gz") if packed else ()))
    for path in (tmp_path, tmp_path / "MNIST", raw):
        assert (IdxConfig(str(path), size=0).load().get("image", np.arange(16))[..., 0] == IMAGES[:16]).all()
    (tmp_path / "FashionMNIST" / "raw").mkdir(parents=True)
    mnist(tmp_path / "FashionMNIST" / "raw")
    with pytest.raises(ComponentError, match=r"IDX files lie in .*FashionMNIST.raw, .*MNIST.raw; set path"):
        IdxConfig(str(tmp_path)).load()


def test_options_that_could_not_take_effect_are_refused(tmp_path):
    mnist(tmp_path)
    with pytest.raises(ComponentError, match=r"labels=other: the folder .* brings its own"):
        IdxConfig(str(tmp_path), labels="other").load()
    with pytest.raises(ComponentError, match="but no labels"):
        IdxConfig(str(tmp_path / "train-images-idx3-ubyte"), classes=("a", "b")).load()


def test_parts_must_belong_together(tmp_path):
    mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS[:3]))
    with pytest.raises(ComponentError, match="7 labels for 20 images"):
        IdxConfig(str(tmp_path)).load()
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(ComponentError, match=r"no train-labels-idx1-ubyte or .*\.gz"):
        IdxConfig(str(tmp_path)).load()
