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
    assert data.shape == (28, 28, 1) and len(data) == 16 and held.items.tolist() == [16, 17, 18, 19]
    assert (data.images(np.arange(16))[..., 0] == IMAGES[:16]).all() and (
        held.labels(np.arange(4)) == LABELS[16:]
    ).all()
    assert data.classes == tuple("0123456789")


def test_images_get_a_border_up_to_the_size(tmp_path):
    (tmp_path / "images").write_bytes(idx(IMAGES))
    data = IdxConfig(str(tmp_path / "images")).load()
    image = data.images(np.array([0]))[0, ..., 0]
    assert image.shape == (32, 32) and (image[2:30, 2:30] == IMAGES[data.items[0]]).all()
    assert image.sum() == IMAGES[data.items[0]].sum() and data.classes == () and len(data.held_out()) == 2
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
        "labels": (idx(LABELS), r"IDX of type 8 with 1 axes; expected images"),
        "floats": (b"\0\0\x0d\3" + whole[4:], "IDX of type 13"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ComponentError, match=f"{name}: .*({message})"):
            IdxConfig(str(tmp_path / name)).load()
    with pytest.raises(ComponentError, match="no such file"):
        IdxConfig(str(tmp_path / "missing")).load()


def test_parts_must_belong_together(tmp_path):
    mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS[:3]))
    with pytest.raises(ComponentError, match="7 labels for 20 images"):
        IdxConfig(str(tmp_path)).load()
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(ComponentError, match=r"no train-labels-idx1-ubyte or .*\.gz"):
        IdxConfig(str(tmp_path)).load()
